package kernels

const (
	// depth is how much of k is summed in registers before C is touched: a
	// panel of B of that depth stays in the first-level cache.
	depth = 128
	// fewRows is the number of rows of A up to which B is used in place: they do not
	// repay copying it into panels.
	fewRows = 24
	// widest is the largest number of columns of a panel.
	widest = 32
)

// gemm sets c [m, n] = alpha · op(A) · op(B) + beta · c for row strides lda, ldb
// and ldc. One panel of B after the other, as wide as a tile, is copied to where
// it lies densely and meets all rows of A.
func gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if alpha == 0 {
		scaleRows(m, n, beta, c, ldc)
		return
	}
	rs, ks := lda, 1
	if transA {
		rs, ks = 1, lda
	}
	l := active
	width := l.columns()
	dense := panels.take()
	for from := 0; from < k; from += depth {
		rows := min(depth, k-from)
		for j := 0; j < n; j += width {
			columns := min(width, n-j)
			right, bs := dense[:], width
			switch {
			case transB:
				packTransposed(right, b[j*ldb+from:], ldb, rows, columns, width)
			case m <= fewRows && columns == width:
				right, bs = b[from*ldb+j:], ldb
			default:
				packRows(right, b[from*ldb+j:], ldb, rows, columns, width)
			}
			panel(l, m, rows, a[from*ks:], rs, ks, right, bs, c[j:], ldc, columns, alpha, beta, beta == 0)
		}
		beta = 1
	}
	panels.put(dense)
}

// packRows copies the first columns of b [rows, columns] to rows of width
// numbers, filled up with zeros.
func packRows(dst, b []float32, ldb, rows, columns, width int) {
	for i := range rows {
		row := dst[i*width : (i+1)*width]
		clear(row[copy(row, b[i*ldb:i*ldb+columns]):])
	}
}

// packTransposed does the same for the transpose of b [columns, rows].
func packTransposed(dst, b []float32, ldb, rows, columns, width int) {
	if columns < width {
		clear(dst[:rows*width])
	}
	fromRow, fromColumn := transposeVectors(dst, b, ldb, rows, columns, width)
	for j := range columns {
		from := fromRow
		if j >= fromColumn {
			from = 0
		}
		for i := from; i < rows; i++ {
			dst[i*width+j] = b[j*ldb+i]
		}
	}
}

// scaleRows multiplies c [m, n] by beta, writing only if beta is 0.
func scaleRows(m, n int, beta float32, c []float32, ldc int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
		} else {
			Scale(row, beta)
		}
	}
}

// panels hold one panel of B each.
var panels memories[[depth * widest]float32]
