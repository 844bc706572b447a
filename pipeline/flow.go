package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"archflow/ops"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// queue is the number of batches that may wait before a stage. It is short: a
// long queue hides back-pressure and costs latency and memory.
const queue = 4

// flow owns the goroutines and channels of one session. The first error ends
// all of them; nothing that was not committed by then is acknowledged.
type flow struct {
	ctx    context.Context
	group  *errgroup.Group
	report *ops.Telemetry
}

func newFlow(ctx context.Context, report *ops.Telemetry) *flow {
	group, ctx := errgroup.WithContext(ctx)
	return &flow{ctx, group, report}
}

// goes starts a goroutine of f. A panic in it ends f with an error that contains the
// name.
func (f *flow) goes(name string, work func() error) {
	f.group.Go(func() error { return caught(name, work) })
}

// wait returns when every goroutine of f has ended, with the first error.
func (f *flow) wait() error { return f.group.Wait() }

// stream carries batches from one stage to the next.
type stream struct {
	*flow
	batches chan *schemas.Batch
}

// source starts the flow: read emits batches until it is done. emit blocks
// while the next stage is busy; that is the back-pressure.
func (f *flow) source(read func(ctx context.Context, emit func(*schemas.Batch) error) error) stream {
	out := stream{f, make(chan *schemas.Batch, queue)}
	f.goes("source", func() error {
		defer close(out.batches)
		return read(f.ctx, out.send)
	})
	return out
}

// send hands b to the next stage.
func (s stream) send(b *schemas.Batch) error {
	select {
	case s.batches <- b:
		return nil
	case <-s.ctx.Done():
		b.Rows.Release()
		return s.ctx.Err()
	}
}

// measure announces a stage that takes from s.
func (s stream) measure(name string) *ops.Stage {
	meter := s.report.Metrics.Stage(name)
	meter.Queue(func() int { return len(s.batches) }, cap(s.batches))
	return meter
}

// turns lets several workers take batches and pass them on in the order in
// which they were taken: each waits for the one before it.
type turns struct {
	one  chan struct{} // holds one while nobody takes
	last chan struct{} // closed when the batch taken last has been passed on
}

// take returns the next batch, a channel to wait for before passing it on, and one to
// close after. There is no batch when in is closed or ctx has ended.
func (t *turns) take(ctx context.Context, in <-chan *schemas.Batch) (b *schemas.Batch, before <-chan struct{}, after chan struct{}) {
	select {
	case <-t.one:
	case <-ctx.Done():
		return nil, nil, nil
	}
	defer func() { t.one <- struct{}{} }()
	select {
	case b = <-in:
	case <-ctx.Done():
	}
	if b != nil {
		before, after = t.last, make(chan struct{})
		t.last = after
	}
	return b, before, after
}

// through runs a stage in several goroutines, each with a stage of its own. Batches
// leave in the order in which they came.
func (s stream) through(name string, workers int, newStage func() stages.Stage) stream {
	out := stream{s.flow, make(chan *schemas.Batch, queue)}
	meter := s.measure(name)
	started := make(chan struct{})
	close(started)
	order := &turns{one: make(chan struct{}, 1), last: started}
	order.one <- struct{}{}
	var running sync.WaitGroup
	running.Add(workers)
	for range workers {
		s.goes(name, func() error {
			defer running.Done()
			worker := meter.Worker()
			defer worker.Stop()
			stage := newStage()
			for {
				worker.Idle()
				b, before, after := order.take(s.ctx, s.batches)
				if b == nil {
					return s.ctx.Err()
				}
				worker.Busy()
				rows := int(b.Rows.NumRows())
				ctx, err := s.process(name, stage, b)
				if err != nil {
					return err
				}
				passed := int(b.Rows.NumRows())
				worker.Blocked()
				select {
				case <-before:
				case <-s.ctx.Done():
					// Passing b on now could leave out the batch before it.
					b.Rows.Release()
					return s.ctx.Err()
				}
				if err := out.send(b); err != nil {
					return err
				}
				close(after)
				worker.Done(ctx, rows, passed)
			}
		})
	}
	s.group.Go(func() error {
		running.Wait()
		close(out.batches)
		return nil
	})
	return out
}

