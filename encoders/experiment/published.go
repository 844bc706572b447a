package experiment

import (
	"context"
	"time"

	"archflow/encoders"
)

// published fine-tunes the pre-trained encoder on the training labels and keeps
// the epoch that ranks the validation rows best.
func (e *Experiment) published(ctx context.Context, r *Run, shared *trained, s Split) error {
	e.report("fine-tuning", 0)
	train, y := e.items.labels(s.Train, e.table.Label)
	validate, yv := e.items.rows(s.Validate, e.table.Label)
	c := encoders.FineTuneConfig{Epochs: e.config.FineTuneEpochs, Margin: e.config.Margin, Seed: s.noise()}
	if e.config.AsPublished {
		c.Clip = 1
	}
	member, err := encoders.FineTune(ctx, shared.trunk, &e.items.graphs, train, y, validate, yv, c)
	if err != nil {
		return err
	}
	n := e.items.graphs.Len()
	began := time.Now()
	scores := member.Scores(&e.items.graphs, counting(n))[0]
	r.Ranked = perSecond(n, time.Since(began))
	r.Figures = e.tested(scores, s)
	return nil
}
