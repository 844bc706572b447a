package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"archflow/internal/kafka"
	"archflow/ops"
	"archflow/pipeline/api"
	"archflow/pipeline/decisions"
	"archflow/sinks"
	"archflow/stages"
)

// Open connects to everything that a run needs and refuses a configuration that cannot
// work. It waits for a broker that is away until ctx ends.
func Open(ctx context.Context, c *Config, report *ops.Telemetry, version string) (_ *Process, err error) {
	p := &Process{config: c, report: report, dashboard: newDashboard(c, version), backlog: newBacklog(), lag: newLag(report.Metrics), flows: stages.NewFlows(c.Seed), suspects: map[string]*suspects{},
		promoted: make(promotions, 1), promotedScores: make(promotions, 1), history: decisions.NewHistory()}
	for _, group := range p.groups() {
		p.suspects[group] = newSuspects()
	}
	p.health, p.ready = ops.NewHealth(report.Log, report.Metrics), newReadiness(p.groups()...)
	p.ready.register(p.health, report.Metrics)
	p.health.Note("training", p.dashboard.fits)
	p.health.Note("table", p.refused.status)
	p.health.Note("publisher", p.lag.unread)
	p.health.Note("topics", p.topics.status)
	p.declare()
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err = p.serve(c, report, p.health); err != nil {
		return nil, err
	}
	if p.tables, err = sinks.OpenBucket(ctx, c.TablePlace()); err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	if p.store, err = sinks.OpenBucket(ctx, c.StorePlace()); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for _, b := range []sinks.Bucket{p.tables, p.store} {
		if err = sinks.ProveCreate(ctx, b); err != nil {
			return nil, err
		}
	}
	if p.registry, err = OpenRegistry(ctx, p.store); err != nil {
		return nil, err
	}
	if damage := p.registry.Damage(); damage != "" {
		report.Log.Warn("the newest models cannot be loaded; those before answer", "error", damage)
	}
	p.health.Note("registry", p.registry.Damage)
	p.models().serving(ctx)
	if p.Connected, err = Dial(ctx, c, report.Log); err != nil {
		return nil, err
	}
	if p.Broker != nil {
		report.Log.Info("Kafka clients find the broker inside this process, or its owner's", "address", p.Broker.Address)
	}
	if p.server != nil {
		p.server.Models(p.models().choose)
		if c.Role != RoleTrainer {
			p.server.Predict(p.newSingle().predict)
		}
		p.server.API(api.New(p.apiOptions()))
	}
	p.counts.candidates.Store(int64(p.Partitions[p.Topics.Architectures]))
	p.counts.labels.Store(int64(p.Partitions[p.Topics.Labels]))
	if c.ExitAtEnd {
		if err = p.markEnds(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Close gives everything back.
func (p *Process) Close() error {
	errs := []error{p.stopServing(context.Background())}
	for _, b := range []sinks.Bucket{p.tables, p.store} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	if p.Connected != nil {
		errs = append(errs, p.Connected.Close())
	}
	return errors.Join(errs...)
}

// Run answers and learns, as the role says, until ctx ends or, with
// exit-at-end, until everything that the topics held has been processed.
func (p *Process) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	if p.server != nil {
		group.Go(func() error { return <-p.served })
	}
	background, stopBackground := context.WithCancel(ctx)
	defer stopBackground()
	rates := p.report.Metrics.StageRates()
	for name, f := range map[string]func(context.Context){
		"readiness": func(ctx context.Context) { p.ready.watch(ctx, p.Connected, p.lag, p.store, p.tables) }, "models": p.models().follow, "page": func(ctx context.Context) { p.show(ctx, func() ops.State { return p.pageState(rates) }) },
		"health": func(ctx context.Context) { p.health.Watch(ctx, time.Second) },
	} {
		group.Go(func() error { p.beside(background, name, f); return nil })
	}
	group.Go(func() error { return p.topics.watch(background, p.Connected, p.report.Log) })

	// The process drains before its roles let go of anything, so that nobody takes
	// the end for a fault.
	var roles errgroup.Group
	work, working := errgroup.WithContext(ctx)
	sessions, endSessions := context.WithCancel(context.WithoutCancel(ctx))
	roles.Go(func() error {
		<-working.Done()
		p.health.Enter(ops.Draining)
		endSessions()
		return nil
	})
	if p.config.Role != RoleTrainer {
		work.Go(func() error { return p.hold(sessions, p.config.Group, p.Topics.Architectures, p.answer) })
	}
	if p.config.Role != RoleWorker {
		work.Go(func() error { return p.hold(sessions, trainers(p.config.Group), p.Topics.Labels, p.learn) })
	}
	endFollowing := p.followPromotions(context.WithoutCancel(ctx))
	err := work.Wait()
	endFollowing()
	cancel()
	stopBackground()
	err = errors.Join(err, roles.Wait(), p.stopServing(ctx), group.Wait())
	p.health.Enter(ops.Stopped)
	return err
}

// hold joins a group and runs a session for each assignment. Faults that pass
// end a session and begin another, from the sinks' positions; others end the
// process. With exit-at-end, the first session that ends by itself is the last.
func (p *Process) hold(ctx context.Context, group, topic string, session func(context.Context, kafka.Assignment) error) error {
	ctx, finish := context.WithCancel(ctx)
	defer finish()
	warn := func(err error) {
		p.ready.waits(group, err)
		p.report.Log.Warn("waiting for the group", "group", group, "error", err)
	}
	return kafka.Membership{Group: group, Topic: topic, Session: p.config.Session}.Hold(ctx, p.Connection, warn, func(stop context.Context, a kafka.Assignment) error {
		p.ready.member(group, true)
		if p.ready.assigned() == nil {
			p.health.Enter(ops.Running)
		}
		ended := false // the role has done all that it will do
		defer func() {
			if !ended {
				p.ready.member(group, false)
			}
		}()
		p.report.Log.Info("assigned", "group", group, "generation", a.Generation, "partitions", numbers(a.Partitions))
		for wait := kafka.NewBackoff(); ; {
			err := caught(group, func() error { return session(stop, a) })
			switch {
			case err == nil:
				if p.config.ExitAtEnd && stop.Err() == nil {
					ended = true
					finish()
				}
				return nil
			case stop.Err() != nil && errors.Is(err, context.Canceled):
				return nil //nolint:nilerr // not drained in time; the next session goes on from the last commit
			case p.panicked(group, err):
			case !recoverable(err):
				return err
			}
			p.ready.failed(group, err)
			p.report.Log.Warn("the session ended; beginning again from the last commit", "group", group, "error", err)
			if wait.Wait(stop) != nil {
				return nil //nolint:nilerr // asked to stop while resting
			}
		}
	})
}

// recoverable says that a new session may succeed where this one failed.
func recoverable(err error) bool {
	return sinks.Recoverable(err) || errors.Is(err, ErrReplaced) || errors.Is(err, errGrown) || errors.Is(err, errTableBack)
}

// apiOptions returns the parts of this process that the HTTP API uses.
func (p *Process) apiOptions() api.Options {
	o := api.Options{
		Limits: p.config.Limits(), Models: p.registry, Surrogate: p.config.Surrogate,
		Topics: apiTopics{p.Client, p.Topics, &p.counts}, Networks: p.config.Buffer, Publisher: newPublisher(p), History: p.history, Meter: p.report.Metrics,
	}
	if p.config.Role != RoleTrainer {
		o.Stages = p.newStages
	}
	return o
}

// pageState returns the live page's state, with rates since the last call.
func (p *Process) pageState(rates *ops.StageRates) ops.State {
	state := p.dashboard.state()
	state.Stages, state.Lag = rates.Next(), p.lag.states()
	ready := p.health.Readiness()
	state.Phase, state.Ready, state.Reasons = ready.Phase, ready.OK, failing(ready)
	return state
}

// failing returns the checks of a report that do not pass.
func failing(r ops.Report) map[string]string {
	reasons := map[string]string{}
	for name, status := range r.Checks {
		if status != "ok" {
			reasons[name] = status
		}
	}
	return reasons
}
