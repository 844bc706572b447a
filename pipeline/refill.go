package pipeline

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"

	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/sinks"
)

// Refilled is what Refill has done to a table.
type Refilled struct {
	Table     string `json:"table"`
	Lost      int    `json:"lost"`      // files that were gone and are taken out of the log
	Reclaimed int64  `json:"reclaimed"` // rows from files that were removed and not deleted yet
	Refilled  int64  `json:"refilled"`  // rows made from the topics
	Gone      int64  `json:"gone"`      // messages that the table lacks and of which the topics hold too little to make a row
}

// Refill finds the messages below the tables' positions that the topics hold and the
// tables lack, as after a RESTORE to an older version or the loss of files. It adds
// their rows: from removed files that still exist, bit for bit, else from the topics. A
// prediction is the published one. For a label made anew the prediction before it is
// unknown; its columns are null.
//
// Other processes may write to the tables meanwhile. Repeating Refill, also after a
// kill, adds nothing twice. It creates no table.
func Refill(ctx context.Context, c *Config, log *slog.Logger, report func(Refilled) error) error {
	d, err := Attach(ctx, c, log)
	if err != nil {
		return err
	}
	defer d.Close()
	r := &refill{Connected: d, config: c, log: log}
	if r.tables, err = OpenTables(ctx, c); err != nil {
		return err
	}
	defer r.tables.Close()
	return r.run(ctx, report)
}

// refill is one run of Refill.
type refill struct {
	*Connected
	config *Config
	log    *slog.Logger
	tables sinks.Bucket
	models map[string]*publishedModel // whose embeddings are asked for, by name

	deadLetters *sinks.DeadLettersTable // nil when there is none
}

// refillable is a table that can be refilled.
type refillable interface {
	Survey(ctx context.Context) (lost int, err error)
	Reclaim(ctx context.Context) (rows int64, err error)
	Close() error
}

func (r *refill) run(ctx context.Context, report func(Refilled) error) error {
	config := sinks.TableConfig{Group: r.config.Group, Log: r.log}
	for _, t := range []struct {
		name string
		open func() (refillable, func(context.Context, *Refilled) error, error)
	}{
		{"dead_letters", func() (refillable, func(context.Context, *Refilled) error, error) {
			table, err := sinks.NewDeadLettersTable(ctx, r.tables, config)
			r.deadLetters = table
			return table, func(ctx context.Context, done *Refilled) error { return r.refillDeadLetters(ctx, table, done) }, err
		}},
		{"predictions", func() (refillable, func(context.Context, *Refilled) error, error) {
			table, err := sinks.NewPredictionsTable(ctx, r.tables, sinks.PredictionsTableConfig{TableConfig: config, Surrogates: true})
			return table, func(ctx context.Context, done *Refilled) error { return r.refillPredictions(ctx, table, done) }, err
		}},
		{"labels", func() (refillable, func(context.Context, *Refilled) error, error) {
			table, err := sinks.NewLabelsTable(ctx, r.tables, config)
			return table, func(ctx context.Context, done *Refilled) error { return r.refillLabels(ctx, table, done) }, err
		}},
	} {
		if _, err := sinks.TableFiles(ctx, r.tables, t.name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		table, fromTopics, err := t.open()
		if err != nil {
			return err
		}
		done := Refilled{Table: t.name}
		err = r.table(ctx, table, &done, fromTopics)
		if err == nil {
			err = report(done)
		}
		if err := errors.Join(err, table.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (r *refill) table(ctx context.Context, table refillable, done *Refilled, fromTopics func(context.Context, *Refilled) error) (err error) {
	if done.Lost, err = table.Survey(ctx); err != nil {
		return err
	}
	if done.Reclaimed, err = table.Reclaim(ctx); err != nil {
		return err
	}
	return fromTopics(ctx, done)
}

// refillChunk is how many messages are made rows of in one commit.
const refillChunk = 10_000

// chunk collects the messages to make rows of, by partition and offset, and calls flush
// when it is full.
type chunk[V any] struct {
	at    map[schemas.TopicPartition]map[int64]V
	count int
	flush func(ctx context.Context, p schemas.TopicPartition, of map[int64]V) error
}

// put adds the value of an offset; a later one takes the place of an earlier.
func (c *chunk[V]) put(ctx context.Context, p schemas.TopicPartition, offset int64, v V) error {
	if c.at == nil {
		c.at = map[schemas.TopicPartition]map[int64]V{}
	}
	of := c.at[p]
	if of == nil {
		of = map[int64]V{}
		c.at[p] = of
	}
	before := len(of)
	of[offset] = v
	if c.count += len(of) - before; c.count < refillChunk {
		return nil
	}
	return c.end(ctx)
}

// end flushes the rest.
func (c *chunk[V]) end(ctx context.Context) error {
	for _, number := range slices.Sorted(func(yield func(int32) bool) {
		for p := range c.at {
			if !yield(p.Number) {
				return
			}
		}
	}) {
		for p, of := range c.at {
			if p.Number != number {
				continue
			}
			if err := c.flush(ctx, p, of); err != nil {
				return err
			}
		}
	}
	c.at, c.count = nil, 0
	return nil
}

// farApart is the distance of two wanted messages from which on those between are
// not read.
const farApart = 20_000

// messages reads the messages at some offsets of a partition. Those that the topic
// no longer has are left out.
func (r *refill) messages(ctx context.Context, p schemas.TopicPartition, wanted []int64) (m schemas.Messages, err error) {
	m.HeaderStart = []int32{0}
	start, end, err := kafka.Ends(ctx, r.Client, p)
	if err != nil {
		return m, err
	}
	at := max(start, wanted[0])
	reader := kafka.OpenPartition(r.Client, p, at, kafka.Limits{})
	for wait := kafka.NewBackoff(); at < end; {
		for len(wanted) > 0 && wanted[0] < at {
			wanted = wanted[1:]
		}
		if len(wanted) == 0 {
			return m, nil
		}
		if wanted[0] >= at+farApart {
			at = wanted[0]
			reader.SkipTo(at)
			continue
		}
		more, next, _, err := reader.Fetch(ctx)
		var poison *kafka.PoisonError
		var lost *kafka.LostError
		switch {
		case errors.As(err, &poison):
			next = poison.Next
			reader.SkipTo(next)
		case errors.As(err, &lost) && lost.Want < lost.Start:
			next = lost.Start
			reader.SkipTo(next)
		case err != nil && sinks.Recoverable(err) && wait.Wait(ctx) == nil:
			continue
		case err != nil:
			return m, err
		}
		wait.Reset()
		for i := range more.Len() {
			if _, ok := slices.BinarySearch(wanted, more.Offset[i]); ok {
				m.AppendFrom(&more.Envelope, i)
				m.Value.Append(more.Value.At(i))
			}
		}
		m.Null = append(m.Null, more.Null...)
		at = next
	}
	return m, nil
}

func offsetsOf[V any](of map[int64]V) []int64 { return slices.Sorted(maps.Keys(of)) }
