package sinks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"archflow/schemas"
)

// table writes rows of the struct R to a Delta table together with the positions they
// cover. The tables below embed it.
type table[R any] struct {
	name  string
	group string
	log   *deltaLog
	files dataFiles[R]

	spans       []tableSpan // in the order they came
	next        map[schemas.TopicPartition]int64
	rows, bytes int
	failed      error // the error that ended the sink
	logger      *slog.Logger
	vacuumed    time.Time // of our last vacuum
	contents    contents  // as of the last survey
}

// tableSpan is the contribution of one batch to the table. It is kept until it is
// committed, because a commit that loses to another writer encodes the rest again.
type tableSpan struct {
	schemas.TopicPartition
	first, next int64
	known       bool  // the table has a position of the partition
	encoded     int64 // the files hold its rows from this offset on
	rows, bytes int
	encode      func(ctx context.Context, from int64) error // appends the rows from an offset on to the files
	release     func()
}

// TableConfig is the configuration of every table.
type TableConfig struct {
	Group string           // names the positions in the table's log
	Now   func() time.Time // time.Now when nil
	Log   *slog.Logger     // slog.Default when nil; logs maintenance that failed and will be retried

	// Conflict is called when another writer of a table was faster: at a "commit", which
	// is then repeated, or at a "compaction", which is given up. It may be nil.
	Conflict func(table, operation string)
}

func (c *TableConfig) defaults() error {
	if c.Group == "" {
		return errors.New("table: no group given")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}

func openTable[R any](ctx context.Context, bucket Bucket, name string, c *TableConfig, columns []column, partitionedBy []string) (*table[R], error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	log, err := openDelta(ctx, bucket, name, describedTable(name, columns, partitionedBy, c.Now()), c.Now)
	if err != nil {
		return nil, err
	}
	log.notice = func(text string) { c.Log.WarnContext(ctx, text, "table", name) }
	if c.Conflict != nil {
		log.conflict = func(operation string) { c.Conflict(name, operation) }
	}
	return &table[R]{
		name: name, group: c.Group, log: log,
		files: dataFiles[R]{log: log},
		next:  map[schemas.TopicPartition]int64{}, logger: c.Log,
	}, nil
}

// Name is the table's folder.
func (t *table[R]) Name() string { return t.name }

// Pending returns the rows and the bytes of the batches not yet committed.
func (t *table[R]) Pending() (rows, bytes int) { return t.rows, t.bytes }

// appID names a partition's position in the log.
func (t *table[R]) appID(p schemas.TopicPartition) string { return appID(t.group, p) }

func appID(group string, p schemas.TopicPartition) string {
	return fmt.Sprintf("%s/%s/%d", group, p.Topic, p.Number)
}

// Positions includes the commits of other writers.
func (t *table[R]) Positions(ctx context.Context, of []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error) {
	if t.failed != nil {
		return nil, t.failed
	}
	if _, err := t.log.catchUp(ctx, ""); err != nil {
		return nil, t.end(t.log.wrap(err))
	}
	at := map[schemas.TopicPartition]int64{}
	for _, p := range of {
		if v, ok := t.log.state.txns[t.appID(p)]; ok {
			at[p] = v.Version
		}
	}
	return at, nil
}

// end makes err the last thing the sink says.
func (t *table[R]) end(err error) error {
	t.failed = err
	return err
}

// take accepts a span, from the position on.
func (t *table[R]) take(ctx context.Context, s tableSpan) error {
	if t.failed != nil {
		s.release()
		return t.failed
	}
	at, seen := t.next[s.TopicPartition]
	if txn, ok := t.log.state.txns[t.appID(s.TopicPartition)]; ok {
		at, seen = max(at, txn.Version), true
	}
	switch {
	case seen && s.first > at:
		s.release()
		return fmt.Errorf("%s: %s/%d: batch from offset %d on a position of %d: %w", t.name, s.Topic, s.Number, s.first, at, ErrGap)
	case withoutDrop && s.next > s.first:
	case seen && s.next <= at || s.next <= s.first:
		s.release()
		return nil
	case seen:
		s.first = at
	}
	s.known = seen
	s.encoded = s.first
	t.next[s.TopicPartition] = s.next
	t.rows += s.rows
	t.bytes += s.bytes
	t.spans = append(t.spans, s)
	if err := errors.Join(s.encode(ctx, s.first), t.files.flush()); err != nil {
		return t.end(t.log.wrap(err))
	}
	return nil
}

// commit makes the spans durable with their positions.
func (t *table[R]) commit(ctx context.Context) error {
	if t.failed != nil {
		return t.failed
	}
	if len(t.spans) == 0 {
		return nil
	}
	err := t.log.commit(ctx, "WRITE", func(s *deltaSnapshot) ([]deltaAction, error) {
		actions, err := t.actions(ctx, s)
		return append(actions, t.claims(s, actions)...), err
	})
	if err != nil {
		return t.end(t.log.wrap(err))
	}
	t.files.adds = nil
	t.clear()
	return nil
}

// actions returns the content of a commit on the state s: the files of the rows that s
// does not cover, and the positions. Rows do not depend on their writer, so that after
// another's commit only the rest remains to be written.
func (t *table[R]) actions(ctx context.Context, s *deltaSnapshot) ([]deltaAction, error) {
	at := map[schemas.TopicPartition]int64{}
	var order []schemas.TopicPartition
	again := false
	from := make([]int64, len(t.spans))
	for i := range t.spans {
		span := &t.spans[i]
		have, seen := at[span.TopicPartition]
		if !seen {
			txn, ok := s.txns[t.appID(span.TopicPartition)]
			have = txn.Version
			switch {
			case !ok && span.known:
				have = -1 // the table went back to a time before it
			case !ok:
				have = span.first
			}
			order = append(order, span.TopicPartition)
		}
		if withoutFencing || withoutDrop {
			have = span.first
		}
		if have < span.first {
			return nil, fmt.Errorf("%s/%d: the position in the table is %d and this writer's next offset %d: %w", span.Topic, span.Number, have, span.first, ErrFenced)
		}
		from[i] = min(max(have, span.first), span.next)
		again = again || from[i] != span.encoded
		at[span.TopicPartition] = max(have, span.next)
	}
	if again {
		t.files.discard(ctx)
		for i := range t.spans {
			span := &t.spans[i]
			span.encoded = from[i]
			if err := errors.Join(span.encode(ctx, from[i]), t.files.flush()); err != nil {
				return nil, err
			}
		}
	}
	if err := t.files.store(ctx); err != nil {
		return nil, err
	}
	actions := append([]deltaAction(nil), t.files.adds...)
	now := t.log.now().UnixMilli()
	for _, p := range order {
		id := t.appID(p)
		if txn, ok := s.txns[id]; !ok || at[p] > txn.Version {
			actions = append(actions, deltaAction{Txn: &deltaTxn{AppID: id, Version: at[p], LastUpdated: &now}})
		}
	}
	return actions, nil
}

// clear lets go of the spans.
func (t *table[R]) clear() {
	for i := range t.spans {
		t.spans[i].release()
	}
	clear(t.spans)
	t.spans = t.spans[:0]
	t.rows, t.bytes = 0, 0
	clear(t.next)
}

// Close gives up uncommitted rows.
func (t *table[R]) Close() error {
	if len(t.spans) > 0 {
		// A commit whose outcome is not known may have used the files.
		if t.failed == nil {
			t.files.discard(context.Background())
		}
		t.clear()
	}
	if t.failed == nil {
		t.failed = fmt.Errorf("%s: the sink is closed", t.name)
	}
	return nil
}
