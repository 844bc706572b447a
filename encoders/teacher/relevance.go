package teacher

import (
	"math"
	"slices"
)

// Attributes that say nothing of the labels cost a ranking from few labels
// dearly: every distance holds their noise. Evidence drops them one by one.

var (
	relevanceSizes  = []float64{0.02, 0.06, 0.2, 0.5} // of all weights together
	relevanceNoises = []float64{0.01, 0.03, 0.1, 0.3}
)

// relevant returns the blocks without the attributes that evidence speaks
// against, given targets z of the labelled networks of n.
func relevant(n int, blocks []block, labelled []int, z []float64) []block {
	var every uint64
	small := make([]block, len(blocks)) // of the labelled networks
	for k, b := range blocks {
		for _, u := range b.uses {
			every |= u
		}
		small[k] = b
		small[k].values = nil
		for _, l := range labelled {
			small[k].values = append(small[k].values, b.values[l*b.width:(l+1)*b.width]...)
		}
	}
	if every == 0 {
		return blocks
	}
	rows := all(len(labelled))
	evidence := func(dropped uint64) float64 {
		g := newGeometry(len(rows), without(small, dropped, len(rows)), rows)
		if len(g.blocks) == 0 {
			return math.Inf(-1)
		}
		b := balance{d: g.d, z: z, prior: logs(g.defaults())}
		best := math.Inf(-1)
		for _, size := range relevanceSizes {
			theta := slices.Clone(b.prior)
			for i := range theta {
				theta[i] += math.Log(2 * size) // the defaults add up to a half
			}
			for _, noise := range relevanceNoises {
				best = max(best, b.score(append(slices.Clone(theta), math.Log(noise))))
			}
		}
		return best
	}
	dropped, best := uint64(0), evidence(0)
	for {
		at, most := uint64(0), best
		for bit := uint64(1); bit != 0 && bit <= every; bit <<= 1 {
			if every&^dropped&bit == 0 {
				continue
			}
			if e := evidence(dropped | bit); e > most {
				at, most = bit, e
			}
		}
		if at == 0 {
			return without(blocks, dropped, n)
		}
		dropped, best = dropped|at, most
	}
}

// without returns the blocks of n networks without the columns that depend on
// one of the attributes dropped.
func without(blocks []block, dropped uint64, n int) []block {
	var out []block
	for _, b := range blocks {
		var kept []int
		for j, u := range b.uses {
			if u&dropped == 0 {
				kept = append(kept, j)
			}
		}
		switch {
		case len(kept) == len(b.uses):
			out = append(out, b)
		case len(kept) > 0:
			c := b
			c.width, c.uses, c.values = len(kept), pick(b.uses, kept), make([]float32, 0, n*len(kept))
			for i := range n {
				c.values = append(c.values, pick(b.values[i*b.width:(i+1)*b.width], kept)...)
			}
			out = append(out, c)
		}
	}
	return out
}
