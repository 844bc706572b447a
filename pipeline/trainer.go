package pipeline

import (
	"context"
	"sync/atomic"
	"time"

	"archflow/encoders/learner"
	"archflow/ops"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// trainer owns the train stage, the labels table and the checkpoints of one
// session.
type trainer struct {
	*Connected
	config    *Config
	report    *ops.Telemetry
	registry  *Registry
	models    *modelsTopic
	flows     *stages.Flows
	dashboard *dashboard
	promoted  []promotions          // signalled after every promotion
	training  *atomic.Bool          // there is work that is due
	counts    *partitionCounts      // that this process reads
	tune      func(*learner.Config) // by a test; may be nil

	stage       *stages.Train
	table       *sinks.LabelsTable
	journal     *journal
	stored      int64                            // entry of the journal at which the newest checkpoint was made
	positions   map[schemas.TopicPartition]int64 // next offset of candidates and labels
	announced   map[string]map[string]string     // space -> tasks that the registry knows to be waiting -> why
	givenUp     map[string]int64                 // space -> labels that are counted as given up
	decided     decided
	doubted     loggedSuspects
	traces      labelTraces
	pacer       pacer
	notBefore   time.Time // training yields to the stream until then
	eager       eager     // when a single label calls for a fit
	idleSince   time.Time // there has been nothing to do since; zero while there is
	prepareFrom time.Time // networks are not looked at before
	labelsWait  func() bool
	held        heldLabels           // that candidates are to precede
	fits        map[string]time.Time // spaces with a fit under way -> since when
	overdue     time.Time            // since when a checkpoint waits for fits to end; zero: none does
	labelled    bool                 // labels came since decisions were last published
	looked      time.Time            // for new partitions
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

// Positions returns the positions that both the checkpoint and the labels table have
// reached.
func (t *trainer) Positions(ctx context.Context, of []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error) {
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
func (t *trainer) candidatePositions(partitions []schemas.TopicPartition) map[schemas.TopicPartition]int64 {
	from := map[schemas.TopicPartition]int64{}
	for _, p := range partitions {
		from[p] = -1
		if at, ok := t.positions[p]; ok {
			from[p] = at
		}
	}
	return from
}
