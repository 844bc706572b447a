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
	c       cell
	inputs  int
	classes int
	batch   int // columns in use

	weights, slopes []float64 // all matrices and biases, and the gradient of each
	stem            affine
	linear          []affine // [cells*nodes], used where the operation is linear
	head            affine

	points       []float64   // [inputs][batch]
	stemOut      []float64   // before it is standardised
	sums, outs   [][]float64 // [cells*nodes], what arrives at a node and what leaves it
	dSums, dOuts [][]float64
	deviations   []float64 // [cells+1][width], of what was standardised
	dStem        []float64
	logits       []float64 // [classes][batch], after backward the gradient
}

// affine is a matrix [out][in] and a bias [out] inside the network's weights.
type affine struct{ out, in, at int }

func newNetwork(c cell, inputs, classes, batch int) *network {
	n := len(c.ops)
	w := &network{c: c, inputs: inputs, classes: classes, batch: batch, linear: make([]affine, cells*n)}
	size := 0
	place := func(out, in int) affine {
		l := affine{out, in, size}
		size += out * (in + 1)
		return l
	}
	w.stem = place(width, inputs)
	for k := range cells {
		for v, op := range c.ops {
			if op == opLinear {
				w.linear[k*n+v] = place(width, width)
			}
		}
	}
	w.head = place(classes, width)
	w.weights, w.slopes = make([]float64, size), make([]float64, size)

	w.points = make([]float64, inputs*batch)
	w.logits = make([]float64, classes*batch)
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
	fill := func(l affine) {
		limit := math.Sqrt(3 / float64(l.in))
		for i := range l.out * l.in {
			w.weights[l.at+i] = limit * (2*rng.Float64() - 1)
		}
	}
	fill(w.stem)
	for _, l := range w.linear {
		if l.out > 0 {
			fill(l)
		}
	}
	fill(w.head)
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

// affineForward writes matrix times x plus bias to y [out][batch].
func (w *network) affineForward(l affine, y, x []float64) {
	b := w.batch
	matrix, bias := w.parts(l, w.weights)
	row := func(i int) []float64 { return x[i*b : (i+1)*b] }
	for o := range l.out {
		dst, m := y[o*b:(o+1)*b], matrix[o*l.in:(o+1)*l.in]
		for j := range dst {
			dst[j] = bias[o]
		}
		i := 0
		for ; i+4 <= l.in; i += 4 {
			addScaled4(dst, m[i], m[i+1], m[i+2], m[i+3], row(i), row(i+1), row(i+2), row(i+3))
		}
		for ; i < l.in; i++ {
			addScaled(dst, m[i], row(i))
		}
	}
}

// affineBackward adds to the slopes of l and, unless dx is nil, to dx, given
// the gradient dy of what l made of x.
func (w *network) affineBackward(l affine, dx, dy, x []float64) {
	b := w.batch
	matrix, _ := w.parts(l, w.weights)
	slope, slopeBias := w.parts(l, w.slopes)
	row := func(m []float64, i int) []float64 { return m[i*b : (i+1)*b] }
	for o := range l.out {
		d, s := row(dy, o), slope[o*l.in:(o+1)*l.in]
		slopeBias[o] += sum(d)
		i := 0
		for ; i+4 <= l.in; i += 4 {
			p, q, r, t := dot4(d, row(x, i), row(x, i+1), row(x, i+2), row(x, i+3))
			s[i], s[i+1], s[i+2], s[i+3] = s[i]+p, s[i+1]+q, s[i+2]+r, s[i+3]+t
		}
		for ; i < l.in; i++ {
			s[i] += dot(d, row(x, i))
		}
	}
	if dx == nil {
		return
	}
	for i := range l.in {
		dst := row(dx, i)
		o := 0
		for ; o+4 <= l.out; o += 4 {
			addScaled4(dst, matrix[o*l.in+i], matrix[(o+1)*l.in+i], matrix[(o+2)*l.in+i], matrix[(o+3)*l.in+i],
				row(dy, o), row(dy, o+1), row(dy, o+2), row(dy, o+3))
		}
		for ; o < l.out; o++ {
			addScaled(dst, matrix[o*l.in+i], row(dy, o))
		}
	}
}

// parts returns the matrix and the bias of l inside values.
func (w *network) parts(l affine, values []float64) (matrix, bias []float64) {
	return values[l.at : l.at+l.out*l.in], values[l.at+l.out*l.in : l.at+l.out*(l.in+1)]
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
// the gradient dy of what it wrote, y.
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

// loss turns the logits into the gradient of the mean cross-entropy by them and
// returns how many points were classified right. It does not return the loss,
// which training does not need.
func (w *network) loss(classes []int) (right int) {
	b := w.batch
	for i := range b {
		best := 0
		for c := 1; c < w.classes; c++ {
			if w.logits[c*b+i] > w.logits[best*b+i] {
				best = c
			}
		}
		top, total := w.logits[best*b+i], 0.0
		for c := range w.classes {
			p := exp(w.logits[c*b+i] - top)
			w.logits[c*b+i] = p
			total += p
		}
		scale := 1 / (total * float64(b))
		for c := range w.classes {
			w.logits[c*b+i] *= scale
		}
		w.logits[classes[i]*b+i] -= 1 / float64(b)
		if best == classes[i] {
			right++
		}
	}
	return right
}
