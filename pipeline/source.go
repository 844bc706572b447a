package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"golang.org/x/sync/errgroup"

	"archflow/ops"
	"archflow/schemas"
	"archflow/sinks"
)

// source reads partitions from positions on. Each partition is read by its own
// goroutine, so that the order within it is kept and one slow leader does not
// hold up the others.
type source struct {
	open     func(p schemas.Partition, from int64) *PartitionReader
	from     map[schemas.Partition]int64
	until    map[schemas.Partition]int64 // where to stop; nil: never
	schedule map[schemas.Partition][]sinks.Segment
	report   *ops.Telemetry
	stage    string
}

// read emits batches of all partitions until stop ends or each has reached its
// end. It returns nil then: what was emitted is to be finished.
func (s *source) read(ctx, stop context.Context, emit func(*schemas.Batch) error) error {
	readers, ctx := errgroup.WithContext(ctx)
	meter := s.report.Metrics.Stage(s.stage)
	for p, from := range s.from {
		readers.Go(func() error {
			worker := meter.Worker()
			defer worker.Stop()
			defer s.report.Metrics.Forget(p.Topic, p.Number)
			return s.partition(ctx, stop, worker, s.open(p, from), from, emit)
		})
	}
	return readers.Wait()
}

func (s *source) partition(ctx, stop context.Context, worker *ops.Worker, reader *PartitionReader, at int64, emit func(*schemas.Batch) error) error {
	p := reader.Partition
	until, bounded := s.until[p]
	fetch, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(stop, cancel)()
	for pause := newPause(); !bounded || at < until; {
		worker.Idle()
		messages, next, end, err := reader.Fetch(fetch)
		if stop.Err() != nil || ctx.Err() != nil {
			return ctx.Err()
		}
		worker.Busy()
		b := &schemas.Batch{Partition: p, First: at, Next: next, End: end}
		var lost *LostError
		var poison *PoisonError
		switch {
		case errors.As(err, &lost):
			return err
		case errors.As(err, &poison):
			b.Next = poison.Next
			b.Rejects = append(b.Rejects, schemas.DeadLetter{
				Partition: p, Offset: poison.First, Time: time.Now().UnixMilli(), Class: schemas.ClassUnreadable, Reason: poison.Error(),
			})
			reader.Seek(poison.Next)
		case err != nil:
			s.report.Log.WarnContext(ctx, "cannot fetch; trying again", "topic", p.Topic, "partition", p.Number, "error", err)
			if pause.wait(fetch) != nil {
				return ctx.Err()
			}
			continue
		case next == at:
			s.lag(p, b, nil)
			continue
		}
		pause.reset()
		at = b.Next
		s.lag(p, b, &messages)
		s.begin(ctx, b, &messages)
		rows := messages.Len()
		for _, part := range cut(b, &messages, s.schedule[p]) {
			worker.Blocked()
			if err := emit(part); err != nil {
				return err
			}
		}
		worker.Done(ctx, rows, rows)
	}
	return nil
}

// begin starts the batch's span and finds the candidates whose own trace goes
// on.
func (s *source) begin(ctx context.Context, b *schemas.Batch, m *schemas.Messages) {
	tracer := s.report.Tracer
	if !tracer.On() {
		return
	}
	info := ops.BatchInfo{Topic: b.Topic, Partition: b.Number, First: b.First, Next: b.Next, Rows: m.Len(), Bytes: len(m.Value.Data)}
	list := tracer.Producers(m.Len(), func(row int) ([]byte, int64) { return m.Header(row, "traceparent"), m.Offset[row] })
	_, span := tracer.Batch(ctx, s.stage, info, b.Trace, list)
	b.Trace = span.End(ops.Result{RowsOut: m.Len()})
	follow(b, tracer.Messages(s.stage, info, b.Trace, list, span.Start(), time.Now()))
}

// lag reports how far behind the partition's end we are, in messages and in
// the age of the message that was read last.
func (s *source) lag(p schemas.Partition, b *schemas.Batch, m *schemas.Messages) {
	behind := max(b.End-b.Next, 0)
	var age time.Duration
	if behind > 0 && m != nil && m.Len() > 0 {
		age = max(time.Since(time.UnixMilli(m.Time[m.Len()-1])), 0)
	}
	s.report.Metrics.Lag(p.Topic, p.Number, behind, age)
}

// cut turns messages into batches, one for each model generation that answered
// them when they were read before; what was never answered gets the newest.
func cut(b *schemas.Batch, m *schemas.Messages, schedule []sinks.Segment) []*schemas.Batch {
	var parts []*schemas.Batch
	first := 0
	for _, seg := range schedule {
		if seg.Next <= b.First {
			continue
		}
		if b.Next <= seg.First {
			break
		}
		at := first
		for at < m.Len() && m.Offset[at] < seg.Next {
			at++
		}
		part := *b
		part.Next = min(b.Next, seg.Next)
		part.Registry = seg.Registry
		part.Rows = slice(m, first, at)
		part.Rejects = rejectsOf(b, part.First, part.Next)
		parts = append(parts, &part)
		first, b.First = at, part.Next
	}
	if b.First < b.Next {
		b.Rows = slice(m, first, m.Len())
		b.Rejects = rejectsOf(b, b.First, b.Next)
		parts = append(parts, b)
	}
	return parts
}

func rejectsOf(b *schemas.Batch, first, next int64) []schemas.DeadLetter {
	var list []schemas.DeadLetter
	for _, d := range b.Rejects {
		if first <= d.Offset && d.Offset < next {
			list = append(list, d)
		}
	}
	return list
}

// lowest returns where to begin reading: for each partition the lowest position
// of all sinks, or the first offset that the broker has where a sink has none.
func lowest(ctx context.Context, start func(schemas.Partition) (int64, error), partitions []schemas.Partition, all ...sinks.Sink) (map[schemas.Partition]int64, error) {
	from := map[schemas.Partition]int64{}
	for _, s := range all {
		positions, err := s.Positions(ctx, partitions)
		if err != nil {
			return nil, fmt.Errorf("positions of %s: %w", s.Name(), err)
		}
		for _, p := range partitions {
			at, known := positions[p]
			if !known {
				if at, err = start(p); err != nil {
					return nil, err
				}
			}
			if low, seen := from[p]; !seen || at < low {
				from[p] = at
			}
		}
	}
	return from, nil
}

// slice returns the messages first <= i < last as a record.
func slice(m *schemas.Messages, first, last int) arrow.Record {
	if first == 0 && last == m.Len() {
		return m.Record()
	}
	var part schemas.Messages
	for i := first; i < last; i++ {
		part.AppendFrom(&m.Envelope, i)
		part.Value.Append(m.Value.At(i))
	}
	return part.Record()
}
