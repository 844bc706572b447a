package teacher

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// MinLabels is the fewest labels that a ranking is learnt from.
const MinLabels = 5

var errNotConverged = errors.New("teacher: the eigenvalues of the kernel did not converge; look for labels or proxies of absurd size")

// Options of a fit; the zero value is the documented default.
type Options struct {
	Seed      uint64    // of every random choice [0]
	Failed    []int     // networks, not among the labelled, whose trainings failed [none]
	Related   []Related // labels of related tasks [none]
	Subspaces int       // Gaussian processes that are averaged [20]
	// Pace, if given, is called every few milliseconds of work and may block; the
	// cores that it returns are ignored. It changes no result.
	Pace func() int
	// Cores that may be used, 0 for all of them. They change no result.
	Cores int
}

// Result is a ranking and how it came about.
type Result struct {
	Score []float64 // [n] more is better
	// OutOfFold [labels] are scores made without the label itself (leave-one-out or
	// cross-validation), on the same scale.
	OutOfFold []float64
	// Spread [n] is the uncertainty of the scores, and OutOfFoldSpread [labels] that of
	// OutOfFold: the logarithm of the posterior deviation of a Gaussian process over its
	// median.
	Spread          []float64
	OutOfFoldSpread []float64
	// LeaveOut returns the absolute errors of a process at a group of the labels that are
	// believed, numbers among those, when the whole group is left out, in units of the
	// mean error when each label is; NaN where it is not known. It is nil of labels that
	// are all equal.
	LeaveOut func(group []int) []float64
	View     string    // the interpretation of the networks
	Blocks   []string  // groups of features that the Gaussian process used
	Weights  []float64 // of the blocks in its squared distances
	Stretch  float64   // of the labels' top; small stretches much
	Evidence float64   // logarithm, up to a constant, of the labels' density
	Plain    float64   // weight of processes on all features beside those on the chosen
	Trees    float64   // weight of the trees beside both
	Related  float64   // weight of the ranking with related labels beside that without
	Suspects []Suspect // labels that were not learnt from
	// Failed [Options.Failed] are scores of the networks that failed, made without
	// that knowledge; Score has them below all others.
	Failed []float64
}

