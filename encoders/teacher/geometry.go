package teacher

import (
	"math"
	"math/rand/v2"
	"slices"
)

// geometry is how far apart the labelled networks are, block by block.
type geometry struct {
	rows   int // networks
	blocks []block
	median []float64   // of the squared distances of each block
	d      [][]float64 // [block][labels*labels] in units of the median
	n      int         // labels
}

func newGeometry(n int, blocks []block, labelled []int) *geometry {
	g := &geometry{rows: n, n: len(labelled)}
	for _, b := range blocks {
		at := make([]float32, 0, len(labelled)*b.width)
		for _, l := range labelled {
			at = append(at, b.values[l*b.width:(l+1)*b.width]...)
		}
		d := distances(at, b.width)
		m := medianDistance(d, g.n)
		if m < 1e-6 {
			continue
		}
		for i := range d {
			d[i] /= m
		}
		g.blocks, g.median, g.d = append(g.blocks, b), append(g.median, m), append(g.d, d)
	}
	return g
}

func (g *geometry) names() []string {
	out := make([]string, len(g.blocks))
	for i, b := range g.blocks {
		out[i] = b.name
	}
	return out
}

// defaults returns weights that need no labels.
func (g *geometry) defaults() []float64 {
	w := make([]float64, len(g.blocks))
	for i, b := range g.blocks {
		w[i] = math.Sqrt(float64(b.width))
		if b.name == "ranks" || b.name == relatedBlock {
			w[i] *= 3
		}
	}
	scale(w, 0.5)
	return w
}

// scale gives w the sum total.
func scale(w []float64, total float64) {
	sum := 0.0
	for _, v := range w {
		sum += v
	}
	for i := range w {
		w[i] *= total / sum
	}
}

const picks = 2 // alternatives of a group, at most; more fit the labels and not the space

// choose keeps of each group of alternatives those that the evidence asks for.
func (g *geometry) choose(z []float64) {
	w := g.defaults()
	kept := make([]bool, len(g.blocks))
	var groups []string
	for i, b := range g.blocks {
		kept[i] = b.group == ""
		if b.group != "" && !slices.Contains(groups, b.group) {
			groups = append(groups, b.group)
		}
	}
	evidence := func() float64 {
		var b balance
		b.z = z
		var weights []float64
		for i, k := range kept {
			if k {
				b.d, weights = append(b.d, g.d[i]), append(weights, w[i])
			}
		}
		if len(weights) == 0 {
			return math.Inf(-1)
		}
		scale(weights, 0.5)
		b.prior = logs(weights)
		best := math.Inf(-1)
		for _, noise := range []float64{0.01, 0.03, 0.1} {
			best = max(best, b.score(append(slices.Clone(b.prior), math.Log(noise))))
		}
		return best
	}
	for _, group := range groups {
		for range picks {
			before, best, at := evidence(), math.Inf(-1), -1
			for i, b := range g.blocks {
				if b.group != group || kept[i] {
					continue
				}
				kept[i] = true
				if e := evidence(); e > best {
					best, at = e, i
				}
				kept[i] = false
			}
			if at < 0 || best < before {
				break
			}
			kept[at] = true
		}
	}
	var blocks []block
	var median []float64
	var d [][]float64
	for i, k := range kept {
		if k {
			blocks, median, d = append(blocks, g.blocks[i]), append(median, g.median[i]), append(d, g.d[i])
		}
	}
	g.blocks, g.median, g.d = blocks, median, d
}

// bestWarp returns the labels under the warp of the most evidence.
func (g *geometry) bestWarp(y, w []float64, kernel *kernel) (z []float64, stretch, evidence float64, err error) {
	d := make([]float64, g.n*g.n)
	for b, db := range g.d {
		for i, v := range db {
			d[i] += w[b] * v
		}
	}
	var best []float64
	s, err := newSpectra(d, g.n, kernel)
	if err != nil {
		return nil, 0, 0, err
	}
	largest := math.Inf(-1)
	for _, f := range stretches {
		z, jacobian, ok := warp(y, f)
		if !ok {
			continue
		}
		_, _, e := s.grid(z)
		if e += jacobian; e > largest {
			best, stretch, largest = z, f, e
		}
	}
	return best, stretch, largest, nil
}

// column is one of a block, scaled.
type column struct {
	block, at int
	scale     float32
}

// halves returns a random half of the columns of each block, all of one whose
// columns say different things, scaled so that squared distances are the weighted
// sum of the blocks'.
func (g *geometry) halves(w []float64, rng *rand.Rand) []column {
	var out []column
	for b, blk := range g.blocks {
		scale := float32(math.Sqrt(w[b] / g.median[b]))
		take := (blk.width + 1) / 2
		if blk.single {
			take = blk.width
		}
		for _, c := range rng.Perm(blk.width)[:take] {
			out = append(out, column{b, c, scale})
		}
	}
	return out
}

// gather returns the columns of the networks in rows.
func (g *geometry) gather(rows []int, columns []column) []float32 {
	x := make([]float32, 0, len(rows)*len(columns))
	for _, i := range rows {
		for _, c := range columns {
			b := &g.blocks[c.block]
			x = append(x, b.values[i*b.width+c.at]*c.scale)
		}
	}
	return x
}

// columns returns all columns of some networks.
func (g *geometry) columns(rows []int) (x []float32, width int) {
	for _, b := range g.blocks {
		width += b.width
	}
	x = make([]float32, 0, len(rows)*width)
	for _, i := range rows {
		for _, b := range g.blocks {
			x = append(x, b.values[i*b.width:(i+1)*b.width]...)
		}
	}
	return x, width
}
