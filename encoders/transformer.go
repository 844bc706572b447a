package encoders

import (
	"fmt"
	"math"
	"math/rand/v2"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

// transformer lets every node attend to all of its graph: with x =
// embedding[op] + position,
//
//	h = norm(x + attention(x))
//	x = norm(h + MLP(h))
//
// in every layer; norm is of the row. The position of a node is its generation,
// as sines and cosines; which nodes it has edges and paths to is a bias of the
// attention. Both are properties of the graph, not of its numbering, and neither
// bounds its size. The embedding is the mean over the nodes. Sources: Vaswani et
// al., "Attention is all you need", 2017; the bias: Ying et al., "Do
// transformers really perform badly for graph representation?", 2021; the
// generation as position: Luo et al., "Transformers over directed acyclic
// graphs", 2023.
type transformer struct {
	noTables
	width, layers int
	dropout       float32 // of the attention
	parts         []transformerLayer
}

type transformerLayer struct {
	attention     attention
	attentionNorm layerNorm
	feed          mlp
	norm          layerNorm
}

func (e *transformer) declare(l *layout) {
	e.parts = nil
	for i := range e.layers {
		name := fmt.Sprintf("encoder.%d", i)
		e.parts = append(e.parts, transformerLayer{
			newAttention(l, name+".attention", e.width, true), newLayerNorm(l, name+".attention.norm", e.width),
			newMLP(l, name+".feed", e.width, 2*e.width, e.width), newLayerNorm(l, name+".norm", e.width)})
	}
}

func (e *transformer) init(w []float32, rng *rand.Rand) {
	for i := range e.parts {
		p := &e.parts[i]
		p.attention.init(w, rng)
		p.attentionNorm.init(w)
		p.feed.init(w, rng)
		p.norm.init(w)
	}
}

func (e *transformer) arrange(b *batch, v *Vocabulary, g *schemas.Graphs, rows []int, _ int32) {
	b.direct(v, g, rows)
	b.relate(true)
}

func (e *transformer) keeps() int     { return 15 }
func (e *transformer) dimension() int { return e.width }

func (e *transformer) forward(t *tape, w, _ []float32, operations *slot, b *batch, rng *rand.PCG) []float32 {
	t.begin(rng)
	z, x := t.take(b.graphs*e.width), t.take(len(b.dag.row)*e.width)
	b.dag.embedded(x, w, operations)
	e.place(x, &b.dag, t.take(e.width))
	used := t.used
	for i := range e.parts {
		y := e.parts[i].forward(t, x, w, b, e.dropout, i)
		if t.training {
			x = y
		} else { // nothing but the outcome is needed
			copy(x, y)
			t.release(used)
		}
	}
	b.meanPool(z, x, b.dag.row, e.width)
	return z
}

// place adds the positions to x.
func (e *transformer) place(x []float32, d *dag, position []float32) {
	for generation := range d.generations() {
		for c := range position {
			angle := float64(generation) * math.Pow(10000, -float64(c&^1)/float64(e.width))
			if c%2 == 0 {
				position[c] = float32(math.Sin(angle))
			} else {
				position[c] = float32(math.Cos(angle))
			}
		}
		from, to := d.rows(generation)
		kernels.AddRows(x[from*e.width:to*e.width], position)
	}
}

func (e *transformer) backward(t *tape, dw, _, dz, w []float32, operations *slot, b *batch) {
	dx := t.zeros(len(b.dag.row) * e.width)
	b.meanPoolBack(dx, dz, b.dag.row, e.width)
	for i := len(e.parts) - 1; i >= 0; i-- {
		dx = e.parts[i].backward(t, dw, dx, w, b, e.dropout, i)
	}
	b.dag.embeddedBack(dx, dw, operations)
}

func (p *transformerLayer) forward(t *tape, x, w []float32, b *batch, dropout float32, layer int) []float32 {
	h := p.attention.forward(t, x, w, &b.relations, dropout, layer)
	kernels.Add(h, x)
	p.attentionNorm.forward(t, h, w)
	hidden, y := t.take(2*len(x)), t.take(len(x))
	p.feed.forward(y, hidden, h, w)
	t.push(h)
	t.push(hidden)
	kernels.Add(y, h)
	p.norm.forward(t, y, w)
	return y
}

// backward returns the gradient of x and spoils dy.
func (p *transformerLayer) backward(t *tape, dw, dy, w []float32, b *batch, dropout float32, layer int) []float32 {
	p.norm.backward(t, dw, dy, w)
	hidden, h := t.pop(), t.pop()
	dh := t.take(len(dy))
	p.feed.backward(dh, t.take(len(hidden)), dw, dy, hidden, h, w)
	kernels.Add(dh, dy)
	p.attentionNorm.backward(t, dw, dh, w)
	kernels.Add(dh, p.attention.backward(t, dw, dh, w, &b.relations, dropout, layer))
	return dh
}