// Fit ranks the networks of the features from labels y, more is better, of the networks
// labelled (numbers, each once: average the labels of equal networks). It needs
// MinLabels. Constant labels leave all scores at 0.
func (f *Features) Fit(ctx context.Context, labelled []int, y []float64, o Options) (*Result, error) {
	if len(labelled) != len(y) || len(y) < MinLabels {
		return nil, fmt.Errorf("teacher: %d labelled networks, %d labels; a ranking needs %d of each", len(labelled), len(y), MinLabels)
	}
	for i, l := range labelled {
		if l < 0 || l >= f.n || y[i] != y[i] || math.IsInf(y[i], 0) {
			return nil, fmt.Errorf("teacher: label %d is %g of network %d; it must be finite and the network among %d", i, y[i], l, f.n)
		}
	}
	if o.Subspaces == 0 {
		o.Subspaces = 20
	}
	o.Pace = alone(o.Pace)
	for _, x := range o.Related {
		if len(x.Labelled) != len(x.Y) || len(x.Labelled) > 0 && (slices.Min(x.Labelled) < 0 || slices.Max(x.Labelled) >= f.n) {
			return nil, fmt.Errorf("teacher: %d related labels of %d networks; give one each, of networks among %d", len(x.Y), len(x.Labelled), f.n)
		}
	}
	for _, row := range o.Failed {
		if row < 0 || row >= f.n || slices.Contains(labelled, row) {
			return nil, fmt.Errorf("teacher: network %d failed; it must be among %d and have no label", row, f.n)
		}
	}
	r, err := f.stacked(ctx, labelled, y, o)
	if err == nil && len(o.Failed) > 0 {
		err = f.asAsked(labelled, o.Failed, o.Seed).fail(labelled, o.Failed, r)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// trained ranks by labels alone.
func (f *Features) trained(ctx context.Context, labelled []int, y []float64, o Options) (*Result, error) {
	y = inRange(y)
	r := &Result{Score: make([]float64, f.n), OutOfFold: make([]float64, len(y)), Spread: make([]float64, f.n), OutOfFoldSpread: make([]float64, len(y))}
	if _, _, ok := warp(y, 1); !ok {
		return r, nil
	}
	f = f.asAsked(labelled, o.Failed, o.Seed)
	var err error
	if r.Suspects, err = f.suspects(labelled, y); err != nil {
		return nil, err
	}
	if len(r.Suspects) == 0 {
		if err := f.fit(ctx, labelled, y, o, r); err != nil {
			return nil, err
		}
		return r, nil
	}
	believed := r.Believed(len(y))
	if err := f.fit(ctx, pick(labelled, believed), pick(y, believed), o, r); err != nil {
		return nil, err
	}
	// Labels that were left out are predicted by the rest.
	outOfFold, spread := make([]float64, len(y)), make([]float64, len(y))
	for k, i := range believed {
		outOfFold[i], spread[i] = r.OutOfFold[k], r.OutOfFoldSpread[k]
	}
	for _, s := range r.Suspects {
		outOfFold[s.Label], spread[s.Label] = r.Score[labelled[s.Label]], r.Spread[labelled[s.Label]]
	}
	r.OutOfFold, r.OutOfFoldSpread = outOfFold, spread
	return r, nil
}

// Believed returns the numbers of the labels that were learnt from, of n.
func (r *Result) Believed(n int) []int { return complement(n, suspected(r.Suspects)) }

// suspected returns the numbers of the labels.
func suspected(suspects []Suspect) []int {
	out := make([]int, len(suspects))
	for i, s := range suspects {
		out[i] = s.Label
	}
	return out
}

// fit fills in r from labels without suspects.
func (f *Features) fit(ctx context.Context, labelled []int, y []float64, o Options, r *Result) error {
	c, view, err := f.bestView(labelled, y, o)
	if err != nil || c == nil {
		return err
	}
	r.View = view
	r.Blocks, r.Weights, r.Stretch, r.Evidence = c.g.names(), c.w, c.stretch, c.evidence
	// Choosing by evidence overfits the labels a little; half as many processes on all
	// features make up for it.
	heads, err := f.heads(ctx, c, labelled, o, r)
	if err != nil {
		return err
	}
	s, plain, trees := heads[0], heads[1], heads[2]
	y = bounded(y)
	r.Plain = s.add(&plain, y, []float64{0, 0.25, 0.5})
	r.Trees = s.add(&trees, y, []float64{0, 0.25, 0.5, 0.75, 1, 1.25, 1.5})
	s.lean(c.whole.blocks, labelled, y)
	r.Score, r.OutOfFold = s.all, s.outOfFold
	return nil
}

// bestView returns the choice of the view with the most evidence, nil where there is
// nothing to choose from, and the name of the view.
func (f *Features) bestView(labelled []int, y []float64, o Options) (c *choice, view string, err error) {
	y = bounded(y)
	choices := make([]*choice, len(f.views))
	err = sideBySide(o.Cores, len(f.views), func(i int) (err error) {
		choices[i], err = newChoice(f.n, f.views[i].blocks, f.views[i].additive, labelled, y, rand.New(rand.NewPCG(o.Seed, 4)))
		return err
	})
	if err != nil {
		return nil, "", err
	}
	for i, other := range choices {
		if other != nil && (c == nil || other.evidence > c.evidence) {
			c, view = other, f.views[i].name
		}
	}
	return c, view, nil
}

// heads returns the scores of the Gaussian processes on the chosen features, of those on
// all, and of the trees, and fills in the spread. They are independent and run side by
// side, and so do parts of the networks.
func (f *Features) heads(ctx context.Context, c *choice, labelled []int, o Options, r *Result) ([3]scores, error) {
	chosen := c.g.newEnsemble(labelled, c.z, c.w, c.kernel, o.Subspaces, rand.New(rand.NewPCG(o.Seed, 1)))
	whole := c.whole.newEnsemble(labelled, c.z, c.whole.defaults(), c.kernel, (o.Subspaces+1)/2, rand.New(rand.NewPCG(o.Seed, 3)))
	var trees *forest
	var out [3]scores
	for i := range out {
		out[i].all = make([]float64, f.n)
	}
	first := len(chosen.processes)
	err := sideBySide(o.Cores, 2+first+len(whole.processes), func(i int) (err error) {
		switch i -= 2; {
		case i < -1:
			r.Spread, r.OutOfFoldSpread, r.LeaveOut, err = c.g.spread(o.Pace, labelled, c.z, c.w, c.kernel, rand.New(rand.NewPCG(o.Seed, 5)))
			return err
		case i < 0:
			at, width := c.g.columns(labelled)
			trees, out[2].outOfFold = boosted(o.Pace, at, width, c.z, rand.New(rand.NewPCG(o.Seed, 2)))
			return nil
		case i < first:
			return chosen.fit(ctx, o.Pace, i)
		}
		return whole.fit(ctx, o.Pace, i-first)
	})
	if err != nil {
		return out, err
	}
	out[0].outOfFold, out[1].outOfFold = chosen.outOfFold(), whole.outOfFold()
	return out, sideBySide(o.Cores, (f.n+tileRows-1)/tileRows, func(i int) error {
		o.Pace()
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to := i*tileRows, min((i+1)*tileRows, f.n)
		rows := all(to)[from:]
		t := newTile(c.g.blocks, rows)
		chosen.predict(out[0].all[from:to], t)
		trees.predict(out[2].all[from:to], t)
		whole.predict(out[1].all[from:to], newTile(c.whole.blocks, rows))
		return nil
	})
}

// inRange returns labels whose differences neither overflow nor vanish; they are
// y unless its values are absurd.
func inRange(y []float64) []float64 {
	largest := 0.0
	for _, v := range y {
		largest = max(largest, math.Abs(v))
	}
	if largest == 0 || largest > 1e-100 && largest < 1e100 {
		return y
	}
	_, exponent := math.Frexp(largest)
	out := make([]float64, len(y))
	for i, v := range y {
		out[i] = math.Ldexp(v, -exponent)
	}
	return out
}

// scores are the output of one head.
type scores struct{ all, outOfFold []float64 }

// add adds a share of another head's scores, chosen on the out-of-fold scores, and
// returns it. Out-of-fold scores go through the same scales as the scores: labelled
// networks are not a fair sample of all, so scales of their own would shift every value
// that is read off them.
func (s *scores) add(b *scores, y, shares []float64) float64 {
	share := blend(y, s.outOfFold, b.outOfFold, shares, 0.01)
	own, other := scaleOf(s.all), scaleOf(b.all)
	for i := range s.all {
		s.all[i] = own.at(s.all[i]) + share*other.at(b.all[i])
	}
	for i := range s.outOfFold {
		s.outOfFold[i] = own.at(s.outOfFold[i]) + share*other.at(b.outOfFold[i])
	}
	return share
}

// blend returns the share of b that goes best with a, both standardised.
func blend(y, a, b, shares []float64, temperature float64) float64 {
	rows := draw(len(y), processLabels, rand.New(rand.NewPCG(0, 6)))
	y = pick(y, rows)
	merit := make([]float64, len(shares))
	for i, s := range shares {
		m := slices.Clone(a)
		mixInto(m, b, s)
		merit[i] = tau(y, pick(m, rows))
	}
	return softmax(shares, merit, temperature)
}

// mixInto makes a the standardised sum of a and share times b, both standardised.
func mixInto(a, b []float64, share float64) {
	standardise(a)
	b = slices.Clone(b)
	standardise(b)
	for i, v := range b {
		a[i] += share * v
	}
	standardise(a)
}

// affine takes values to mean 0 and variance 1 over those it was made of.
type affine struct{ mean, factor float64 }

func scaleOf(v []float64) affine {
	s := affine{factor: 1}
	for _, x := range v {
		s.mean += x / float64(len(v))
	}
	variance := 0.
	for _, x := range v {
		variance += (x - s.mean) * (x - s.mean) / float64(len(v))
	}
	if variance > 0 {
		s.factor = 1 / math.Sqrt(variance)
	}
	return s
}

func (s affine) at(v float64) float64 { return (v - s.mean) * s.factor }

func logs(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Log(v)
	}
	return out
}

// choice is the choice by evidence for one view.
type choice struct {
	g        *geometry // of the blocks chosen
	whole    *geometry // of all
	z, w     []float64 // warped labels; weights of the blocks
	kernel   *kernel
	stretch  float64
	evidence float64
}

// newChoice chooses for one view, on at most probeLabels of the labels; smoothly says
// that the kernel may be smooth.
func newChoice(n int, blocks []block, smoothly bool, labelled []int, y []float64, rng *rand.Rand) (*choice, error) {
	probe := draw(len(y), probeLabels, rng)
	py := pick(y, probe)
	c := &choice{g: newGeometry(n, blocks, pick(labelled, probe))}
	if len(c.g.blocks) == 0 {
		return nil, nil
	}
	z, _, _, err := c.g.bestWarp(py, c.g.defaults(), rough)
	if err != nil || z == nil {
		return nil, err
	}
	whole := *c.g
	c.whole = &whole
	if blocks = relevant(n, blocks, pick(labelled, probe), z); len(blocks) > 0 {
		c.g = newGeometry(n, blocks, pick(labelled, probe))
	}
	c.g.choose(z)
	b := balance{d: c.g.d, z: z, prior: logs(c.g.defaults())}
	c.w, _, _ = b.search()
	c.kernel = rough
	if _, c.stretch, c.evidence, err = c.g.bestWarp(py, c.w, rough); err != nil {
		return nil, err
	}
	if smoothly {
		_, stretch, evidence, err := c.g.bestWarp(py, c.w, smooth)
		if err != nil {
			return nil, err
		}
		if evidence > c.evidence {
			c.kernel, c.stretch, c.evidence = smooth, stretch, evidence
		}
	}
	c.z, _, _ = warp(y, c.stretch)
	return c, nil
}

// all returns 0, 1, ..., n-1.
func all(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}
