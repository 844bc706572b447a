package flow

import (
	"math/rand/v2"

	"archflow/schemas"
)

// Draws are surrogates of one variant with independent random parameters, side
// by side. It is safe for concurrent use.
type Draws struct {
	variant Variant
	flows   []*Flow
	queries [][]float64 // of attention, [draws][k]
}

// drawStep separates the seeds of draws. The first draw has the seed itself.
const drawStep = 0x9e3779b97f4a7c15

// NewDraws returns n draws; v must be valid.
func NewDraws(c Config, v Variant, n int) *Draws {
	d := &Draws{variant: v.withDefaults()}
	for range max(n, 1) {
		f := New(c)
		random := rand.New(rand.NewPCG(c.Seed, 0x7175657279)) // "query"
		d.flows, d.queries = append(d.flows, f), append(d.queries, normal(random, f.k, 1))
		c.Seed += drawStep
	}
	return d
}

// DrawsOf returns draws that are one surrogate as published.
func DrawsOf(f *Flow) *Draws {
	return &Draws{variant: Variant{}.withDefaults(), flows: []*Flow{f}}
}

// K returns the length of all draws of a graph together.
func (d *Draws) K() int { return len(d.flows) * d.flows[0].k }

// Surrogates writes the surrogates of every graph in g to dst [g.Len(), K], those
// of one draw next to one another.
func (d *Draws) Surrogates(dst []float32, g *schemas.Graphs) {
	for i, f := range d.flows {
		d.draw(dst, g, i, f)
	}
}

func (d *Draws) draw(dst []float32, g *schemas.Graphs, number int, f *Flow) {
	if d.variant.Published() {
		if len(d.flows) == 1 {
			f.Surrogates(dst, g)
			return
		}
		own := make([]float32, g.Len()*f.k)
		f.Surrogates(own, g)
		for i := range g.Len() {
			copy(dst[i*d.K()+number*f.k:], own[i*f.k:(i+1)*f.k])
		}
		return
	}
	own := make([]float64, f.k)
	for i := range g.Len() {
		_, edges := g.Graph(i)
		f.surrogate64(own, d.variant, d.queries[number], f.operations(g, i), edges)
		for c, s := range own {
			dst[i*d.K()+number*f.k+c] = float32(s)
		}
	}
}
