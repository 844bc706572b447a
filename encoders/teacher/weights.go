package teacher

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// balance finds the weights of the blocks in the kernel by evidence: block b
// adds weight[b] times its squared distance, in units of its median. The linear
// part of the kernel is left out: with it the weights rank no better.
type balance struct {
	d     [][]float64 // [block][n*n] over their medians
	z     []float64
	prior []float64 // logarithms of the weights that are likely without evidence

	k    *mat.SymDense
	chol mat.Cholesky
	sol  mat.VecDense
}

const priorDeviation = 1.5 // of the logarithm of a weight

// score returns the logarithm of evidence times prior for the parameters: the
// logarithms of the weights, then that of the noise.
func (b *balance) score(theta []float64) float64 {
	n := len(b.z)
	if b.k == nil {
		b.k = mat.NewSymDense(n, nil)
	}
	w := make([]float64, len(b.d))
	shift := 0.0
	for i := range w {
		w[i] = math.Exp(theta[i])
		shift += (theta[i] - b.prior[i]) / float64(len(w))
	}
	noise := math.Exp(theta[len(w)])
	for i := range n {
		for j := i; j < n; j++ {
			s := 0.0
			for m, d := range b.d {
				s += w[m] * d[i*n+j]
			}
			v := matern(s) + constant
			if i == j {
				v += noise
			}
			b.k.SetSym(i, j, v)
		}
	}
	if !b.chol.Factorize(b.k) {
		return math.Inf(-1)
	}
	zv := mat.NewVecDense(n, b.z)
	if b.chol.SolveVecTo(&b.sol, zv) != nil {
		return math.Inf(-1)
	}
	score := -0.5*float64(n)*math.Log(mat.Dot(zv, &b.sol)/float64(n)) - 0.5*b.chol.LogDet()
	for i := range w {
		e := (theta[i] - b.prior[i] - shift) / priorDeviation
		score -= 0.5 * e * e
	}
	e := shift / 1.5
	score -= 0.5 * e * e
	e = (theta[len(w)] - math.Log(0.03)) / 2
	return score - 0.5*e*e
}

// search climbs from the prior by coordinates and returns the weights.
func (b *balance) search() (weights []float64, noise, score float64) {
	k := len(b.d)
	theta := append(append([]float64(nil), b.prior...), math.Log(0.03))
	best := b.score(theta)
	try := func(change func([]float64)) bool {
		t := append([]float64(nil), theta...)
		change(t)
		if s := b.score(t); s > best+1e-6 {
			theta, best = t, s
			return true
		}
		return false
	}
	for _, step := range []float64{1.6, 0.8, 0.4} {
		for range 3 {
			moved := false
			for i := range k + 2 {
				for _, s := range []float64{step, -step} {
					for try(func(t []float64) {
						if i <= k {
							t[i] += s
							return
						}
						for j := range k {
							t[j] += s
						}
					}) {
						moved = true
					}
				}
			}
			if !moved {
				break
			}
		}
	}
	weights = make([]float64, k)
	for i := range weights {
		weights[i] = math.Exp(theta[i])
	}
	return weights, math.Exp(theta[k]), best
}
