package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"golang.org/x/sync/errgroup"

	"archflow/internal/kafka"
	"archflow/ops"
	"archflow/schemas"
	"archflow/sinks"
)

// source reads partitions from positions on. Each partition is read by its own
// goroutine, so that the order within it is kept and one slow leader does not
// hold up the others.
type source struct {
	open     func(p schemas.TopicPartition, from int64) *kafka.PartitionReader
	from     map[schemas.TopicPartition]int64
	until    map[schemas.TopicPartition]int64 // where to stop; nil: never
	past     map[schemas.TopicPartition]sinks.Past
	report   *ops.Telemetry
	stage    string
	lag      *lag                                         // may be nil
	behind   func(p schemas.TopicPartition, unread int64) // may be nil
	records  bool                                         // this session records rejections
	skipLost bool                                         // go on after messages that retention has deleted
	suspects *suspects                                    // may be nil
	budget   *kafka.Budget                                // of memory for messages that were read and are under way
}

// read emits batches of all partitions until stop ends or each has reached its end. It
// returns nil then: the emitted batches are to be finished.
func (s *source) read(ctx, stop context.Context, emit func(*schemas.Batch) error) error {
	readers, ctx := errgroup.WithContext(ctx)
	meter := s.report.Metrics.Stage(s.stage)
	for p, from := range s.from {
		readers.Go(func() error {
			worker := meter.Worker()
			defer worker.Stop()
			if s.lag != nil {
				s.lag.begin(p, from)
				defer s.lag.forget(p)
			}
			defer s.unread(p, 0)
			return s.partition(ctx, stop, worker, s.open(p, from), from, emit)
		})
	}
	return readers.Wait()
}

func (s *source) partition(ctx, stop context.Context, worker *ops.Worker, reader *kafka.PartitionReader, at int64, emit func(*schemas.Batch) error) error {
	p := reader.TopicPartition
	until, bounded := s.until[p]
	fetch, cancel := context.WithCancel(ctx)
	defer cancel()
	unhook := context.AfterFunc(stop, cancel)
	defer unhook()
	for pause := kafka.NewBackoff(); !bounded || at < until; {
		worker.Idle()
		messages, next, end, err := reader.Fetch(fetch)
		if stop.Err() != nil || ctx.Err() != nil {
			return ctx.Err()
		}
		worker.Busy()
		if d := reader.Throttled(); d > 0 {
			s.report.Log.WarnContext(ctx, "the broker slows this client down: a quota of its user or client id is used up", "topic", p.Topic, "partition", p.Number, "pause", d)
		}
		s.unreadable(ctx, reader)
		b := &schemas.Batch{TopicPartition: p, First: at, Next: next, End: end}
		var lost *kafka.LostError
		var poison *kafka.PoisonError
		switch {
		case errors.As(err, &lost) && s.skipLost && lost.Want < lost.Start:
			s.report.Log.WarnContext(ctx, "going on without what retention has deleted", "topic", p.Topic, "partition", p.Number, "first", lost.Want, "messages", lost.Start-lost.Want)
			b.Next = lost.Start
			s.lossOf(b, lost.Want, schemas.ClassLost, lost)
			reader.SkipTo(lost.Start)
		case errors.As(err, &lost):
			return err
		case errors.As(err, &poison):
			b.Next = poison.Next
			s.lossOf(b, poison.First, schemas.ClassUnreadable, poison)
			reader.SkipTo(poison.Next)
		case err != nil:
			s.report.Log.WarnContext(ctx, "cannot fetch; trying again", "topic", p.Topic, "partition", p.Number, "error", err)
			if pause.Wait(fetch) != nil {
				return ctx.Err()
			}
			continue
		case next == at:
			s.fetched(b, nil)
			continue
		}
		pause.Reset()
		at, b.Null = b.Next, messages.Null
		s.fetched(b, &messages)
		s.begin(ctx, b, &messages)
		rows := messages.Len()
		parts := divide(b, &messages, s.past[p])
		if s.budget != nil && rows > 0 {
			// On the last, which is the last to be done with.
			parts[len(parts)-1].Held = schemas.Held{Bytes: reader.Held(), Of: s.budget}
		}
		for _, part := range parts {
			if err := s.emit(worker, part, emit); err != nil {
				return err
			}
		}
		worker.Done(ctx, rows, rows)
	}
	return nil
}

