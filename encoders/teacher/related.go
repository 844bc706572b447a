package teacher

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
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
	// followLabels is up to how many labels a task follows related ones.
	followLabels = 30
	// relatedBeyond is by how many deviations of chance related labels must agree with
	// their own out-of-fold scores.
	relatedBeyond = 3
)

// stacked ranks by labels and, beside that, by labels and the predictions of related ones
// as one more feature each. Few labels follow the related predictions as far as evidence
// says; many blend the two by the out-of-fold scores: a useless one gets no weight.
func (f *Features) stacked(ctx context.Context, labelled []int, y []float64, o Options) (*Result, error) {
	r, err := f.trained(ctx, labelled, y, o)
	if err != nil {
		return nil, err
	}
	columns, err := f.relatedColumns(ctx, labelled, y, o)
	if err != nil || len(columns) == 0 {
		return r, err
	}
	if len(y) <= followLabels {
		return r, f.with(columns).follow(r, labelled, y, o)
	}
	with, err := f.with(columns).trained(ctx, labelled, y, o)
	if err != nil {
		return nil, err
	}
	s := scores{r.Score, r.OutOfFold}
	r.Related = s.add(&scores{with.Score, with.OutOfFold}, y, []float64{0, 0.5, 1, 2, 4})
	for _, column := range columns {
		r.Related += s.add(&scores{column, pick(column, labelled)}, y, []float64{0, 0.5, 1, 2, 4, 8})
	}
	r.Score, r.OutOfFold = s.all, s.outOfFold
	r.Spread, r.OutOfFoldSpread = mixed(r.Spread, with.Spread, r.Related), mixed(r.OutOfFoldSpread, with.OutOfFoldSpread, r.Related)
	return r, nil
}

// relatedColumns returns the predictions of each of the related labels for all networks,
// out of fold where they have a label, as normal quantiles. A task of few labels adds its
// own to them. Related labels that are not predictable themselves say nothing about the
// task and are left out.
func (f *Features) relatedColumns(ctx context.Context, labelled []int, y []float64, o Options) ([][]float64, error) {
	count := o.Subspaces
	if len(y) > fewLabels {
		count = min(count, relatedSubspaces)
	}
	alone := Options{Seed: o.Seed, Subspaces: count, Pace: o.Pace, Cores: o.Cores}
	var columns [][]float64
	for _, x := range o.Related {
		if len(x.Labelled) < MinLabels || !Rankable(x.Y) {
			continue
		}
		lower, err := f.trained(ctx, x.Labelled, x.Y, alone)
		if err != nil {
			return nil, err
		}
		if !x.predicted(lower) {
			continue
		}
		column := x.predictions(lower)
		if len(y) <= followLabels {
			x = x.joined(lower, column, labelled, y)
			if lower, err = f.trained(ctx, x.Labelled, x.Y, alone); err != nil {
				return nil, err
			}
			column = x.predictions(lower)
		}
		columns = append(columns, ranks(column))
	}
	return columns, nil
}

// predicted says whether a fit to x predicts its labels beyond chance.
func (x Related) predicted(fit *Result) bool {
	rows := draw(len(x.Y), processLabels, rand.New(rand.NewPCG(0, 6)))
	n := float64(len(rows))
	return tau(pick(fit.OutOfFold, rows), pick(x.Y, rows)) >= relatedBeyond*math.Sqrt(2*(2*n+5)/(9*n*(n-1)))
}

// predictions returns the scores of a fit to x of all networks, out of fold where they
// have a label.
func (x Related) predictions(fit *Result) []float64 {
	out := slices.Clone(fit.Score)
	for k, row := range x.Labelled {
		out[row] = fit.OutOfFold[k]
	}
	return out
}

// joined returns the labels of x with those of a task: its networks share out the labels
// of x that are expected at their scores in the order of their own labels y. A network
// with both has their mean.
func (x Related) joined(fit *Result, scores []float64, labelled []int, y []float64) Related {
	knots, values := slices.Sorted(slices.Values(fit.OutOfFold)), slices.Sorted(slices.Values(x.Y))
	expected := make([]float64, len(y))
	for i, row := range labelled {
		expected[i] = interpolate(knots, values, scores[row])
	}
	slices.Sort(expected)
	order := all(len(y))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(y[a], y[b]) })
	out := Related{slices.Clone(x.Labelled), slices.Clone(x.Y)}
	for k, i := range order {
		if at := slices.Index(x.Labelled, labelled[i]); at >= 0 {
			out.Y[at] = (out.Y[at] + expected[k]) / 2
		} else {
			out.Labelled, out.Y = append(out.Labelled, labelled[i]), append(out.Y, expected[k])
		}
	}
	return out
}

// interpolate evaluates the piecewise linear function through ascending (x, y), constant
// beyond its ends.
func interpolate(x, y []float64, at float64) float64 {
	i, _ := slices.BinarySearch(x, at)
	switch {
	case i == 0:
		return y[0]
	case i == len(x):
		return y[i-1]
	}
	return y[i-1] + (y[i]-y[i-1])*(at-x[i-1])/(x[i]-x[i-1])
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
