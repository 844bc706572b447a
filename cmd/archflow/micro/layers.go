package micro

import (
	"math"
	"math/rand/v2"
)

// layers are the weights of a network of matrices, and its loss. Values are
// matrices [rows][batch], row after row; gradients mirror them.
type layers struct {
	classes int
	batch   int // columns in use

	size            int
	weights, slopes []float64 // all matrices and biases, and the gradient of each
	logits          []float64 // [classes][batch], after backward the gradient
}

// affine is a matrix [out][in] and a bias [out] inside the weights.
type affine struct{ out, in, at int }

// place plans a matrix; reserve makes room for all that were planned.
func (w *layers) place(out, in int) affine {
	l := affine{out, in, w.size}
	w.size += out * (in + 1)
	return l
}

func (w *layers) reserve() {
	w.weights, w.slopes = make([]float64, w.size), make([]float64, w.size)
	w.logits = make([]float64, w.classes*w.batch)
}

// drawMatrix sets the matrix of l: uniform, with a variance of one over its
// inputs; the bias stays zero.
func (w *layers) drawMatrix(l affine, rng *rand.Rand) {
	limit := math.Sqrt(3 / float64(l.in))
	for i := range l.out * l.in {
		w.weights[l.at+i] = limit * (2*rng.Float64() - 1)
	}
}

// affineForward writes matrix times x plus bias to y [out][batch].
func (w *layers) affineForward(l affine, y, x []float64) {
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
func (w *layers) affineBackward(l affine, dx, dy, x []float64) {
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
func (w *layers) parts(l affine, values []float64) (matrix, bias []float64) {
	return values[l.at : l.at+l.out*l.in], values[l.at+l.out*l.in : l.at+l.out*(l.in+1)]
}

// loss turns the logits into the gradient of the mean cross-entropy by them and
// returns how many points were classified right. It does not return the loss,
// which training does not need.
func (w *layers) loss(classes []int) (right int) {
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
