package teacher

import (
	"context"
	"slices"
)

// Related are labels of something like the task: trainings that were cut short, or
// another task of the space. Numbers of networks, each once, and labels, more is
// better.
type Related struct {
	Labelled []int
	Y        []float64
}

const (
	relatedBlock = "related"
	// relatedSubspaces is the number of processes on a mere feature, beside more than
	// fewLabels labels of the task.
	relatedSubspaces = 8
)

// stacked ranks by labels and, beside that, by labels and the predictions of related ones
// as one more feature each, and blends the two by the out-of-fold scores: a useless one
// gets no weight.
func (f *Features) stacked(ctx context.Context, labelled []int, y []float64, o Options) (*Result, error) {
	r, err := f.trained(ctx, labelled, y, o)
	if err != nil {
		return nil, err
	}
	count := o.Subspaces
	if len(y) > fewLabels {
		count = min(count, relatedSubspaces)
	}
	var columns [][]float64
	for _, x := range o.Related {
		if len(x.Labelled) < MinLabels || !Rankable(x.Y) {
			continue
		}
		lower, err := f.trained(ctx, x.Labelled, x.Y, Options{Seed: o.Seed, Subspaces: count, Pace: o.Pace})
		if err != nil {
			return nil, err
		}
		column := slices.Clone(lower.Score)
		for k, row := range x.Labelled {
			column[row] = lower.OutOfFold[k]
		}
		columns = append(columns, ranks(column))
	}
	if len(columns) == 0 {
		return r, nil
	}
	with, err := f.with(columns).trained(ctx, labelled, y, o)
	if err != nil {
		return nil, err
	}
	s := scores{r.Score, r.OutOfFold}
	r.Related = s.add(&scores{with.Score, with.OutOfFold}, y, []float64{0, 0.5, 1, 2, 4})
	// With few labels the related ones are worth more than anything learnt beside them.
	for _, column := range columns {
		r.Related += s.add(&scores{column, pick(column, labelled)}, y, []float64{0, 0.5, 1, 2, 4, 8})
	}
	r.Score, r.OutOfFold = s.all, s.outOfFold
	r.Spread, r.OutOfFoldSpread = mixed(r.Spread, with.Spread, r.Related), mixed(r.OutOfFoldSpread, with.OutOfFoldSpread, r.Related)
	return r, nil
}

// mixed returns the mean of a and b, which has the weight share beside 1.
func mixed(a, b []float64, share float64) []float64 {
	out := make([]float64, len(a))
	for i, v := range a {
		out[i] = (v + share*b[i]) / (1 + share)
	}
	return out
}

// with returns features with a block of columns [width][n] more.
func (f *Features) with(columns [][]float64) *Features {
	out := *f
	out.views = nil
	width := len(columns)
	raw := make([]float64, f.n*width)
	for j, c := range columns {
		for i, v := range c {
			raw[i*width+j] = v
		}
	}
	for _, v := range f.views {
		v.blocks = slices.Clone(v.blocks)
		v.add(relatedBlock, "", raw, f.n, width)
		out.views = append(out.views, v)
	}
	return &out
}