// process takes one batch through a stage, in a span of its own.
func (s stream) process(name string, stage stages.Stage, b *schemas.Batch) (context.Context, error) {
	tracer, info := s.report.Tracer, describe(b)
	info.Model = s.modelsOf(b)
	ctx, span := tracer.Batch(s.ctx, name, info, b.Trace, producers(b))
	before := len(b.Rejects)
	err := guard(name, b, func() error { return stage.Process(ctx, b) })
	var fault *stagePanic
	if errors.As(err, &fault) {
		span.End(ops.Result{Err: err})
		return ctx, err // the stage may have released b
	}
	info.Model = s.modelsOf(b)
	b.Trace = span.End(ops.Result{RowsOut: int(b.Rows.NumRows()), Rejects: len(b.Rejects) - before, Model: info.Model, Err: err})
	follow(b, tracer.Messages(name, info, b.Trace, producers(b), span.Start(), time.Now()))
	if err != nil {
		return ctx, fmt.Errorf("%s: %s partition %d, offsets %d to %d: %w", name, b.Topic, b.Number, b.First, b.Next-1, err)
	}
	for _, d := range b.Rejects[before:] {
		s.report.Metrics.DeadLetters(d.Class, 1)
		tracer.DeadLetter(info, d.Offset, traceparent(d.Headers), d.Class, d.Reason)
	}
	pass(s.report.Taps, name, b)
	return ctx, nil
}

// commitPolicy says when a sink commits: once it holds Rows rows or, if Bytes is not 0,
// Bytes bytes; once Every has passed since its last commit; when it is Eager, as soon
// as no batch waits for it; or when the source is Pressed, waiting for memory that
// uncommitted batches hold. A quiet stream is answered at once, a busy one in large commits.
type commitPolicy struct {
	Rows    int
	Bytes   int
	Every   time.Duration
	Eager   bool
	Pressed func() bool // may be nil
}

// pressedEvery is how often a sink that holds batches checks whether the source is pressed.
const pressedEvery = 250 * time.Millisecond

// committing describes a commit for telemetry: the name of its stage, the sink's when
// empty, and for a sink that writes to a topic the operation and the topic. committed,
// which may be nil, is called for every batch after its commit.
type committing struct {
	stage     string
	operation ops.Operation
	to        string
	committed func(*schemas.Batch)
}

// into gives every batch to a sink and passes it on once the sink has committed
// it, so that a later sink is never ahead of an earlier one.
func (s stream) into(sink sinks.Sink, policy commitPolicy, as committing) stream {
	out := stream{s.flow, make(chan *schemas.Batch, queue)}
	if as.stage == "" {
		as.stage = sink.Name()
	}
	meter := s.measure(as.stage)
	s.goes(as.stage, func() error {
		defer close(out.batches)
		worker := meter.Worker()
		defer worker.Stop()
		timer := time.NewTimer(policy.Every)
		defer timer.Stop()
		look := time.NewTicker(pressedEvery)
		defer look.Stop()
		var held []*schemas.Batch
		for open := true; open; {
			worker.Idle()
			var b *schemas.Batch
			select {
			case b, open = <-s.batches:
			case <-timer.C:
			case <-look.C:
				if len(held) == 0 || policy.Pressed == nil || !policy.Pressed() {
					continue
				}
			case <-s.ctx.Done():
				return s.ctx.Err()
			}
			worker.Busy()
			if b != nil {
				kept := *b
				kept.Rows.Retain()
				held = append(held, &kept)
				if err := guard(as.stage, b, func() error { return sink.Write(s.ctx, b) }); err != nil {
					return fmt.Errorf("write to %s: %s partition %d, offsets %d to %d: %w", sink.Name(), kept.Topic, kept.Number, kept.First, kept.Next-1, err)
				}
				rows, bytes := sink.Pending()
				full := rows >= policy.Rows || policy.Bytes > 0 && bytes >= policy.Bytes
				if !full && (!policy.Eager || len(s.batches) > 0) {
					continue
				}
			}
			if len(held) > 0 {
				if err := s.commit(sink, as, held); err != nil {
					return err
				}
			}
			worker.Blocked()
			for _, b := range held {
				worker.Done(s.ctx, int(b.Rows.NumRows()), int(b.Rows.NumRows()))
				if err := out.send(b); err != nil {
					return err
				}
			}
			held = held[:0]
			timer.Reset(policy.Every)
		}
		return nil
	})
	return out
}

// commit makes the sink's batches durable, in a span of its own.
func (s stream) commit(sink sinks.Sink, as committing, held []*schemas.Batch) error {
	began := time.Now()
	rows, bytes := sink.Pending()
	info := describe(held[len(held)-1])
	info.Operation, info.To, info.Model = as.operation, as.to, s.modelsOf(held...)
	info.First, info.Rows, info.Bytes = held[0].First, rows, bytes
	ctx, span := s.report.Tracer.Batch(s.ctx, as.stage, info, held[len(held)-1].Trace, nil)
	err := sink.Commit(ctx)
	committed := span.End(ops.Result{RowsOut: rows, Err: err})
	if err != nil {
		s.report.Metrics.CommitFailed(sink.Name())
		return fmt.Errorf("commit to %s: %w", sink.Name(), err)
	}
	s.report.Metrics.Commit(ctx, sink.Name(), rows, time.Since(began))
	for _, b := range held {
		b.Trace = committed
		of := describe(b)
		of.Operation, of.To, of.Model = as.operation, as.to, info.Model
		follow(b, s.report.Tracer.Messages(as.stage, of, committed, producers(b), began, time.Now()))
		pass(s.report.Taps, as.stage, b)
		if as.committed != nil {
			as.committed(b)
		}
	}
	return nil
}

