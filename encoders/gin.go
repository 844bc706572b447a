package encoders

import (
	"fmt"
	"math/rand/v2"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

// gin is the graph isomorphism network: with x0 = embedding[op],
//
//	x_i = dropout(ReLU(MLP((1 + eps) x_i + sum over neighbours j of x_j)))
//
// in every layer, MLP of two linear layers. The embedding is the mean of all
// layers' outputs side by side. Source: Xu et al., "How powerful are graph
// neural networks?", 2019.
type gin struct {
	noTables
	width, layers int
	dropout       float32
	eps           []*slot // a layer: [1, 1]
	mlps          []mlp
}

func (e *gin) declare(l *layout) {
	e.eps, e.mlps = nil, nil
	for i := range e.layers {
		name := fmt.Sprintf("encoder.%d", i)
		e.eps = append(e.eps, l.add(name+".eps", 1, 1))
		e.mlps = append(e.mlps, newMLP(l, name, e.width, e.width, e.width))
	}
}

func (e *gin) init(w []float32, rng *rand.Rand) {
	for i := range e.mlps {
		clear(e.eps[i].in(w))
		e.mlps[i].init(w, rng)
	}
}

func (e *gin) arrange(b *batch, v *Vocabulary, g *schemas.Graphs, rows []int, maxNodes int32) {
	b.build(v, g, rows, e.layers, maxNodes)
}

func (e *gin) keeps() int     { return keptByGated }
func (e *gin) dimension() int { return e.width * e.layers }

func (e *gin) forward(t *tape, w, _ []float32, operations *slot, b *batch, rng *rand.PCG) []float32 {
	t.reset()
	width := e.width
	x := b.blends.extended(t, w, operations)
	t.keep(x, nil, nil)
	z, pooled := t.take(b.graphs*e.dimension()), t.take(b.graphs*width)
	for layer := range e.layers {
		l := &b.rounds[layer+1]
		sums, own := t.zeros(l.size()*width), 1+e.eps[layer].in(w)[0]
		for s := range l.size() {
			row := sums[s*width:][:width]
			kernels.AddScaled(row, own, x[int(l.own[s])*width:])
			from, to := l.span(s)
			for _, j := range l.neighbours[from:to] {
				kernels.Add(row, x[int(j)*width:])
			}
		}
		hidden := t.take(l.size() * width)
		x = t.take(l.size() * width)
		e.mlps[layer].forward(x, hidden, sums, w)
		kernels.ReLU(x, x)
		if rng != nil {
			kernels.Dropout(x, e.dropout, rng.Uint64())
		}
		t.keep(x, sums, hidden)
		b.meanPool(pooled, x, l.colours, width)
		for g := range b.graphs {
			copy(z[g*e.dimension()+layer*width:][:width], pooled[g*width:])
		}
	}
	return z
}

func (e *gin) backward(t *tape, dw, _, dz, w []float32, operations *slot, b *batch) {
	width := e.width
	dzLayer := t.take(b.graphs * width)
	dx := t.zeros(b.rounds[e.layers].size() * width)
	factor := kernels.DropoutScale(e.dropout)
	for layer := e.layers - 1; layer >= 0; layer-- {
		l := &b.rounds[layer+1]
		out, sums, hidden := t.kept(layer + 1)
		for g := range b.graphs {
			copy(dzLayer[g*width:][:width], dz[g*e.dimension()+layer*width:])
		}
		b.meanPoolBack(dx, dzLayer, l.colours, width)
		kernels.ReLUBack(dx, out)
		kernels.Scale(dx, factor)
		dsums := t.take(l.size() * width)
		e.mlps[layer].backward(dsums, t.take(l.size()*width), dw, dx, hidden, sums, w)
		x, _, _ := t.kept(layer)
		below := operations.in(dw) // where the states of level 0 have their gradient
		switch {
		case layer > 0:
			below = t.zeros(b.rounds[layer].size() * width)
		case b.blends.len() > 0:
			below = t.zeros(len(below) + b.blends.len()*width)
		}
		own, deps := 1+e.eps[layer].in(w)[0], float32(0)
		for s := range l.size() {
			row, self := dsums[s*width:][:width], int(l.own[s])*width
			deps += kernels.Dot(row, x[self:])
			kernels.AddScaled(below[self:][:width], own, row)
			from, to := l.span(s)
			for _, j := range l.neighbours[from:to] {
				kernels.Add(below[int(j)*width:][:width], row)
			}
		}
		e.eps[layer].in(dw)[0] += deps
		dx = below
	}
	if b.blends.len() > 0 {
		b.blends.extendedBack(dw, dx, operations)
	}
}
