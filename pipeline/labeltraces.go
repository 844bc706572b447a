package pipeline

import (
	"context"
	"time"

	"archflow/encoders/learner"
	"archflow/ops"
	"archflow/stages"
)

// labelTraces follows labels whose publishers' traces are sampled to the fit that
// has looked at them.
type labelTraces struct {
	tracer *ops.Tracer
	came   map[string][]ops.Producer // space -> labels that no fit has looked at
	fits   map[string]tracedFit      // space -> the fit under way
}

type tracedFit struct {
	labels []ops.Producer
	began  time.Time
}

// maxTraced bounds the labels of a space that wait to be followed further.
const maxTraced = 1000

func newLabelTraces(tracer *ops.Tracer) labelTraces {
	return labelTraces{tracer, map[string][]ops.Producer{}, map[string]tracedFit{}}
}

// labelled notes labels from offset on.
func (x *labelTraces) labelled(rows []stages.LabelRow, from int64) {
	for _, p := range x.tracer.Producers(len(rows), func(i int) ([]byte, int64) { return rows[i].Trace, rows[i].Offset }) {
		space := rows[p.Row].Label.Space
		if p.Offset >= from && len(x.came[space]) < maxTraced {
			x.came[space] = append(x.came[space], p)
		}
	}
}

// worked records the result of a piece of work that started at began.
func (x *labelTraces) worked(l *learner.Learner, c *learner.Challenger, began time.Time) {
	f, under := l.Fitting()
	first := under && f.Done == 0 || c != nil && !c.Taught
	if _, begun := x.fits[l.Space()]; first && !begun {
		x.fits[l.Space()] = tracedFit{x.came[l.Space()], began}
		delete(x.came, l.Space())
	}
}

// decided ends the traces of the labels of a fit in the model that answers.
func (x *labelTraces) decided(ctx context.Context, l *learner.Learner, c *learner.Challenger) {
	f, begun := x.fits[l.Space()]
	if !begun || c.Taught {
		return
	}
	delete(x.fits, l.Space())
	model, decision := "", "kept"
	if m := l.Champion(); m != nil {
		model = m.Name()
	}
	if c.Promoted {
		decision = "promoted"
	}
	x.tracer.Fit(ctx, ops.FitInfo{Space: l.Space(), Model: model, Decision: decision, Start: f.began}, f.labels)
}
