package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"archflow/encoders/learner"
	"archflow/internal/kafka"
	"archflow/ops"
	"archflow/schemas"
)

// train joins candidates and labels in the train stage and passes the labels'
// batches on, without rows, so that their rejections are recorded. Between
// batches it trains, as long as something is due.
func (t *trainer) train(stop context.Context, candidates, labels stream) stream {
	out := stream{candidates.flow, make(chan *schemas.Batch, queue)}
	meter := candidates.measure(stageTrain)
	out.goes(stageTrain, func() error {
		defer close(out.batches)
		worker := meter.Worker()
		defer worker.Stop()
		err := t.run(stop, worker, candidates, labels, out)
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		ctx := context.WithoutCancel(out.ctx)
		if err := t.store(ctx); err != nil {
			return err
		}
		return t.decisions(ctx)
	})
	return out
}

// run takes input first, then works; it returns when stop has ended or, with
// exit-at-end, when there is neither input nor work left. This one goroutine uses
// the learners, the journal and the labels table.
func (t *trainer) run(stop context.Context, worker *ops.Worker, candidates, labels, out stream) error {
	at := newTicks(t.config)
	defer at.stop()
	defer t.training.Store(false)
	arrived, arrivedLabels := candidates.batches, labels.batches
	t.labelsWait = func() bool { return len(labels.batches) > 0 }
	for arrived != nil || arrivedLabels != nil || t.held.batch != nil || t.due() {
		t.training.Store(t.due())
		next, released := arrivedLabels, t.release(arrived == nil)
		if t.held.batch != nil {
			next = nil
		}
		input := len(arrived) > 0 || len(arrivedLabels) > 0 || t.held.batch != nil
		work, later := t.turn(input)
		idle := t.idle(work != nil || input)
		worker.Idle()
		var err error
		select {
		case <-out.ctx.Done():
			return out.ctx.Err()
		case <-stopped(stop, arrived == nil && arrivedLabels == nil && t.held.batch == nil):
			return nil
		case b, open := <-arrived:
			worker.Busy()
			if !open {
				arrived = nil
				continue
			}
			err = guard(stageTrain, b, func() error { return t.observe(out.ctx, worker, b) })
		case b, open := <-next:
			worker.Busy()
			if !open {
				arrivedLabels = nil
				continue
			}
			t.hold(out.ctx, b)
		case <-released:
			worker.Busy()
			b := t.takeHeld()
			err = guard(stageTrain, b, func() error { return t.label(out, worker, b) })
		case <-at.table.C:
			worker.Busy()
			err = t.keep(out.ctx)
		case <-at.journal.C:
			worker.Busy()
			err = t.journal.append(out.ctx)
		case <-at.decisions.C:
			worker.Busy()
			err = t.decisions(out.ctx)
		case <-at.checkpoint.C:
			worker.Busy()
			err = t.store(out.ctx)
		case <-work:
			worker.Busy()
			err = t.work(out.ctx, stop, worker)
		case <-idle:
			if t.stage.Unprepared() != nil {
				worker.Busy()
				err = t.prepare(out.ctx, stop, worker)
			}
		case <-later:
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ticks are the times at which a trainer makes its state durable.
type ticks struct {
	table, journal, decisions, checkpoint *time.Ticker
}

func newTicks(c *Config) ticks {
	return ticks{time.NewTicker(c.TableInterval), time.NewTicker(journalEvery), time.NewTicker(considerEvery), time.NewTicker(c.Checkpoint)}
}

func (t ticks) stop() {
	for _, tick := range []*time.Ticker{t.table, t.journal, t.decisions, t.checkpoint} {
		tick.Stop()
	}
}

// always is a channel that always has something.
var always = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// turn says whether to work now, or when to look again. Input comes first.
func (t *trainer) turn(input bool) (work <-chan struct{}, later <-chan time.Time) {
	if input || !t.due() {
		return nil, nil
	}
	wait := time.Until(t.notBefore)
	if !t.stage.Due(t.mode()) {
		wait = max(wait, time.Until(t.eager.from)) // only labels that are few
	}
	if wait > 0 {
		return nil, time.After(wait)
	}
	return always, nil
}

// idle says when to look whether a fit can be prepared for.
func (t *trainer) idle(busy bool) <-chan time.Time {
	if busy || t.due() {
		t.idleSince = time.Time{}
		return nil
	}
	if t.idleSince.IsZero() {
		t.idleSince = time.Now()
	}
	if t.stage.Unprepared() == nil {
		return nil
	}
	return time.After(max(prepareAfter-time.Since(t.idleSince), time.Until(t.prepareFrom), 0))
}

// stopped is stop's channel once the sources have ended. Until then the sources watch
// stop themselves, and run takes the batches that they have read.
func stopped(stop context.Context, drained bool) <-chan struct{} {
	if !drained {
		return nil
	}
	return stop.Done()
}

// keep commits the labels table and updates metrics and the dashboard.
func (t *trainer) keep(ctx context.Context) error {
	if err := t.commit(ctx); err != nil {
		return err
	}
	if t.grown(ctx) {
		return errGrown
	}
	for _, l := range t.stage.Learners() {
		t.remembers(l)
		t.waiting(ctx, l)
	}
	return nil
}

// remembers reports how many networks a learner has in its buffer.
func (t *trainer) remembers(l *learner.Learner) {
	t.report.Metrics.Replay(l.Space(), l.Networks())
	t.dashboard.remembers(l)
}

// decisions publishes the decisions since the last call.
func (t *trainer) decisions(ctx context.Context) error {
	if t.labelled {
		t.labelled = false
		t.scores()
		if err := t.announce(ctx); err != nil {
			return err
		}
	}
	return t.consider(ctx)
}

// errGrown ends a session so that the next one reads the new partitions.
var errGrown = errors.New("a topic has more partitions than before")

// grownEvery is how often the trainer looks for new partitions: no group assigns them to
// it.
const grownEvery = 5 * time.Second

// grown says whether the topic of candidates or that of labels has got more
// partitions.
func (t *trainer) grown(ctx context.Context) bool {
	if time.Since(t.looked) < grownEvery {
		return false
	}
	t.looked = time.Now()
	counts := map[string]*atomic.Int64{t.Topics.Architectures: &t.counts.candidates, t.Topics.Labels: &t.counts.labels}
	have, err := kafka.PartitionCounts(ctx, t.Client, []string{t.Topics.Architectures, t.Topics.Labels})
	if err != nil {
		return false // a broker that is away is noticed elsewhere
	}
	more := false
	for topic, count := range counts {
		if int64(have[topic]) > count.Load() {
			count.Store(int64(have[topic]))
			more = true
		}
	}
	return more
}

// standBy waits while another process trains; with exit-at-end, until that has
// taken the labels.
func (p *Process) standBy(stop context.Context, a kafka.Assignment) error {
	p.report.Log.InfoContext(stop, "standing by: another process of the group trains")
	if p.config.ExitAtEnd {
		return p.waitDrained(stop, a.Group, p.labelPartitions())
	}
	<-stop.Done()
	return nil
}
