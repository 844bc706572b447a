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

// trainer owns the train stage, the labels table and the checkpoints of one
// session.
type trainer struct {
	*Process
	stage       *stages.Train
	table       *sinks.LabelsTable
	journal     *journal
	stored      int64                        // entry of the journal that the newest checkpoint stands behind
	positions   map[schemas.Partition]int64  // next offset of candidates and labels
	announced   map[string]map[string]string // space -> tasks that the registry knows to be waiting -> why
	givenUp     map[string]int64             // space -> labels that are counted as given up
	decided     decided
	doubted     said
	traces      labelTraces
	pacer       pacer
	notBefore   time.Time // training yields to the stream until then
	eager       eager     // when a single label calls for a fit
	idleSince   time.Time // there has been nothing to do since; zero while there is
	prepareFrom time.Time // networks are not looked at before
	labelsWait  func() bool
	fits        map[string]time.Time // spaces with a fit under way -> since when
	overdue     time.Time            // since when a checkpoint waits for fits to end; zero: none does
	labelled    bool                 // labels came since decisions were told last
	looked      time.Time            // for new partitions
}

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
		Process:   p,
		table:     table,
		journal:   &journal{store: p.store, settings: p.config.learning()},
		positions: map[schemas.Partition]int64{},
		announced: map[string]map[string]string{},
		givenUp:   map[string]int64{},
		decided:   newDecided(),
		doubted:   said{},
		traces:    newLabelTraces(p.report.Tracer),
		fits:      map[string]time.Time{},
		pacer:     pacer{share: p.config.TrainShare, behind: p.backlog.any},
	}
	t.stage = stages.NewTrain(p.config.Limits(), p.config.Spaces, func(space string) *learner.Learner { return learner.New(t.learnerConfig(space)) })
	past, err := t.journal.open(ctx, p.report.Log)
	if err != nil {
		return nil, err
	}
	if err := t.journal.begin(ctx, past); err != nil {
		return nil, err
	}
	// Only now, so that what the trainer before has published is seen.
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

// settle brings learners and registry together: what a trainer before had no
// time to publish is published, and where the registry is ahead, because
// checkpoints and journal were damaged, its models are taken over. What an
// operator lets answer is no concern of theirs.
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

func (t *trainer) learnerConfig(space string) learner.Config {
	c := t.config.learner(space, t.flows)
	c.Pace = t.pacer.pace
	if t.tune != nil {
		t.tune(&c)
	}
	return c
}

// learner returns how a space is learnt.
func (c *Config) learner(space string, flows *stages.Flows) learner.Config {
	encoder, width, layers := c.encoder()
	return learner.Config{
		Space:       space,
		Flow:        flows.Of(schemas.MustIntern(space)),
		Predictor:   c.Predictor,
		Encoder:     encoder,
		Width:       width,
		Layers:      layers,
		Epochs:      c.Epochs,
		Buffer:      c.Buffer,
		Remember:    c.Remember,
		Waiting:     c.WaitLabels,
		FirstLabels: c.FirstLabels,
		Growth:      c.LabelGrowth,
		Seed:        c.Seed,
	}
}

// Name is for errors.
func (t *trainer) Name() string { return "checkpoint" }

// Positions returns what the checkpoint and the labels table both have.
func (t *trainer) Positions(ctx context.Context, of []schemas.Partition) (map[schemas.Partition]int64, error) {
	positions, err := t.table.Positions(ctx, of)
	if err != nil {
		return nil, err
	}
	for p, at := range positions {
		if own, ok := t.positions[p]; !ok {
			delete(positions, p)
		} else {
			positions[p] = min(at, own)
		}
	}
	return positions, nil
}

// candidatePositions returns where to go on reading candidates.
func (t *trainer) candidatePositions(partitions []schemas.Partition) map[schemas.Partition]int64 {
	from := map[schemas.Partition]int64{}
	for _, p := range partitions {
		from[p] = -1
		if at, ok := t.positions[p]; ok {
			from[p] = at
		}
	}
	return from
}
