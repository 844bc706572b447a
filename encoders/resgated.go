package encoders

import (
	"fmt"
	"math/rand/v2"

	"archflow/encoders/kernels"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// resGated is the residual gated graph network: with x0 = embedding[op],
//
//	c_i = S x_i + sum over neighbours j of sigmoid(K x_i + Q x_j) * V x_j
//	x_i = dropout(ReLU(.2 x0_i + .8 c_i))
//
// in every layer, all four products with a bias. Source: Bresson & Laurent,
// "Residual gated graph ConvNets", 2017, as used by FGP.
type resGated struct {
	width, layers int
	dropout       float32
	weights       []*slot // a layer: [width, 4 width], the columns of K, Q, V, S
	biases        []*slot
}

func (e *resGated) declare(l *layout) {
	e.weights, e.biases = nil, nil
	for i := range e.layers {
		e.weights = append(e.weights, l.add(fmt.Sprintf("encoder.%d.weight", i), e.width, 4*e.width))
		e.biases = append(e.biases, l.add(fmt.Sprintf("encoder.%d.bias", i), 1, 4*e.width))
	}
}

func (e *resGated) init(w []float32, rng *rand.Rand) {
	for i := range e.weights {
		fillLinear(e.weights[i].in(w), e.biases[i].in(w), e.width, rng)
	}
}

func (e *resGated) dimension() int { return e.width }

// The first layer sees as many inputs as there are operations, so its four
// products are a table.
func (e *resGated) tableWidth() int { return 4 * e.width }

func (e *resGated) tables(table, w []float32, operations *slot) {
	affine(table, operations.in(w), e.weights[0].in(w), e.biases[0].in(w), e.width, 4*e.width)
}

func (e *resGated) tablesBack(dw, dtable, w []float32, operations *slot) {
	affineBack(nil, e.weights[0].in(dw), e.biases[0].in(dw), dtable, operations.in(w), e.weights[0].in(w), e.width, 4*e.width)
	rows := operations.rows
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, matrix(dtable, rows, 4*e.width), matrix(e.weights[0].in(w), e.width, 4*e.width), 1, matrix(operations.in(dw), rows, e.width))
}

// products says in which rows of a layer's products the nodes and their
// neighbours stand.
func (e *resGated) products(t *tape, layer int, b *batch) (self, near []int32) {
	if layer == 0 {
		return b.codes, b.nearCodes
	}
	return t.counting(b.nodes()), b.neighbour
}

func (e *resGated) forward(t *tape, w, table []float32, operations *slot, b *batch, rng *rand.PCG) []float32 {
	t.reset()
	width, n := e.width, b.nodes()
	x0 := operations.in(w)
	x, y := []float32(nil), table
	for layer := range e.layers {
		// Inference needs no more than one layer at a time.
		if layer == 1 || layer > 1 && rng != nil {
			y = t.take(n * 4 * width)
		}
		if layer > 0 {
			affine(y, x, e.weights[layer].in(w), e.biases[layer].in(w), width, 4*width)
		}
		if layer == 0 || rng != nil {
			x = t.take(n * width)
		}
		var gates []float32
		if rng != nil {
			gates = t.take(len(b.neighbour) * width)
		}
		self, near := e.products(t, layer, b)
		for i := range n {
			from, to := b.near(i)
			var kept []float32
			if rng != nil {
				kept = gates[from*width : to*width]
			}
			kernels.Gated(x[i*width:][:width], kept, x0[int(b.codes[i])*width:], y, self[i], near[from:to])
		}
		if rng != nil {
			kernels.Dropout(x, e.dropout, rng.Uint64())
		}
		t.keep(x, y, gates)
	}
	z := t.take(b.graphs * width)
	b.meanPool(z, x, width)
	return z
}

func (e *resGated) backward(t *tape, dw, dtable, dz, w []float32, operations *slot, b *batch) {
	width, n := e.width, b.nodes()
	dx := t.take(n * width)
	b.meanPoolBack(dx, dz, width)
	dx0, factor := operations.in(dw), kernels.DropoutScale(e.dropout)
	dproducts := t.take(n * 4 * width)
	for layer := e.layers - 1; layer >= 0; layer-- {
		dy := dtable
		if layer > 0 {
			dy = dproducts
			clear(dy)
		}
		x, y, gates := t.kept(layer)
		self, near := e.products(t, layer, b)
		for i := range n {
			from, to := b.near(i)
			kernels.GatedBack(dy, dx0[int(b.codes[i])*width:], dx[i*width:][:width], x[i*width:], gates[from*width:], y, self[i], near[from:to], factor)
		}
		if layer > 0 {
			before, _, _ := t.kept(layer - 1)
			affineBack(dx, e.weights[layer].in(dw), e.biases[layer].in(dw), dy, before, e.weights[layer].in(w), width, 4*width)
		}
	}
}
