package kernels

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// Float32 is gonum's single-precision BLAS with a matrix product of its own:
//
//	blas32.Use(kernels.Float32{})
//
// NaN and Inf in a matrix reach C as the arithmetic has it, also where the
// other factor is zero (gonum's own product skips zeros of A); with beta 0 C is
// only written, with alpha 0 neither A nor B is read. Sgemm runs on the calling
// goroutine.
type Float32 struct{ gonum.Implementation }

// Sgemm computes C = alpha · op(A) · op(B) + beta · C; see blas.Float32Level3.
func (f Float32) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if !sound(tA, m, k, a, lda) || !sound(tB, k, n, b, ldb) || !sound(blas.NoTrans, m, n, c, ldc) || min(m, n, k) == 0 {
		// Errors and trivial cases go to gonum.
		f.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		return
	}
	gemm(tA != blas.NoTrans, tB != blas.NoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// sound reports whether op(x) can be a matrix [rows, columns].
func sound(t blas.Transpose, rows, columns int, x []float32, stride int) bool {
	switch t {
	case blas.Trans, blas.ConjTrans:
		rows, columns = columns, rows
	case blas.NoTrans:
	default:
		return false
	}
	return rows >= 0 && columns >= 0 && stride >= max(1, columns) && len(x) >= (rows-1)*stride+columns
}
