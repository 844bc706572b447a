package encoders

import (
	"archflow/encoders/kernels"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

func init() { blas32.Use(kernels.Float32{}) }

// affine computes y = x w + bias for x [n, in], w [in, out], y [n, out]; a nil bias is
// zero. Each row of y depends on its row of x alone, to the bit, for every n.
func affine(y, x, w, bias []float32, in, out int) {
	multiply(blas.NoTrans, y, x, w, len(x)/in, in, out)
	if bias != nil {
		kernels.AddRows(y, bias)
	}
}

// affineBack adds the gradients of w and, unless dbias is nil, of bias for dy
// [n, out], and writes that of x to dx unless dx is nil.
func affineBack(dx, dw, dbias, dy, x, w []float32, in, out int) {
	n := len(x) / in
	if n == 0 {
		return
	}
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, matrix(x, n, in), matrix(dy, n, out), 1, matrix(dw, in, out))
	if dbias != nil {
		kernels.SumRows(dbias, dy)
	}
	if dx != nil {
		multiply(blas.Trans, dx, dy, w, n, out, in)
	}
}

// multiply computes c = a b, or a times the transpose of b, for a [m, k] and c
// [m, n].
func multiply(transposeB blas.Transpose, c, a, b []float32, m, k, n int) {
	if m == 0 {
		return
	}
	right := matrix(b, k, n)
	if transposeB == blas.Trans {
		right = matrix(b, n, k)
	}
	blas32.Gemm(blas.NoTrans, transposeB, 1, matrix(a, m, k), right, 0, matrix(c, m, n))
}

func matrix(data []float32, rows, cols int) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data}
}
