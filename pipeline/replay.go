package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// replay repeats, in the same order, every step of the journal after the checkpoint. It
// ends with the same bits, and with the same rows for the labels table, as the trainer
// that took the steps first: rows are taken one by one, so that the batches do not
// matter, and a piece of work is a function of the state. It gives up when stop ends;
// the journal keeps everything, and it stores checkpoints on the way.
func (t *trainer) replay(ctx, stop context.Context, entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(stop, cancel)()
	t.pacer.begin(ctx, func(bool) {})
	again := &again{trainer: t, decode: stages.NewDecode(t.config.Limits()), open: map[schemas.TopicPartition]*kafka.PartitionReader{}, held: map[schemas.TopicPartition]held{}}
	began, warned, last := time.Now(), false, time.Now()
	for _, e := range entries {
		if e.Settings != t.journal.settings && !warned {
			warned = true
			t.report.Log.WarnContext(ctx, "the settings have changed since the last checkpoint: what came after it is learnt again under the new ones", "before", e.Settings, "now", t.journal.settings)
		}
		for _, s := range e.Steps {
			if err := again.step(ctx, s); err != nil {
				return fmt.Errorf("replay of %s: %w", journalKey(e.number), err)
			}
		}
		if time.Since(last) > t.config.Checkpoint && t.stage.Quiet() {
			if err := t.commit(ctx); err != nil {
				return err
			}
			if err := t.checkpoint(ctx, e.number); err != nil {
				return err
			}
			last = time.Now()
		}
	}
	t.report.Log.InfoContext(ctx, "the journal was taken again", "entries", len(entries), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// again repeats steps. It reads each partition as far as a step goes and holds the
// messages after it.
type again struct {
	*trainer
	decode *stages.Decode
	open   map[schemas.TopicPartition]*kafka.PartitionReader
	held   map[schemas.TopicPartition]held
}

// held are messages of a partition that were read and belong to later steps.
type held struct {
	messages schemas.Messages
	row      int   // first that is left
	next     int64 // offset that was read up to
}

func (a *again) step(ctx context.Context, s step) error {
	for range s.Work {
		l, progress, _, err := a.stage.Work(ctx, s.mode())
		if err != nil {
			return err
		}
		a.decided.worked(l, progress.Challenger, a.labelPositions())
		if progress.Challenger != nil {
			a.dashboard.fitted(l, nil)
		}
	}
	if s.Work > 0 {
		return nil
	}
	p := schemas.TopicPartition{Topic: s.Topic, Number: s.Partition}
	if _, known := a.positions[p]; !known {
		a.positions[p] = s.Next
		return nil
	}
	if s.Skipped {
		a.skip(p, s.Next)
	}
	for at := a.positions[p]; at < s.Next; {
		b, err := a.read(ctx, p, at, s.Next)
		if err != nil {
			return err
		}
		if err := a.take(ctx, b); err != nil {
			return err
		}
		at = b.Next
		a.positions[p] = at
	}
	return nil
}

// skip goes on behind messages that were never taken.
func (a *again) skip(p schemas.TopicPartition, next int64) {
	a.positions[p] = next
	delete(a.held, p)
	delete(a.open, p) // it is opened behind them
}

// take gives a batch to the train stage. Rejections are recorded by the session
// that follows, which reads labels from the lowest position of its sinks.
func (a *again) take(ctx context.Context, b *schemas.Batch) error {
	defer func() { b.Rows.Release() }()
	if b.Topic != a.Topics.Labels {
		if err := a.decode.Process(ctx, b); err != nil {
			return err
		}
		a.stage.Candidates(b)
		return nil
	}
	rows := a.stage.Labels(b, b.First)
	err := a.table.Append(ctx, b.TopicPartition, b.First, b.Next, labelRows(rows))
	if errors.Is(err, sinks.ErrGap) {
		return nil // the table was set back; the session reads from there
	}
	return err
}

// topicPatience is how long a partition may end before an offset that was
// read before: a broker that has just started may not know all of it yet.
const topicPatience = 30 * time.Second

// read returns the messages of a partition from at on, up to next or as far as
// one answer goes.
func (a *again) read(ctx context.Context, p schemas.TopicPartition, at, next int64) (*schemas.Batch, error) {
	h := a.held[p]
	reader := a.open[p]
	if reader == nil {
		reader = kafka.OpenPartition(a.Client, p, at, kafka.Limits{Bytes: fetchBytes(), Value: a.config.longestValue()})
		a.open[p] = reader
	}
	since := time.Now()
	for pause := kafka.NewBackoff(); h.next <= at; {
		messages, upTo, end, err := reader.Fetch(ctx)
		var poison *kafka.PoisonError
		var lost *kafka.LostError
		switch {
		case errors.As(err, &poison):
			reader.SkipTo(poison.Next)
			h = held{next: poison.Next}
			continue
		case errors.As(err, &lost) && a.config.SkipLost && lost.Want < lost.Start:
			a.report.Log.WarnContext(ctx, "going on without what retention has deleted of the trainer's past", "topic", p.Topic, "partition", p.Number, "first", lost.Want, "messages", lost.Start-lost.Want)
			reader.SkipTo(lost.Start)
			h = held{next: lost.Start}
			continue
		case errors.As(err, &lost):
			return nil, err
		case err == nil && upTo > at:
			h = held{messages: messages, next: upTo}
			continue
		case err == nil && time.Since(since) > topicPatience:
			return nil, &kafka.LostError{TopicPartition: p, Want: next, Start: at, End: end}
		}
		if err != nil && ctx.Err() == nil {
			a.report.Log.WarnContext(ctx, "cannot fetch; trying again", "topic", p.Topic, "partition", p.Number, "error", err)
		}
		if err := pause.Wait(ctx); err != nil {
			return nil, err
		}
	}
	b := &schemas.Batch{TopicPartition: p, First: at, Next: min(next, h.next), End: h.next, Null: h.messages.Null}
	first := h.row
	for h.row < h.messages.Len() && h.messages.Offset[h.row] < b.Next {
		h.row++
	}
	b.Rows = slice(&h.messages, first, h.row)
	a.held[p] = h
	return b, nil
}
