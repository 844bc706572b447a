package pipeline

import (
	"context"
	"fmt"
	"time"

	"archflow/encoders/learner"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// openTrainer goes on from the newest checkpoint of the store, the journal since
// and the newest models of the registry. The trainer before can write no more.
func (p *Process) openTrainer(ctx, stop context.Context) (_ *trainer, err error) {
	table, err := sinks.NewLabelsTable(ctx, p.tables, p.tableConfig())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = table.Close() // it holds nothing that the journal has not
		}
	}()
	t := &trainer{
		Connected: p.Connected, config: p.config, report: p.report, registry: p.registry, models: p.models(), flows: p.flows, dashboard: p.dashboard,
		promoted: []promotions{p.promoted, p.promotedScores}, training: &p.training, counts: &p.counts, tune: p.tune,
		table:     table,
		journal:   &journal{store: p.store, settings: p.config.learning()},
		positions: map[schemas.TopicPartition]int64{},
		announced: map[string]map[string]string{},
		givenUp:   map[string]int64{},
		decided:   newDecided(),
		doubted:   loggedSuspects{},
		traces:    newLabelTraces(p.report.Tracer),
		fits:      map[string]time.Time{},
		pacer:     pacer{share: p.config.TrainShare, behind: p.backlog.any},
	}
	t.stage = stages.NewTrain(p.config.Limits(), p.config.Spaces, func(space string) *learner.Learner { return learner.New(t.learnerConfig(space)) }).Warn(p.notice)
	past, err := t.journal.open(ctx, p.report.Log)
	if err != nil {
		return nil, err
	}
	if err := t.journal.begin(ctx, past); err != nil {
		return nil, err
	}
	// The journal is fenced, so that every version of the previous trainer is there.
	if err := p.registry.Refresh(ctx, 0); err != nil {
		return nil, err
	}
	if past.state != nil {
		if err := t.restore(ctx, past.state); err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", past.version, err)
		}
		t.stored = past.version
		p.report.Log.InfoContext(ctx, "training goes on from a checkpoint", "checkpoint", past.version, "spaces", len(past.state.Spaces), "entries", len(past.entries))
	}
	if err := t.replay(ctx, stop, past.entries); err != nil {
		return nil, err
	}
	ahead, err := t.settle(ctx)
	if err != nil {
		return nil, err
	}
	if ahead || past.broken || len(past.entries) > 0 {
		if err := t.store(ctx); err != nil {
			return nil, err
		}
	}
	return t, t.resume(ctx)
}

// settle brings learners and registry together: it publishes the models that an earlier
// trainer had no time to publish, and takes over the registry's models where the
// registry is ahead because checkpoints and journal were damaged. It ignores an
// operator's choices.
func (t *trainer) settle(ctx context.Context) (ahead bool, err error) {
	for _, l := range t.stage.Learners() {
		theirs, err := t.registry.Trained(ctx, l.Space())
		if err != nil {
			return false, err
		}
		own := l.Champion()
		switch {
		case own != nil && (theirs == nil || theirs.Version < own.Version):
			if err := t.publish(ctx, l, own); err != nil {
				return false, err
			}
		case theirs != nil:
			ahead = ahead || own == nil || own.Version < theirs.Version
			l.Serve(theirs)
		}
	}
	return ahead, nil
}
