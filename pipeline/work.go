package pipeline

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"archflow/encoders"
	"archflow/encoders/learner"
	"archflow/ops"
	"archflow/stages"
)

// due says that there is work, be it for labels that are few.
func (t *trainer) due() bool { return t.stage.Due(stages.Mode{Eager: true}) }

// overdueAfter is how long a checkpoint may wait for fits to end before no other
// is begun.
const overdueAfter = 20 * time.Second

// mode says how to work now. While there is nothing else to do a single label is
// learnt. Otherwise such fits get at most three quarters of the time, and in
// between labels have to grow.
func (t *trainer) mode() stages.Mode {
	now := time.Now()
	return stages.Mode{Eager: !now.Before(t.eager.from), Finish: !t.overdue.IsZero() && now.Sub(t.overdue) > overdueAfter}
}

// prepareAfter is how long there has to be nothing to do before networks are looked
// at for a fit that may come.
const prepareAfter = 200 * time.Millisecond

// prepare looks at the networks of a space, for a tenth of the time at most where
// new ones keep coming. It changes no state.
func (t *trainer) prepare(session, stop context.Context, worker *ops.Worker) error {
	ctx, cancel := context.WithCancel(session)
	defer cancel()
	defer context.AfterFunc(stop, cancel)()
	still := keepAlive(worker, stallLimit/4)
	defer still()
	t.pacer.begin(ctx, func(bool) {})
	began := time.Now()
	defer func() { t.prepareFrom = time.Now().Add(9 * time.Since(began)) }()
	l := t.stage.Unprepared()
	err := caught("train", func() error { return l.Prepare(ctx) })
	var fault *goPanic
	if errors.As(err, &fault) { // a fit will meet it, and be given up
		t.report.Log.ErrorContext(ctx, "looking at the networks of a space has panicked: report it", "space", l.Space(), "panic", fault.value, "stack", string(fault.stack))
		began = began.Add(-time.Hour)
		return nil
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// giveWay ends a piece of work that is given up for labels when some come.
func (t *trainer) giveWay(ctx context.Context, cancel func()) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if t.labelsWait() {
				cancel()
				return
			}
		}
	}
}

// work does one piece of training and, while candidates wait, rests in
// proportion.
func (t *trainer) work(session, stop context.Context, worker *ops.Worker) error {
	ctx, cancel := context.WithCancel(session)
	defer cancel()
	unhook := context.AfterFunc(stop, cancel)
	defer unhook()
	still := keepAlive(worker, stallLimit/4)
	t.pacer.begin(ctx, func(on bool) {
		if on {
			worker.Busy()
		} else {
			worker.Idle()
		}
	})
	if t.stage.Yields() {
		go t.giveWay(ctx, cancel)
	}
	mode, began := t.mode(), time.Now()
	l, progress, worked, err := t.stage.Work(ctx, mode)
	still()
	if session.Err() == nil && errors.Is(err, context.Canceled) {
		return nil // work that is broken off leaves no trace; the journal has the completed pieces
	}
	var fault *stages.WorkPanic
	if errors.As(err, &fault) {
		return errors.Join(err, t.giveUp(session, mode))
	}
	if err != nil || !worked {
		return err
	}
	t.journal.worked(mode)
	worker.Beat()
	t.decided.worked(l, progress.Challenger, t.labelPositions())
	t.traces.worked(l, progress.Challenger, began)
	t.notBefore = time.Now().Add(t.pacer.owed())
	if progress.Step {
		t.report.Metrics.Steps(l.Space(), "pretrain", 1)
		t.report.Metrics.Loss(l.Space(), "flow", progress.Losses.Flow)
		t.report.Metrics.Loss(l.Space(), "proxies", progress.Losses.Proxy)
		t.dashboard.step(l, progress.Losses)
	}
	took := t.fitting(l, began)
	if c := progress.Challenger; c != nil {
		t.report.Metrics.FineTune(ctx, l.Space(), took)
		if err := t.decide(session, l, c, took); err != nil {
			return err
		}
		t.traces.decided(session, l, c)
	}
	if !t.overdue.IsZero() && t.stage.Quiet() {
		return t.store(session)
	}
	return nil
}

// giveUp writes into the journal that the piece of work which has just panicked is not
// done. The learners are not to be used any more: the next session begins before that
// piece and goes on behind it.
func (t *trainer) giveUp(ctx context.Context, mode stages.Mode) error {
	mode.GiveUp = true
	t.journal.worked(mode)
	return t.journal.append(ctx)
}

