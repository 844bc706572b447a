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
}

// Result is a ranking and how it came about.
type Result struct {
	Score    []float64 // [n] more is better
	HeldOut  []float64 // [labels] scores on the same scale, made without the label itself
	View     string    // what the networks were taken for
	Blocks   []string  // groups of features that the Gaussian process used
	Weights  []float64 // of the blocks in its squared distances
	Stretch  float64   // of the labels' top; small stretches much
	Evidence float64   // logarithm, up to a constant, of the labels' density
	Trees    float64   // weight of the trees beside the Gaussian process
	Top      float64   // weight of the second look at the best
}

// Fit ranks the networks of d from labels y, more is better, of the networks
// labelled.
func Fit(ctx context.Context, d *Data, labelled []int, y []float64, o Options) (*Result, error) {
	f, err := NewFeatures(ctx, d)
	if err != nil {
		return nil, err
	}
	return f.Fit(ctx, labelled, y, o)
}

// Fit is Fit on features that were computed before.
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
	r := &Result{Score: make([]float64, f.n), HeldOut: make([]float64, len(y))}
	if _, _, ok := warp(y, 1); !ok {
		return r, nil
	}
	var g *geometry
	var z, w []float64
	at := 0
	for i, v := range f.views {
		if len(v.blocks) == 0 {
			continue
		}
		c, err := newChoice(f.n, v.blocks, labelled, y)
		if err != nil {
			return nil, err
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
	score, heldOut, err := g.gaussian(ctx, labelled, z, w, o.Subspaces, rand.New(rand.NewPCG(o.Seed, 1)))
	if err != nil {
		return nil, err
	}
	x, width := g.columns()
	tree, treeHeldOut := boosted(x, f.n, width, labelled, z, rand.New(rand.NewPCG(o.Seed, 2)))
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
	merit := make([]float64, len(shares))
	for i, s := range shares {
		m := slices.Clone(a)
		mixInto(m, b, s)
		merit[i] = tau(y, m)
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
	c, err := newChoice(f.n, blocks, better, yb)
	if err != nil {
		return err
	}
	score, heldOut, err := c.g.gaussian(ctx, better, c.z, c.w, o.Subspaces, rand.New(rand.NewPCG(o.Seed, 3)))
	if err != nil {
		return err
	}
	first := make([]float64, len(at))
	for i, k := range at {
		first[i] = r.HeldOut[k]
	}
	r.Top = blend(yb, first, heldOut, []float64{0, 0.2, 0.5, 1, 2}, 0.02)
	sorted := slices.Clone(r.Score)
	slices.Sort(sorted)
	limit := sorted[int(0.7*float64(len(sorted)-1))]
	var rows []int
	var a, b []float64
	for i, v := range r.Score {
		if v > limit {
			rows, a, b = append(rows, i), append(a, v), append(b, score[i])
		}
	}
	if len(rows) < 2 {
		return nil
	}
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

func newChoice(n int, blocks []block, labelled []int, y []float64) (*choice, error) {
	c := &choice{g: newGeometry(n, blocks, labelled)}
	var err error
	w := c.g.defaults()
	if c.z, c.stretch, _, err = c.g.bestWarp(y, w); err != nil {
		return nil, err
	}
	c.g.choose(c.z)
	b := balance{d: c.g.d, z: c.z, prior: logs(c.g.defaults())}
	c.w, _, _ = b.search()
	c.z, c.stretch, c.evidence, err = c.g.bestWarp(y, c.w)
	return c, err
}
