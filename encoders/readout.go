package encoders

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"archflow/encoders/metrics"
	"archflow/schemas"
)

// ridges are candidates for the diagonal of the normal equations, as shares of its mean;
// leave-one-out errors choose.
var ridges = []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1}

// Readout is the closed form of Distil: a member with the encoder and the hidden layer of
// an earlier student as they are, or, without one, the trunk's encoder and a random
// hidden layer; and behind them the least squares of the rank-Gauss of targets[task][i],
// the scores of graph rows[i], and of the last targets, spreads in number, as they are;
// NaN is left out. It takes a hundredth of the time and follows the targets less closely.
func Readout(t *Trunk, from *Member, g *schemas.Graphs, rows []int, targets [][]float64, spreads int, seed uint64) (*Member, error) {
	if len(rows) == 0 || len(targets) == 0 {
		return nil, fmt.Errorf("readout: %d graphs, %d tasks: want at least one of each", len(rows), len(targets))
	}
	var f *training
	if from != nil {
		f = from.fork(len(targets), seed)
	} else {
		f = t.fork(len(targets), seed, 0, 0, 1)
	}
	f.learn(g, rows)
	head := &f.outputs[0]
	hidden := f.hidden(f.weights, g, rows)
	m := rawMember(f.network, f.weights)
	for task, scores := range targets {
		isSpread := task >= len(targets)-spreads
		if !isSpread {
			scores = metrics.RankGauss(scores)
		}
		r, err := leastSquares(hidden, head.hidden, scores)
		if err != nil {
			return nil, err
		}
		for j, v := range r.weights {
			head.w2.in(f.weights)[j*head.out+task] = float32(v)
		}
		head.b2.in(f.weights)[task] = float32(r.constant)
		if isSpread {
			continue
		}
		if m.shift[task] = r.mean; r.deviation > 0 {
			m.factor[task] = 1 / r.deviation
		}
	}
	return m, nil
}

// fork returns the member's encoder and hidden layer with that many columns behind them;
// the member is only read.
func (m *Member) fork(columns int, seed uint64) *training {
	s := m.network.shape
	s.Outputs = []outputShape{{"head", m.network.outputs[0].hidden, columns}}
	n, err := newNetwork(s, m.network.vocabulary.clone())
	if err != nil {
		panic(err) // the member was made from the same shape
	}
	random := rand.NewPCG(seed, 0x72656164) // "read"
	weights := n.init(rand.New(random))
	copySlots(weights, &n.layout, m.weights, &m.network.layout)
	return newTraining(n, weights, random, 0, 0, 1)
}

// hidden returns the hidden layer of the first output, [row][hidden].
func (n *network) hidden(weights []float32, g *schemas.Graphs, rows []int) []float64 {
	var f inference
	p, table := &n.outputs[0], n.table(nil, weights)
	out := make([]float64, 0, len(rows)*p.hidden)
	from := 0
	for _, to := range cut(nil, n.encoder, g, rows) {
		z := f.embed(n, weights, table, g, rows[from:to])
		f.memory.reset()
		h := f.memory.take((to - from) * p.hidden)
		p.forward(f.memory.take((to-from)*p.out), h, z, weights)
		for _, v := range h {
			out = append(out, float64(v))
		}
		from = to
	}
	return out
}

// regression is a linear function and the moments of its values.
type regression struct {
	weights         []float64
	constant        float64
	mean, deviation float64 // of its values
}

// leastSquares returns the ridge regression of y on x [len(y), width]; rows of
// which y is NaN are left out.
func leastSquares(x []float64, width int, y []float64) (*regression, error) {
	var rows []int
	r := &regression{weights: make([]float64, width)}
	centre := make([]float64, width)
	for i, v := range y {
		if v != v {
			continue
		}
		rows = append(rows, i)
		r.constant += v
		for j, e := range x[i*width : (i+1)*width] {
			centre[j] += e
		}
	}
	n := len(rows)
	if n == 0 {
		return r, nil
	}
	r.constant /= float64(n)
	for j := range centre {
		centre[j] /= float64(n)
	}
	own, z := make([]float64, n*width), make([]float64, n)
	for k, i := range rows {
		z[k] = y[i] - r.constant
		for j, e := range x[i*width : (i+1)*width] {
			own[k*width+j] = e - centre[j]
		}
	}
	if err := r.solve(own, z); err != nil {
		return nil, err
	}
	r.mean = r.constant // the training rows are centred
	for k := range n {
		v := dot(own[k*width:(k+1)*width], r.weights)
		r.deviation += v * v / float64(n)
	}
	r.deviation = math.Sqrt(r.deviation)
	for j, c := range centre {
		r.constant -= r.weights[j] * c
	}
	return r, nil
}

// solve finds the weights for centred x [len(z), width] and z. In the eigenvectors of the
// normal equations every ridge, with its leave-one-out predictions, takes one pass.
func (r *regression) solve(x, z []float64) error {
	n, width := len(z), len(r.weights)
	a := blas64.General{Rows: n, Cols: width, Stride: width, Data: x}
	gram := mat.NewSymDense(width, nil)
	blas64.Syrk(blas.Trans, 1, a, 0, gram.RawSymmetric())
	trace := 0.
	for j := range width {
		trace += gram.At(j, j) / float64(width)
	}
	if !(trace < math.Inf(1)) {
		return fmt.Errorf("readout: the embeddings of %d graphs are not finite", n)
	}
	var eigen mat.EigenSym
	if trace == 0 || !eigen.Factorize(gram, true) {
		return nil // all graphs look the same
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil)
	turned := blas64.General{Rows: n, Cols: width, Stride: width, Data: make([]float64, n*width)}
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, a, vectors.RawMatrix(), 0, turned)
	right := make([]float64, width)
	for k, v := range z {
		for j, e := range turned.Data[k*width : (k+1)*width] {
			right[j] += v * e
		}
	}
	least := math.Inf(1)
	var best []float64
	for _, share := range ridges {
		inverse, w := make([]float64, width), make([]float64, width)
		for j, v := range values {
			inverse[j] = 1 / (max(v, 0) + share*trace)
			w[j] = right[j] * inverse[j]
		}
		sum := 0.
		for k, v := range z {
			row, said, leverage := turned.Data[k*width:(k+1)*width], 0., 1/float64(n)
			for j, e := range row {
				said += e * w[j]
				leverage += e * e * inverse[j]
			}
			e := (v - said) / max(1-leverage, 1e-6)
			sum += e * e
		}
		if sum < least {
			least, best = sum, w
		}
	}
	if best == nil {
		return fmt.Errorf("readout: the targets of %d graphs are not finite", n)
	}
	mat.NewVecDense(width, r.weights).MulVec(&vectors, mat.NewVecDense(width, best))
	return nil
}

func dot(a, b []float64) float64 {
	sum := 0.
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}