// fitting follows the fits of a space, and returns how long the one has taken
// that is under way or has ended with the piece of work that began then. Eager
// fits take turns with other work.
func (t *trainer) fitting(l *learner.Learner, began time.Time) time.Duration {
	now := time.Now()
	since, under := t.fits[l.Space()]
	if !under {
		since = began
	}
	fit, fits := l.Fitting()
	if fits {
		t.fits[l.Space()] = since
	} else if delete(t.fits, l.Space()); under {
		t.eager.fitted(now, now.Sub(since), t.stage.Due(stages.Mode{}) || t.pacer.behind())
	}
	t.dashboard.fitting(l.Space(), fit, fits, since)
	return now.Sub(since)
}

// decide publishes a challenger that won in a task and says how each was decided.
func (t *trainer) decide(ctx context.Context, l *learner.Learner, c *learner.Challenger, took time.Duration) error {
	if c.Taught {
		t.report.Log.InfoContext(ctx, c.Model.Name()+": a student has learnt to answer for networks that are not remembered", "took", took.Round(time.Millisecond))
	}
	outcome := "refused"
	if c.Promoted {
		outcome = "promoted"
	}
	t.report.Metrics.Decision(l.Space(), outcome)
	for _, trial := range c.Trials {
		t.logTrial(ctx, l, c.Model.Name(), trial, took)
	}
	for _, task := range c.Dropped {
		t.report.Log.InfoContext(ctx, "fitted "+c.Model.Name()+": dropped a task", "task", task, "why", "all of its labels were withdrawn")
	}
	t.dashboard.fitted(l, c)
	if !c.Promoted {
		return t.publishFitDecisions(ctx, l)
	}
	// The journal entry is made durable before any output that depends on it: a model
	// that came first would have learnt from labels that the trainer, after a kill, does
	// not know. And only one trainer can write the journal, so that a replaced one
	// touches no model. The checkpoint, which saves the next trainer the fit, need not
	// be waited for.
	if err := t.commit(ctx); err != nil {
		return err
	}
	if t.overdue.IsZero() {
		t.overdue = time.Now()
	}
	if err := t.publish(ctx, l, c.Model); err != nil {
		return err
	}
	t.models.serving(ctx)
	return t.publishFitDecisions(ctx, l)
}

// announce publishes the tasks that have labels but no model yet and the reason, so that
// workers give it to candidates, and again when the reason changes.
func (t *trainer) announce(ctx context.Context) error {
	for _, l := range t.stage.Learners() {
		if waiting := unserved(l); len(waiting) > 0 && !maps.Equal(waiting, t.announced[l.Space()]) {
			if err := t.publish(ctx, l, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxUnserved bounds how many tasks without a model every answer names.
const maxUnserved = 32

// unserved returns the tasks that no model answers, those with the most labels where
// they are many, and why.
func unserved(l *learner.Learner) map[string]string {
	tasks := slices.DeleteFunc(l.Tasks(), func(t learner.TaskState) bool { return t.Served })
	if len(tasks) > maxUnserved {
		slices.SortStableFunc(tasks, func(a, b learner.TaskState) int { return cmp.Compare(b.Labels, a.Labels) })
		tasks = tasks[:maxUnserved]
	}
	waiting := map[string]string{}
	for _, task := range tasks {
		waiting[task.Name] = task.Reason
	}
	return waiting
}

// publish stores the next version of the registry, with a new model or without, and
// announces it on the models topic.
func (t *trainer) publish(ctx context.Context, l *learner.Learner, model *encoders.Model) error {
	if err := t.journal.append(ctx); err != nil {
		return err
	}
	m := SpaceManifest{Space: l.Space(), Waiting: unserved(l)}
	if model != nil {
		m.record = t.recordOf(l.Space(), model)
		defer func() {
			for _, p := range t.promoted {
				p.notify()
			}
		}()
	}
	t.announced[l.Space()] = m.Waiting
	m, err := t.registry.Publish(ctx, m, model)
	if err != nil {
		return err
	}
	if model != nil && m.pinned() {
		t.report.Log.InfoContext(ctx, model.Name()+" waits: an operator has pinned another", "pinned", m.Model)
	}
	if err := t.models.announce(ctx, m); err != nil {
		// The registry has the model and workers look there when they start, so
		// a broker that is away only delays the news.
		t.report.Log.WarnContext(ctx, "cannot publish a model to the workers; they get the next", "topic", t.Topics.Models, "error", err)
	}
	return nil
}

// longestFit bounds how long one piece of training counts as alive.
const longestFit = 15 * time.Minute

// keepAlive gives signs of life for a worker whose one piece of work may take
// minutes, until the function that it returns is called.
func keepAlive(worker *ops.Worker, every time.Duration) (done func()) {
	ctx, cancel := context.WithTimeout(context.Background(), longestFit)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				worker.Beat()
			case <-ctx.Done():
				return
			}
		}
	}()
	return cancel
}
