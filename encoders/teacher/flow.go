package teacher

import "math"

// An analytic flow: the variance of a signal on its way forward, and of a gradient on its
// way back, when some operations normalise (their output has variance 1) and the others
// pass on a multiple of their input. Which operations normalise is a hypothesis; evidence
// chooses (weights.go).

// hypothesis is an assumption about the operations of a family.
type hypothesis struct {
	weighted uint32  // classes that normalise
	gain     float64 // of the variance, through the other classes
}

// flow computes the features of one family under one hypothesis.
type flow struct {
	hypothesis
	classes int
	walks   walks

	variance, input  []float64 // [node] of its output, and of the sum of its inputs
	gradient, steep  []float64 // [node] gathered from the beginning; largest of one path
	sensitivity      []float64 // [node] gradient from the end to the node
	nearest, longest []float64 // [node] fewest and most inner nodes before it
	p                []float64 // [edge]
}

func newFlow(f family, h hypothesis) *flow {
	whole := uint32(1)<<f.classes - 1
	m := masks(f.classes)[:min(f.classes, 8)]
	m = append(append([]uint32(nil), m...), whole)
	if h.weighted != whole && h.weighted&(h.weighted-1) != 0 {
		m = append(m, h.weighted)
	}
	return &flow{hypothesis: h, classes: f.classes, walks: walks{masks: m}}
}

const perClass = 10

// width returns the number of features.
func (f *flow) width() int { return 6 + 2*f.walks.width() + f.classes*perClass }

const tiny, huge = 1e-60, 1e60

// features writes the features of c to dst [width]; zeros for an empty cell.
func (f *flow) features(c *cell, dst []float64) {
	clear(dst)
	join := c.last()
	if len(c.preds(join)) == 0 {
		return
	}
	nodes := join + 1
	f.variance, f.input = zeros(f.variance, nodes), zeros(f.input, nodes)
	f.gradient, f.steep = zeros(f.gradient, nodes), zeros(f.steep, nodes)
	f.nearest, f.longest = zeros(f.nearest, nodes), zeros(f.longest, nodes)
	f.sensitivity = zeros(f.sensitivity, nodes)
	for t := range nodes {
		preds := c.preds(t)
		if len(preds) == 0 {
			f.variance[t], f.input[t], f.gradient[t], f.steep[t] = 1, 1, 1, 1
			continue
		}
		f.nearest[t] = math.Inf(1)
		for _, u := range preds {
			f.input[t] += f.variance[u]
			f.gradient[t] += f.gradient[u]
			f.steep[t] = max(f.steep[t], f.steep[u])
			step := 0.0
			if c.class[u] >= 0 {
				step = 1
			}
			f.nearest[t] = min(f.nearest[t], f.nearest[u]+step)
			f.longest[t] = max(f.longest[t], f.longest[u]+step)
		}
		f.input[t] = min(max(f.input[t], tiny), huge)
		g := f.slope(c, t)
		f.variance[t] = min(max(f.input[t]*g, tiny), huge)
		f.gradient[t] = min(max(f.gradient[t]*g, tiny), huge)
		f.steep[t] = min(max(f.steep[t]*g, tiny), huge)
	}
	at := 0
	put := func(v float64) { dst[at] = v; at++ }
	v, j := f.variance[join], f.gradient[join]
	put(v / (1 + v))
	put(math.Log(v))
	put(math.Log(j))
	put(math.Log(j / v))
	put(math.Log(f.steep[join]))
	put(math.Log(f.steep[join] / j))

	f.p = zeros(f.p, len(c.pred))
	f.choose(c, f.gradient)
	f.walks.features(c, f.p, dst[at:])
	at += f.walks.width()
	f.choose(c, f.variance)
	f.walks.features(c, f.p, dst[at:])
	at += f.walks.width()

	f.sensitivity[join] = 1
	for t := join; t >= 0; t-- {
		g := f.slope(c, t)
		for _, u := range c.preds(t) {
			f.sensitivity[u] = min(f.sensitivity[u]+g*f.sensitivity[t], huge)
		}
	}
	for k := range f.classes {
		var count, use, use2, input, grad, nearest, longest, largest float64
		smallest := math.Inf(1)
		for t := range join {
			if c.class[t] != k {
				continue
			}
			count++
			use += f.walks.visits[t]
			use2 += f.walks.visits[t] * f.walks.visits[t]
			input += math.Log(f.input[t])
			grad += f.sensitivity[t]
			largest = max(largest, f.sensitivity[t])
			smallest = min(smallest, f.sensitivity[t])
			nearest += f.nearest[t]
			longest += f.longest[t]
		}
		if count == 0 {
			nearest, longest, smallest = -1, -1, 0
		} else {
			nearest, longest = nearest/count, longest/count
		}
		for _, x := range [perClass]float64{use, use2, input, math.Log1p(grad), math.Log1p(largest), math.Log1p(smallest), nearest, longest, grad, count} {
			put(x)
		}
	}
}

// slope returns the factor of node t on the variance of its input.
func (f *flow) slope(c *cell, t int) float64 {
	switch k := c.class[t]; {
	case k < 0:
		return 1
	case f.weighted>>k&1 == 1:
		return 1 / f.input[t]
	default:
		return f.gain
	}
}

// choose sets the probabilities of a walk to the shares of the predecessors in
// by.
func (f *flow) choose(c *cell, by []float64) {
	for t := range c.class {
		sum := 0.0
		for _, u := range c.preds(t) {
			sum += by[u]
		}
		for e := c.predStart[t]; e < c.predStart[t+1]; e++ {
			f.p[e] = by[c.pred[e]] / sum
		}
	}
}
