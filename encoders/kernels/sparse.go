package kernels

// After a ReLU and dropout a third to a half of the numbers are zero. Affine and
// AffineWeights list the numbers of x that are not, and multiply by those alone: for
// each, a row of a panel of w, which lies in the first-level cache.
//
// An element of the result is the sum of chains of fused multiply-adds over 64
// values of k each, on every machine that has them. A zero of x takes no part in
// it, also where the other factor is NaN or Inf.
const (
	sparseDepth   = 64
	sparseColumns = 128
	sparseRows    = 256 // whose lists and results stay in the second-level cache
)

// sparseMemory is the memory of one product.
type sparseMemory struct {
	values  [sparseRows * sparseDepth]float32
	offsets [sparseRows * sparseDepth]uint32
	counts  [sparseRows]uint32
	turned  [sparseRows * sparseDepth]float32
	panel   [sparseDepth * sparseColumns]float32
}

// Affine computes y = x·w + bias for x [n, in], w [in, out], y [n, out], where in
// and out are above zero. A row of y depends on its row of x alone.
func Affine(y, x, w, bias []float32, in, out int) {
	n := len(y) / out
	if !hasSparse() || n <= fewRows || in%16 != 0 || out%sparseColumns != 0 {
		for k := 0; k < in; k += sparseDepth {
			beta := float32(1)
			if k == 0 {
				beta = 0
			}
			gemm(false, false, n, out, min(sparseDepth, in-k), 1, x[k:], in, w[k*out:], out, beta, y, out)
		}
		AddRows(y, bias)
		return
	}
	m := sparseIdle.take()
	for from := 0; from < n; from += sparseRows {
		rows := min(sparseRows, n-from)
		for k := 0; k < in; k += sparseDepth {
			deep := min(sparseDepth, in-k)
			m.list(rows, deep, x[from*in+k:], in)
			for j := 0; j < out; j += sparseColumns {
				m.copyPanel(deep, w[k*out+j:], out)
				var last []float32
				if k+deep == in {
					last = bias[j:]
				}
				m.multiply(rows, y[from*out+j:], out, k == 0, last)
			}
		}
	}
	sparseIdle.put(m)
}

// AffineWeights adds the gradient of w to dw, xᵀ·dy, and that of the bias, the sum
// of the rows of dy, to dbias, for the gradient dy of y; see Affine.
func AffineWeights(dw, dbias, x, dy []float32, in, out int) {
	n := len(dy) / out
	if !hasSparse() || in%16 != 0 || out%sparseColumns != 0 {
		for k := 0; k < n; k += sparseDepth {
			gemm(true, false, in, out, min(sparseDepth, n-k), 1, x[k*in:], in, dy[k*out:], out, 1, dw, out)
		}
		SumRows(dbias, dy)
		return
	}
	m := sparseIdle.take()
	for k := 0; k < n; k += sparseDepth {
		deep := min(sparseDepth, n-k)
		for from := 0; from < in; from += sparseRows {
			rows := min(sparseRows, in-from)
			packTransposed(m.turned[:], x[k*in+from:], in, rows, deep, sparseDepth)
			m.list(rows, deep, m.turned[:], sparseDepth)
			for j := 0; j < out; j += sparseColumns {
				m.copyPanel(deep, dy[k*out+j:], out)
				if from == 0 {
					SumRows(dbias[j:j+sparseColumns], m.panel[:deep*sparseColumns])
				}
				m.multiply(rows, dw[from*out+j:], out, false, nil)
			}
		}
	}
	sparseIdle.put(m)
}

var sparseIdle memories[sparseMemory]
