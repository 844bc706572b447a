package teacher

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// Inverse, its diagonal and determinant are those of a dense factorisation.
func TestTridiagonal(t *testing.T) {
	for _, n := range []int{1, 2, 3, 40, 130} {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		x := make([]float32, n*4)
		z := make([]float64, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		for i := range z {
			z[i] = rng.NormFloat64()
		}
		d := distances(x, 4)
		k := make([]float64, n*n)
		for i := range k {
			k[i] = matern(d[i]) + constant
		}
		const noise = 0.01
		dense := mat.NewSymDense(n, append([]float64(nil), k...))
		for i := range n {
			dense.SetSym(i, i, dense.At(i, i)+noise)
		}
		var chol mat.Cholesky
		if !chol.Factorize(dense) {
			t.Fatal("not positive definite")
		}
		var want mat.VecDense
		var inverse mat.SymDense
		if err := chol.SolveVecTo(&want, mat.NewVecDense(n, z)); err != nil {
			t.Fatal(err)
		}
		if err := chol.InverseTo(&inverse); err != nil {
			t.Fatal(err)
		}
		m, err := newTridiagonal(k, n)
		if err != nil {
			t.Fatal(err)
		}
		r := m.rotate(z)
		fit, logdet := m.density(r, noise)
		if w := mat.Dot(mat.NewVecDense(n, z), &want); math.Abs(fit-w) > 1e-6*math.Abs(w) || math.Abs(logdet-chol.LogDet()) > 1e-8*float64(n) {
			t.Errorf("%d points: fit %v and determinant %v, want %v and %v", n, fit, logdet, w, chol.LogDet())
		}
		alpha, diagonal := m.solve(r, noise)
		for i := range n {
			if math.Abs(alpha[i]-want.AtVec(i)) > 1e-6 || math.Abs(diagonal[i]-inverse.At(i, i)) > 1e-6 {
				t.Fatalf("%d points: row %d is %v with %v on the diagonal, want %v with %v", n, i, alpha[i], diagonal[i], want.AtVec(i), inverse.At(i, i))
			}
		}
	}
}

func TestTridiagonalRefusesNonFinite(t *testing.T) {
	if _, err := newTridiagonal([]float64{1, 0, 0, math.NaN(), 1, 0, 1, 1, 1}, 3); err == nil {
		t.Error("a kernel with NaN is factorised")
	}
}
