package teacher

import (
	"cmp"
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
	Seed      uint64 // of every random choice
	Subspaces int    // Gaussian processes that are averaged, default 20
	// Pause, if given, is called every few milliseconds of work or so and may
	// take its time. It changes no result.
	Pause func()
}

// Result is a ranking and how it came about.
type Result struct {
	Score []float64 // [n] more is better
	// HeldOut [labels] are scores made without the label itself, on the same
	// scale but before the second look at the best.
	HeldOut  []float64
	View     string    // what the networks were taken for
	Blocks   []string  // groups of features that the Gaussian process used
	Weights  []float64 // of the blocks in its squared distances
	Stretch  float64   // of the labels' top; small stretches much
	Evidence float64   // logarithm, up to a constant, of the labels' density
	Trees    float64   // weight of the trees beside the Gaussian process
	Top      float64   // weight of the second look at the best
}

// Fit ranks the networks of d from labels y, more is better, of the networks
// labelled (numbers in d, each once: average the labels of equal networks). It
// needs MinLabels. Constant labels leave all scores at 0.
func Fit(ctx context.Context, d *Data, labelled []int, y []float64, o Options) (*Result, error) {
	f, err := NewFeatures(ctx, d)
	if err != nil {
		return nil, err
	}
	return f.Fit(ctx, labelled, y, o)
}

// Fit is the function Fit on features that were computed before.
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
	if o.Pause == nil {
		o.Pause = func() {}
	}
	r := &Result{Score: make([]float64, f.n), HeldOut: make([]float64, len(y))}
	if _, _, ok := warp(y, 1); !ok {
		return r, nil
	}
	var g *geometry
	var z, w []float64
	at := 0
	for i, v := range f.views {
		c, err := newChoice(f.n, v.blocks, labelled, y, rand.New(rand.NewPCG(o.Seed, 4)))
		if err != nil {
			return nil, err
		}
		if c == nil {
			continue
		}
		if g == nil || c.evidence > r.Evidence {
			at = i
			g, z, w = c.g, c.z, c.w
			r.View, r.Blocks, r.Weights, r.Stretch, r.Evidence = v.name, c.g.names(), c.w, c.stretch, c.evidence
		}
	}
	if g == nil {
		return r, nil
	}
	score, heldOut, err := g.gaussian(ctx, o.Pause, labelled, all(f.n), z, w, o.Subspaces, rand.New(rand.NewPCG(o.Seed, 1)))
	if err != nil {
		return nil, err
	}
	x, width := g.columns()
	tree, treeHeldOut := boosted(o.Pause, x, f.n, width, labelled, z, rand.New(rand.NewPCG(o.Seed, 2)))
	r.Trees = blend(y, heldOut, treeHeldOut, []float64{0, 0.25, 0.5, 0.75, 1}, 0.01)
	// What is held out goes through the very same scales as the scores: labelled
	// networks are not a fair sample of all, so scales of their own would shift
	// every value that is read off them.
	byProcess, byTrees := scaleOf(score), scaleOf(tree)
	for i := range score {
		score[i] = byProcess.at(score[i]) + r.Trees*byTrees.at(tree[i])
	}
	for i := range heldOut {
		heldOut[i] = byProcess.at(heldOut[i]) + r.Trees*byTrees.at(treeHeldOut[i])
	}
	r.Score, r.HeldOut = score, heldOut
	if err := f.top(ctx, r, f.views[at].blocks, labelled, y, o); err != nil {
		return nil, err
	}
	return r, nil
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

// top ranks the best again, by what tells apart the better half of the labels.
func (f *Features) top(ctx context.Context, r *Result, blocks []block, labelled []int, y []float64, o Options) error {
	half := median(y)
	var better []int
	var at []int
	var yb []float64
	for i, v := range y {
		if v >= half {
			better, at, yb = append(better, labelled[i]), append(at, i), append(yb, v)
		}
	}
	if _, _, ok := warp(yb, 1); !ok || len(yb) < 20 {
		return nil
	}
	c, err := newChoice(f.n, blocks, better, yb, rand.New(rand.NewPCG(o.Seed, 5)))
	if c == nil || err != nil {
		return err
	}
	sorted := slices.Clone(r.Score)
	slices.Sort(sorted)
	limit := sorted[int(0.7*float64(len(sorted)-1))]
	var rows []int
	var a []float64
	for i, v := range r.Score {
		if v > limit {
			rows, a = append(rows, i), append(a, v)
		}
	}
	if len(rows) < 2 {
		return nil
	}
	b, heldOut, err := c.g.gaussian(ctx, o.Pause, better, rows, c.z, c.w, o.Subspaces, rand.New(rand.NewPCG(o.Seed, 3)))
	if err != nil {
		return err
	}
	first := make([]float64, len(at))
	for i, k := range at {
		first[i] = r.HeldOut[k]
	}
	r.Top = blend(yb, first, heldOut, []float64{0, 0.2, 0.5, 1, 2}, 0.02)
	// The best keep the values that they had as a set.
	values := slices.Clone(a)
	slices.Sort(values)
	mixInto(a, b, r.Top)
	order := make([]int, len(a))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(a[i], a[j]) })
	for k, i := range order {
		r.Score[rows[i]] = values[k]
	}
	return nil
}

func logs(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Log(v)
	}
	return out
}

// choice is what evidence chose for one view.
type choice struct {
	g        *geometry
	z, w     []float64 // warped labels; weights of the blocks
	stretch  float64
	evidence float64
}

// newChoice chooses for one view, on at most probeLabels of the labels.
func newChoice(n int, blocks []block, labelled []int, y []float64, rng *rand.Rand) (*choice, error) {
	probe := draw(len(y), probeLabels, rng)
	py := pick(y, probe)
	c := &choice{g: newGeometry(n, blocks, pick(labelled, probe))}
	if len(c.g.blocks) == 0 {
		return nil, nil
	}
	z, _, _, err := c.g.bestWarp(py, c.g.defaults())
	if err != nil || z == nil {
		return nil, err
	}
	c.g.choose(z)
	b := balance{d: c.g.d, z: z, prior: logs(c.g.defaults())}
	c.w, _, _ = b.search()
	if _, c.stretch, c.evidence, err = c.g.bestWarp(py, c.w); err != nil {
		return nil, err
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
