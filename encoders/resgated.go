package encoders

import (
	"fmt"
	"math/rand/v2"

	"archflow/encoders/kernels"
	"archflow/schemas"

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

func (e *resGated) arrange(b *batch, v *Vocabulary, g *schemas.Graphs, rows []int, maxNodes int32) {
	b.build(v, g, rows, e.layers, maxNodes)
}

func (e *resGated) keeps() int     { return keptByGated }
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

// stateBlock is how many states follow one another before the next products are
// computed: enough rows for a product that are still in the cache when they are
// read.
const stateBlock = 1024

func (e *resGated) forward(t *tape, w, table []float32, operations *slot, b *batch, rng *rand.PCG) []float32 {
	t.reset()
	width := e.width
	x0, x, y := b.blends.extended(t, w, operations), []float32(nil), table
	if b.blends.len() > 0 {
		y = t.take(len(x0) * 4)
		copy(y, table)
		affine(y[len(table):], x0[operations.rows*width:], e.weights[0].in(w), e.biases[0].in(w), width, 4*width)
	}
	largest := 0
	for layer := 1; layer < e.layers; layer++ {
		largest = max(largest, b.rounds[layer].size())
	}
	var products []float32
	if rng == nil { // which needs no more than one layer's at a time
		products = t.take(largest * 4 * width)
	}
	for layer := range e.layers {
		below, l := &b.rounds[layer], &b.rounds[layer+1]
		before, done := x, 0
		x = t.take(l.size() * width)
		var gates []float32
		switch {
		case layer == 0:
			done = operations.rows + b.blends.len()
		case rng == nil:
			y = products
		default:
			y = t.take(below.size() * 4 * width)
		}
		if rng != nil {
			gates = t.take(len(l.neighbours) * width)
		}
		for first := 0; first < l.size(); first += stateBlock {
			last := min(first+stateBlock, l.size())
			if reach := l.dependsOn(first, last); reach > done {
				kernels.Affine(y[done*4*width:reach*4*width], before[done*width:reach*width], e.weights[layer].in(w), e.biases[layer].in(w), width, 4*width)
				done = reach
			}
			for s := first; s < last; s++ {
				from, to := l.span(s)
				var kept []float32
				if rng != nil {
					kept = gates[from*width : to*width]
				}
				kernels.Gated(x[s*width:][:width], kept, x0[int(l.codes[s])*width:], y, l.own[s], l.neighbours[from:to])
			}
		}
		if rng != nil {
			kernels.Dropout(x, e.dropout, rng.Uint64())
		}
		t.keep(x, y, gates)
	}
	z := t.take(b.graphs * width)
	b.meanPool(z, x, b.rounds[e.layers].colours, width)
	return z
}

func (e *resGated) backward(t *tape, dw, dtable, dz, w []float32, operations *slot, b *batch) {
	width := e.width
	dx := t.zeros(b.rounds[e.layers].size() * width)
	b.meanPoolBack(dx, dz, b.rounds[e.layers].colours, width)
	dx0, dy0, factor := operations.in(dw), dtable, kernels.DropoutScale(e.dropout)
	if b.blends.len() > 0 {
		dx0 = t.zeros(len(dx0) + b.blends.len()*width)
		dy0 = t.zeros(len(dx0) * 4)
	}
	for layer := e.layers - 1; layer >= 0; layer-- {
		below, l := &b.rounds[layer], &b.rounds[layer+1]
		dy := dy0
		if layer > 0 {
			dy = t.zeros(below.size() * 4 * width)
		}
		x, y, gates := t.kept(layer)
		for s := range l.size() {
			from, to := l.span(s)
			kernels.GatedBack(dy, dx0[int(l.codes[s])*width:], dx[s*width:][:width], x[s*width:], gates[from*width:], y, l.own[s], l.neighbours[from:to], factor)
		}
		if layer > 0 {
			before, _, _ := t.kept(layer - 1)
			dx = t.take(below.size() * width)
			kernels.AffineWeights(e.weights[layer].in(dw), e.biases[layer].in(dw), before, dy, width, 4*width)
			multiply(blas.Trans, dx, dy, e.weights[layer].in(w), below.size(), 4*width, width)
		}
	}
	if b.blends.len() > 0 {
		e.blendsBack(t, dw, dtable, dx0, dy0, w, operations, b)
	}
}

// blendsBack takes the gradients of the embedding and of the table, each with
// the rows of the blends, to where they belong.
func (e *resGated) blendsBack(t *tape, dw, dtable, dx0, dy0, w []float32, operations *slot, b *batch) {
	width, rows := e.width, b.blends.len()
	kernels.Add(dtable, dy0[:len(dtable)])
	dx, dy := dx0[operations.rows*width:], dy0[len(dtable):]
	x := b.blends.extended(t, w, operations)[operations.rows*width:]
	kernels.AffineWeights(e.weights[0].in(dw), e.biases[0].in(dw), x, dy, width, 4*width)
	through := t.take(len(dx))
	multiply(blas.Trans, through, dy, e.weights[0].in(w), rows, 4*width, width)
	kernels.Add(dx, through)
	b.blends.extendedBack(dw, dx0, operations)
}
