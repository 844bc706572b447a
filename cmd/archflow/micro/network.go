package micro

import (
	"math"
	"math/rand/v2"
)

const (
	width = 12 // values that flow along an edge, for each point
	cells = 2  // copies of the cell, one after the other
)

// steady is added to a variance before its root is taken.
const steady = 1e-3

// network is an architecture with weights: a linear stem, copies of the cell,
// a linear classifier. A node adds up what arrives and applies its operation;
// what enters a cell and the classifier is standardised over the batch, a row
// at a time, which keeps squares of squares in range.
//
// Values are matrices [width][batch], row after row; gradients mirror them.
type network struct {
	layers
	c      cell
	inputs int

	stem   affine
	linear []affine // [cells*nodes], used where the operation is linear
	head   affine

	points       []float64   // [inputs][batch]
	stemOut      []float64   // before it is standardised
	sums, outs   [][]float64 // [cells*nodes], what arrives at a node and what leaves it
	dSums, dOuts [][]float64
	deviations   []float64 // [cells+1][width], that standardisation divided by
	dStem        []float64
}

func newNetwork(c cell, inputs, classes, batch int) *network {
	n := len(c.ops)
	w := &network{layers: layers{classes: classes, batch: batch}, c: c, inputs: inputs, linear: make([]affine, cells*n)}
	w.stem = w.place(width, inputs)
	for k := range cells {
		for v, op := range c.ops {
			if op == opLinear {
				w.linear[k*n+v] = w.place(width, width)
			}
		}
	}
	w.head = w.place(classes, width)
	w.reserve()

	w.points = make([]float64, inputs*batch)
	w.stemOut = w.matrix()
	w.deviations = make([]float64, (cells+1)*width)
	for range cells * n {
		w.sums, w.outs = append(w.sums, w.matrix()), append(w.outs, w.matrix())
	}
	return w
}

func (w *network) matrix() []float64 { return make([]float64, width*w.batch) }

// draw sets the weights: uniform, with a variance of one over the inputs of the
// matrix, biases zero.
func (w *network) draw(rng *rand.Rand) {
	w.drawMatrix(w.stem, rng)
	for _, l := range w.linear {
		if l.out > 0 {
			w.drawMatrix(l, rng)
		}
	}
	w.drawMatrix(w.head, rng)
}

// forward computes the logits of the points.
func (w *network) forward() {
	n := len(w.c.ops)
	w.affineForward(w.stem, w.stemOut, w.points)
	entering := w.stemOut
	for k := range cells {
		sums, outs := w.sums[k*n:(k+1)*n], w.outs[k*n:(k+1)*n]
		w.standardise(k, outs[0], entering)
		for v := 1; v < n; v++ {
			clear(sums[v])
			for u := range v {
				if w.c.edges[u][v] {
					add(sums[v], outs[u])
				}
			}
			if v < n-1 {
				w.operate(k*n+v, w.c.ops[v])
			}
		}
		entering = sums[n-1]
	}
	last := cells*n - 1
	w.standardise(cells, w.outs[last], entering)
	w.affineForward(w.head, w.logits, w.outs[last])
}

// backward turns the gradient of the loss by the logits into the gradient by
// the weights, in slopes.
func (w *network) backward() {
	n := len(w.c.ops)
	if w.dStem == nil { // a network that is only tested never comes here
		w.dStem = w.matrix()
		for range w.outs {
			w.dSums, w.dOuts = append(w.dSums, w.matrix()), append(w.dOuts, w.matrix())
		}
	}
	clear(w.slopes)
	for i := range w.dOuts {
		clear(w.dOuts[i])
		clear(w.dSums[i])
	}
	last := cells*n - 1
	w.affineBackward(w.head, w.dOuts[last], w.logits, w.outs[last])
	w.standardiseBackward(cells, w.dSums[last], w.dOuts[last], w.outs[last])
	for k := cells - 1; k >= 0; k-- {
		dSums, dOuts := w.dSums[k*n:(k+1)*n], w.dOuts[k*n:(k+1)*n]
		for v := n - 1; v >= 1; v-- {
			if v < n-1 {
				w.operateBackward(k*n+v, w.c.ops[v])
			}
			for u := range v {
				if w.c.edges[u][v] {
					add(dOuts[u], dSums[v])
				}
			}
		}
		left := w.dStem
		if k > 0 {
			left = w.dSums[k*n-1]
		}
		w.standardiseBackward(k, left, dOuts[0], w.outs[k*n])
	}
	w.affineBackward(w.stem, nil, w.dStem, w.points)
}

// operate applies the operation of node i to its sum.
func (w *network) operate(i, op int) {
	x, y := w.sums[i], w.outs[i]
	switch op {
	case opLinear:
		w.affineForward(w.linear[i], y, x)
	case opReLU:
		for j, v := range x {
			y[j] = max(v, 0)
		}
	case opTanh:
		for j, v := range x {
			y[j] = tanh(v)
		}
	case opSquare:
		for j, v := range x {
			y[j] = v * v
		}
	case opSkip:
		copy(y, x)
	}
}

// operateBackward adds the gradient by the sum of node i, and by its matrix.
func (w *network) operateBackward(i, op int) {
	x, y, dx, dy := w.sums[i], w.outs[i], w.dSums[i], w.dOuts[i]
	switch op {
	case opLinear:
		w.affineBackward(w.linear[i], dx, dy, x)
	case opReLU:
		for j, v := range x {
			if v > 0 {
				dx[j] = dy[j]
			}
		}
	case opTanh:
		for j, v := range y {
			dx[j] = dy[j] * (1 - float64(v*v))
		}
	case opSquare:
		for j, v := range x {
			dx[j] = 2 * v * dy[j]
		}
	case opSkip:
		copy(dx, dy)
	}
}

// standardise writes the rows of x, each with mean 0 and deviation 1, to y, and
// remembers the deviations in place k.
func (w *network) standardise(k int, y, x []float64) {
	b := w.batch
	for r := range width {
		src, dst := x[r*b:(r+1)*b], y[r*b:(r+1)*b]
		mean := sum(src) / float64(b)
		variance := 0.0
		for i, v := range src {
			dst[i] = v - mean
			variance += float64(dst[i] * dst[i])
		}
		deviation := math.Sqrt(variance/float64(b) + steady)
		w.deviations[k*width+r] = deviation
		scale := 1 / deviation
		for i := range dst {
			dst[i] *= scale
		}
	}
}

// standardiseBackward writes the gradient by what standardise read to dx, given
// the gradient dy of its output y.
func (w *network) standardiseBackward(k int, dx, dy, y []float64) {
	b := w.batch
	for r := range width {
		d, g, v := dx[r*b:(r+1)*b], dy[r*b:(r+1)*b], y[r*b:(r+1)*b]
		mean, along := sum(g)/float64(b), dot(g, v)/float64(b)
		scale := 1 / w.deviations[k*width+r]
		for i := range d {
			d[i] = scale * (g[i] - mean - float64(v[i]*along))
		}
	}
}
