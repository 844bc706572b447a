package encoders

import (
	"fmt"
	"math/rand/v2"

	"archflow/encoders/kernels"
)

// gin is the graph isomorphism network: with x0 = embedding[op],
//
//	x_i = dropout(ReLU(MLP((1 + eps) x_i + sum over neighbours j of x_j)))
//
// in every layer, MLP of two linear layers. The embedding is the mean of all
// layers' outputs side by side. Source: Xu et al., "How powerful are graph
// neural networks?", 2019.
type gin struct {
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

func (e *gin) dimension() int                                       { return e.width * e.layers }
func (e *gin) tableWidth() int                                      { return 0 }
func (e *gin) tables(table, w []float32, operations *slot)          {}
func (e *gin) tablesBack(dw, dtable, w []float32, operations *slot) {}
func (e *gin) forward(t *tape, w, _ []float32, operations *slot, b *batch, rng *rand.PCG) []float32 {
	t.reset()
	width, n := e.width, b.nodes()
	embedding, x := operations.in(w), t.take(n*width)
	for i, code := range b.codes {
		copy(x[i*width:][:width], embedding[int(code)*width:])
	}
	t.keep(x, nil, nil)
	z, pooled := t.take(b.graphs*e.dimension()), t.take(b.graphs*width)
	var sums, hidden []float32
	for layer := range e.layers {
		// Inference needs no more than one layer at a time.
		if layer == 0 || rng != nil {
			sums, hidden = t.take(n*width), t.take(n*width)
		}
		clear(sums)
		own := 1 + e.eps[layer].in(w)[0]
		for i := range n {
			row := sums[i*width:][:width]
			kernels.AddScaled(row, own, x[i*width:])
			for _, j := range b.neighbour[b.edgeStart[i]:b.edgeStart[i+1]] {
				kernels.Add(row, x[int(j)*width:])
			}
		}
		if rng != nil {
			x = t.take(n * width)
		}
		e.mlps[layer].forward(x, hidden, sums, w)
		kernels.ReLU(x, x)
		if rng != nil {
			kernels.Dropout(x, e.dropout, rng.Uint64())
		}
		t.keep(x, sums, hidden)
		b.meanPool(pooled, x, width)
		for g := range b.graphs {
			copy(z[g*e.dimension()+layer*width:][:width], pooled[g*width:])
		}
	}
	return z
}

func (e *gin) backward(t *tape, dw, _, dz, w []float32, operations *slot, b *batch) {
	width, n := e.width, b.nodes()
	dx, fromPool, dzLayer := t.zeros(n*width), t.take(n*width), t.take(b.graphs*width)
	dsums, dhidden := t.take(n*width), t.take(n*width)
	factor := kernels.DropoutScale(e.dropout)
	for layer := e.layers - 1; layer >= 0; layer-- {
		out, sums, hidden := t.kept(layer + 1)
		for g := range b.graphs {
			copy(dzLayer[g*width:][:width], dz[g*e.dimension()+layer*width:])
		}
		b.meanPoolBack(fromPool, dzLayer, width)
		kernels.Add(dx, fromPool)
		kernels.ReLUBack(dx, out)
		kernels.Scale(dx, factor)
		e.mlps[layer].backward(dsums, dhidden, dw, dx, hidden, sums, w)
		x, _, _ := t.kept(layer)
		e.eps[layer].in(dw)[0] += kernels.Dot(dsums, x)
		own := 1 + e.eps[layer].in(w)[0]
		clear(dx)
		for i := range n {
			row := dsums[i*width:][:width]
			kernels.AddScaled(dx[i*width:][:width], own, row)
			for _, j := range b.neighbour[b.edgeStart[i]:b.edgeStart[i+1]] {
				kernels.Add(dx[int(j)*width:][:width], row)
			}
		}
	}
	embedding := operations.in(dw)
	for i, code := range b.codes {
		kernels.Add(embedding[int(code)*width:][:width], dx[i*width:])
	}
}
