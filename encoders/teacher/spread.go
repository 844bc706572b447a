package teacher

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"
)

// spreadLabels bounds the labels of the estimate of uncertainty, which depends on the
// density of labels, for which a sample will do.
const spreadLabels = 300

// The effective number of choices of a fit that used labels which later count as
// out-of-fold: chosen, estimated from their errors on draws of 40 and of 100 labels of four
// spaces; of fewer labels, one for each labelsChosen, from draws of 5 to 20 of nine spaces.
const (
	chosen       = 5
	labelsChosen = 8
)

// Optimism returns the ratio of the errors of other networks to those of OutOfFold, for
// that many labels: the choice of features and weights used the labels.
func Optimism(labels int) float64 {
	n := float64(max(labels, 1))
	choices := min(chosen, n/labelsChosen)
	return math.Sqrt((n + choices) / (n - choices))
}

// spread returns how unsure the score of each network is, and the score of each
// labelled one made without its label: the logarithm of the posterior deviation,
// noise included, of a Gaussian process on all columns, at the length and noise of
// the most evidence, over its median among the networks.
func (g *geometry) spread(pace func() int, labelled []int, z, w []float64, kernel *kernel, rng *rand.Rand) (all, outOfFold []float64, leaveOut func([]int) []float64, err error) {
	columns := g.everything(w)
	width := len(columns)
	seen := draw(len(z), spreadLabels, rng)
	at := g.gather(pick(labelled, seen), columns)
	u, err := newUncertain(distances(at, width), pick(z, seen), kernel)
	if err != nil {
		return nil, nil, nil, err
	}
	all, outOfFold = make([]float64, g.rows), make([]float64, len(z))
	rows := make([]int, 0, tileRows)
	for first := 0; first < g.rows; first += tileRows {
		pace()
		rows = rows[:0]
		for i := first; i < min(first+tileRows, g.rows); i++ {
			rows = append(rows, i)
		}
		u.deviations(all[first:first+len(rows)], g.gather(rows, columns), at, width)
	}
	for k, i := range seen {
		outOfFold[i] = u.leaveOneOut[k]
	}
	for _, i := range complement(len(z), seen) {
		outOfFold[i] = all[labelled[i]]
	}
	middle := median(all)
	for _, v := range [][]float64{all, outOfFold} {
		for i := range v {
			v[i] = math.Log(v[i] / middle)
		}
	}
	return all, outOfFold, u.leavingOut(len(z), seen, pick(z, seen)), nil
}

// leavingOut returns Result.LeaveOut for n labels, of which those seen have targets z.
func (u *uncertain) leavingOut(n int, seen []int, z []float64) func([]int) []float64 {
	m := len(seen)
	precision := mat.NewSymDense(m, nil)
	white := mat.NewDense(m, m, nil)
	for i, v := range u.whitener {
		white.Set(i/m, i%m, float64(v))
	}
	precision.SymOuterK(1, white.T())
	var pull mat.VecDense
	pull.MulVec(precision, mat.NewVecDense(m, z))
	unit, place := 0., make([]int, n)
	for k, i := range seen {
		unit += math.Abs(pull.AtVec(k)/precision.At(k, k)) / float64(m)
		place[i] = k + 1
	}
	return func(group []int) []float64 {
		out := make([]float64, len(group))
		var members []int // of the group, those seen
		for k, i := range group {
			if out[k] = math.NaN(); place[i] > 0 {
				members = append(members, k)
			}
		}
		if len(members) == 0 || len(members) == m || !(unit > 0) {
			return out
		}
		own, target := mat.NewSymDense(len(members), nil), mat.NewVecDense(len(members), nil)
		for a, k := range members {
			at := place[group[k]] - 1
			target.SetVec(a, pull.AtVec(at))
			for b := a; b < len(members); b++ {
				own.SetSym(a, b, precision.At(at, place[group[members[b]]]-1))
			}
		}
		var chol mat.Cholesky
		var missed mat.VecDense
		if !chol.Factorize(own) || chol.SolveVecTo(&missed, target) != nil {
			return out
		}
		for a, k := range members {
			out[k] = math.Abs(missed.AtVec(a)) / unit
		}
		return out
	}
}

