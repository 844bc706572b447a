package teacher

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/lapack/gonum"
)

// tridiagonal is a symmetric matrix K = Q T Q' with T tridiagonal and Q orthogonal. It
// takes a quarter of the work of eigenvalues and serves processes as well: with any noise
// on the diagonal, T is solved in linear time.
type tridiagonal struct {
	n         int
	diagonal  []float64 // [n] of T
	beside    []float64 // [n-1]
	k         []float64 // [n, n] reflections below the diagonal, whose product is Q
	scale     []float64 // [n-1] of the reflections
	transpose []float64 // [n, n] Q'; nil until wanted
}

// newTridiagonal takes over k [n, n], of which it reads the lower triangle.
func newTridiagonal(k []float64, n int) (*tridiagonal, error) {
	t := &tridiagonal{n: n, diagonal: make([]float64, n), beside: make([]float64, max(n-1, 0)), scale: make([]float64, max(n-1, 0)), k: k}
	if n == 0 {
		return t, nil
	}
	var lapack gonum.Implementation
	ask := make([]float64, 1)
	lapack.Dsytrd(blas.Lower, n, k, n, t.diagonal, t.beside, t.scale, ask, -1)
	work := make([]float64, int(ask[0]))
	lapack.Dsytrd(blas.Lower, n, k, n, t.diagonal, t.beside, t.scale, work, len(work))
	sum := 0.0
	for _, v := range t.diagonal {
		sum += v
	}
	for _, v := range t.beside {
		sum += v
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil, errNotConverged
	}
	return t, nil
}

// rotate returns Q' z.
func (t *tridiagonal) rotate(z []float64) []float64 {
	out := append([]float64(nil), z...)
	for i, scale := range t.scale {
		sum := out[i+1]
		for j := i + 2; j < t.n; j++ {
			sum += t.k[j*t.n+i] * out[j]
		}
		sum *= scale
		out[i+1] -= sum
		for j := i + 2; j < t.n; j++ {
			out[j] -= sum * t.k[j*t.n+i]
		}
	}
	return out
}

// pivots returns the factors of T + noise = L D L': the diagonal of D and the subdiagonal
// of L.
func (t *tridiagonal) pivots(noise float64) (d, l []float64) {
	d, l = make([]float64, t.n), make([]float64, max(t.n-1, 0))
	for i, v := range t.diagonal {
		d[i] = v + noise
		if i > 0 {
			l[i-1] = t.beside[i-1] / d[i-1]
			d[i] -= l[i-1] * t.beside[i-1]
		}
		d[i] = max(d[i], noise/2) // rounding alone makes it less than noise
	}
	return d, l
}

// density returns r' (T + noise)^-1 r and the logarithm of the determinant of
// T + noise.
func (t *tridiagonal) density(r []float64, noise float64) (fit, logdet float64) {
	d, l := t.pivots(noise)
	u := 0.0
	for i, p := range d {
		u = r[i] - u*before(l, i)
		fit += u * u / p
		logdet += math.Log(p)
	}
	return fit, logdet
}

func before(l []float64, i int) float64 {
	if i == 0 {
		return 0
	}
	return l[i-1]
}

// solve returns (K + noise)^-1 z, given r = Q' z, and the diagonal of the inverse.
func (t *tridiagonal) solve(r []float64, noise float64) (x, diagonal []float64) {
	t.form()
	d, l := t.pivots(noise)
	u := append([]float64(nil), r...)
	for i := 1; i < t.n; i++ {
		u[i] -= l[i-1] * u[i-1]
	}
	for i := t.n - 1; i >= 0; i-- {
		u[i] /= d[i]
		if i < t.n-1 {
			u[i] -= l[i] * u[i+1]
		}
	}
	x, diagonal = make([]float64, t.n), make([]float64, t.n)
	forward := make([]float64, t.n) // of every row of Q at a time
	for i, p := range d {
		q, f, w := t.transpose[i*t.n:(i+1)*t.n], before(l, i), 1/p
		for j, v := range q {
			x[j] += u[i] * v
			v -= f * forward[j]
			forward[j] = v
			diagonal[j] += v * v * w
		}
	}
	return x, diagonal
}

// form makes Q'.
func (t *tridiagonal) form() {
	if t.transpose != nil {
		return
	}
	q := append([]float64(nil), t.k...)
	var lapack gonum.Implementation
	ask := make([]float64, 1)
	lapack.Dorgtr(blas.Lower, t.n, q, t.n, t.scale, ask, -1)
	work := make([]float64, int(ask[0]))
	lapack.Dorgtr(blas.Lower, t.n, q, t.n, t.scale, work, len(work))
	t.transpose = make([]float64, len(q))
	for i := range t.n {
		for j, v := range q[i*t.n : (i+1)*t.n] {
			t.transpose[j*t.n+i] = v
		}
	}
}