// unreadable warns of messages that an open transaction of their publisher keeps from
// being read.
func (s *source) unreadable(ctx context.Context, reader *kafka.PartitionReader) {
	if s.lag == nil {
		return
	}
	if warn, since := s.lag.openTransaction(reader.TopicPartition, reader.Open(), time.Now()); warn {
		s.report.Log.WarnContext(ctx, "messages cannot be read: a transaction of their publisher is open; if it lasts, look for a publisher that hangs: kafka-transactions.sh find-hanging",
			"topic", reader.Topic, "partition", reader.Number, "messages", reader.Open(), "since", since.Round(time.Second))
	}
}

// emit passes b on, in parts where messages are under suspicion.
func (s *source) emit(worker *ops.Worker, b *schemas.Batch, emit func(*schemas.Batch) error) error {
	parts := s.isolate(b)
	for i, part := range parts {
		if i < len(parts)-1 {
			part.Held = schemas.Held{}
		}
		pass(s.report.Taps, s.stage, part)
		worker.Blocked()
		if err := emit(part); err != nil {
			return err
		}
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
	info := ops.BatchInfo{Operation: ops.Receive, Topic: b.Topic, Partition: b.Number, First: b.First, Next: b.Next, Rows: m.Len(), Bytes: len(m.Value.Data)}
	list := tracer.Producers(m.Len(), func(row int) ([]byte, int64) { return m.Header(row, "traceparent"), m.Offset[row] })
	_, span := tracer.Batch(ctx, s.stage, info, b.Trace, list)
	b.Trace = span.End(ops.Result{RowsOut: m.Len()})
	follow(b, tracer.Messages(s.stage, info, b.Trace, list, span.Start(), time.Now()))
}

// fetched records how far a partition was read and how much is left.
func (s *source) fetched(b *schemas.Batch, m *schemas.Messages) {
	if s.lag != nil {
		s.lag.read(b.TopicPartition, m, b.Next, b.End)
	}
	s.unread(b.TopicPartition, max(b.End-b.Next, 0))
}

func (s *source) unread(p schemas.TopicPartition, messages int64) {
	if s.behind != nil {
		s.behind(p, messages)
	}
}

// divide turns messages into batches, one for each version of the registry that answered
// them before; messages that were never answered get the newest.
func divide(b *schemas.Batch, m *schemas.Messages, past sinks.Past) []*schemas.Batch {
	var parts []*schemas.Batch
	row := 0
	for at := b.First; at < b.Next; {
		part := *b
		part.First = at
		part.Registry, part.Next = past.Stretch(at, b.Next)
		first := row
		for row < m.Len() && m.Offset[row] < part.Next {
			row++
		}
		part.Rows = slice(m, first, row)
		part.Rejects = rejectsOf(b, part.First, part.Next)
		parts = append(parts, &part)
		at = part.Next
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

// positioned keeps positions: every sink does, and the trainer's state.
type positioned interface {
	Name() string
	Positions(ctx context.Context, of []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error)
}

// lowest returns where to begin reading: for each partition the lowest position
// of all, or -1, the first offset that the broker has, where one has none.
func lowest(ctx context.Context, partitions []schemas.TopicPartition, all ...positioned) (map[schemas.TopicPartition]int64, error) {
	from := map[schemas.TopicPartition]int64{}
	for _, keeper := range all {
		positions, err := keeper.Positions(ctx, partitions)
		if err != nil {
			return nil, fmt.Errorf("positions of %s: %w", keeper.Name(), err)
		}
		for _, p := range partitions {
			at, known := positions[p]
			if !known {
				at = -1
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
	return copied(m, first, last)
}

// copied returns a copy of the messages first <= i < last as a record.
func copied(m *schemas.Messages, first, last int) arrow.Record {
	var part schemas.Messages
	for i := first; i < last; i++ {
		part.AppendFrom(&m.Envelope, i)
		part.Value.Append(m.Value.At(i))
	}
	return part.Record()
}