// slack buffers up to rows and bytes in front of a stage that stalls now and then. A
// queue of batches cannot do that: on a quiet stream, whose batches are small, it is
// full in a moment and then blocks the stages before it.
func (s stream) slack(rows, bytes int) stream {
	out := stream{s.flow, make(chan *schemas.Batch, queue)}
	s.goes("slack", func() error {
		defer close(out.batches)
		var held []*schemas.Batch
		var sizes []size // of those, which are the next stage's once they are sent
		left := size{rows, bytes}
		for in := s.batches; in != nil || len(held) > 0; {
			from, to, first := in, (chan *schemas.Batch)(nil), (*schemas.Batch)(nil)
			if left.rows <= 0 || left.bytes <= 0 {
				from = nil
			}
			if len(held) > 0 {
				to, first = out.batches, held[0]
			}
			select {
			case b := <-from:
				if b == nil {
					in = nil
					continue
				}
				of := sizeOf(b)
				held, sizes = append(held, b), append(sizes, of)
				left.rows, left.bytes = left.rows-of.rows, left.bytes-of.bytes
			case to <- first:
				left.rows, left.bytes = left.rows+sizes[0].rows, left.bytes+sizes[0].bytes
				held, sizes = held[1:], sizes[1:]
			case <-s.ctx.Done():
				for _, b := range held {
					b.Rows.Release()
				}
				return s.ctx.Err()
			}
		}
		return nil
	})
	return out
}

// size is a batch's share of a bound.
type size struct{ rows, bytes int }

func sizeOf(b *schemas.Batch) size {
	of := size{int(b.Rows.NumRows()) + len(b.Rejects) + 1, schemas.RecordBytes(b.Rows)}
	for i := range b.Rejects {
		of.bytes += len(b.Rejects[i].Value)
	}
	return of
}

// shed passes every batch to last and then drops its rows: the stages behind need only
// positions and rejections, and may hold batches for long.
func (s stream) shed(last func(*schemas.Batch)) stream {
	out := stream{s.flow, make(chan *schemas.Batch)}
	s.goes("page", func() error {
		defer close(out.batches)
		for b := range s.batches {
			last(b)
			b.Rows.Release()
			b.Rows, b.Followed = schemas.NoPredictions(), nil
			b.Held.Keep(b.RejectBytes())
			if err := out.send(b); err != nil {
				return err
			}
		}
		return nil
	})
	return out
}

// end calls done for each batch that the last sink has committed.
func (s stream) end(done func(*schemas.Batch)) {
	s.goes("end", func() error {
		for b := range s.batches {
			done(b)
			b.Rows.Release()
			b.Held.Keep(0)
		}
		return nil
	})
}

// maxModels bounds the models that a span names.
const maxModels = 4

// modelsOf names the models that answered the rows of batches; "" while they have
// no predictions, and where nothing is traced.
func (s stream) modelsOf(batches ...*schemas.Batch) string {
	if !s.report.Tracer.On() {
		return ""
	}
	var names []string
	for _, b := range batches {
		if !b.Rows.Schema().HasField("model") {
			continue
		}
		last := schemas.NoSymbol
		for _, model := range schemas.ViewPredictions(b.Rows).Model {
			if model == last || model == schemas.NoSymbol {
				continue
			}
			last = model
			if name := schemas.Name(model); !slices.Contains(names, name) && len(names) < maxModels {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, ",")
}

// describe returns the attributes of a batch's span.
func describe(b *schemas.Batch) ops.BatchInfo {
	return ops.BatchInfo{Topic: b.Topic, Partition: b.Number, First: b.First, Next: b.Next, Rows: int(b.Rows.NumRows())}
}

func producers(b *schemas.Batch) []ops.Producer {
	if len(b.Followed) == 0 {
		return nil
	}
	list := make([]ops.Producer, len(b.Followed))
	for i, f := range b.Followed {
		list[i] = ops.Producer(f)
	}
	return list
}

func follow(b *schemas.Batch, next []ops.Producer) {
	if next == nil {
		return
	}
	b.Followed = make([]schemas.Followed, len(next))
	for i, p := range next {
		b.Followed[i] = schemas.Followed(p)
	}
}

func traceparent(headers []schemas.Header) []byte {
	for _, h := range headers {
		if h.Name == "traceparent" {
			return h.Value
		}
	}
	return nil
}