// everything returns all columns, scaled so that squared distances are the
// weighted sum of the blocks'.
func (g *geometry) everything(w []float64) []column {
	var out []column
	for b, blk := range g.blocks {
		for c := range blk.width {
			out = append(out, column{b, c, float32(math.Sqrt(w[b] / g.median[b]))})
		}
	}
	return out
}

// uncertain is a Gaussian process that knows its posterior deviation.
type uncertain struct {
	kernel      *kernel
	centre      centre
	decay       float64 // of squared distances, to the argument of the kernel
	noise       float64
	whitener    []float32 // [n, n] inverse of the Cholesky factor
	leaveOneOut []float64 // [n] leave-one-out deviations
}

// newUncertain fits targets z at points with squared distances d [n, n].
func newUncertain(d, z []float64, kernel *kernel) (*uncertain, error) {
	n := len(z)
	s, err := newSpectra(d, n, kernel)
	if err != nil {
		return nil, err
	}
	length, noise := s.best(z)
	u := &uncertain{kernel: kernel, centre: s.centre, decay: 1 / (s.median * length * length), noise: noise}
	k := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			k.SetSym(i, j, kernel.at(d[i*n+j]*u.decay)+u.centre.between(d, i, j)-constant)
		}
		k.SetSym(i, i, k.At(i, i)+noise)
	}
	var chol mat.Cholesky
	if !chol.Factorize(k) {
		return nil, errNotConverged
	}
	var factor mat.TriDense
	chol.LTo(&factor)
	var inverse mat.TriDense
	if err := inverse.InverseTri(&factor); err != nil {
		return nil, errNotConverged
	}
	u.whitener, u.leaveOneOut = make([]float32, n*n), make([]float64, n)
	for i := range n {
		for j := range i + 1 {
			v := inverse.At(i, j)
			u.whitener[i*n+j] = float32(v)
			u.leaveOneOut[j] += v * v
		}
	}
	for j, precision := range u.leaveOneOut {
		u.leaveOneOut[j] = math.Sqrt(1 / precision)
	}
	return u, nil
}

// deviations writes the posterior deviation, noise included, of the rows of x
// [n, width] to dst [n]; at holds the points of the fit [labels, width].
func (u *uncertain) deviations(dst []float64, x, at []float32, width int) {
	rows, m := len(dst), len(u.leaveOneOut)
	product := blas32.General{Rows: rows, Cols: m, Stride: m, Data: make([]float32, rows*m)}
	blas32.Gemm(blas.NoTrans, blas.Trans, -2, blas32.General{Rows: rows, Cols: width, Stride: width, Data: x},
		blas32.General{Rows: m, Cols: width, Stride: width, Data: at}, 0, product)
	own, norms := rowNorms(x, width), rowNorms(at, width)
	prior := make([]float64, rows)
	slopeOf := slope / (2 * u.centre.spread)
	for i := range rows {
		k := product.Data[i*m : (i+1)*m]
		away := -u.centre.spread
		for j, v := range k {
			k[j] = max(v+own[i]+norms[j], 0)
			away += float64(k[j]) / float64(m)
		}
		for j, d := range k {
			k[j] = float32(u.kernel.at(float64(d)*u.decay) + slopeOf*(away+u.centre.away[j]-float64(d)))
		}
		prior[i] = 1 + 2*slopeOf*away
	}
	white := blas32.General{Rows: rows, Cols: m, Stride: m, Data: make([]float32, rows*m)}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, product, blas32.General{Rows: m, Cols: m, Stride: m, Data: u.whitener}, 0, white)
	for i := range rows {
		explained := 0.0
		for _, v := range white.Data[i*m : (i+1)*m] {
			explained += float64(v) * float64(v)
		}
		dst[i] = math.Sqrt(max(prior[i]-explained, 0) + u.noise)
	}
}
