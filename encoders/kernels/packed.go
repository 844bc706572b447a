package kernels

import "fmt"

// depth is how much of k is summed in registers before C is touched. A panel of
// that depth stays in the first or second-level cache.
const depth = 256

// Packed is a matrix B [k, n] in the order in which the kernel reads it: blocks
// of at most depth rows, each in panels of as many columns as a tile has, the
// last one filled up with zeros. Packing costs about as much as multiplying a
// few rows by B, so weights that serve many products are packed once.
//
// The zero value is empty. A Packed must not be packed while it is multiplied.
type Packed struct {
	k, n   int
	level  level
	data   []float32
	given  []float32 // b itself, when its whole panels are read in place
	stride int
}

// Pack stores op(B) [k, n], which is b [k, n] with row stride ldb, or the
// transpose of b [n, k] if trans is set. It reuses p's memory.
func (p *Packed) Pack(trans bool, k, n int, b []float32, ldb int) {
	p.k, p.n, p.level, p.given = k, n, active, nil
	width := p.level.columns()
	panels := (n + width - 1) / width
	if need := k * panels * width; cap(p.data) < need {
		p.data = make([]float32, need)
	} else {
		p.data = p.data[:need]
	}
	for from := 0; from < k; from += depth {
		rows := min(depth, k-from)
		for j := range panels {
			dst := p.packed(from, j, rows)
			columns := min(width, n-j*width)
			if trans {
				packTransposed(dst, b[j*width*ldb+from:], ldb, rows, columns, width)
			} else {
				packRows(dst, b[from*ldb+j*width:], ldb, rows, columns, width)
			}
		}
	}
}

// borrow makes p stand for b [k, n] without copying more of it than the columns
// that fill no panel. Few rows of A do not repay packing.
func (p *Packed) borrow(k, n int, b []float32, ldb int) {
	width := active.columns()
	rest := n % width
	if rest > 0 {
		p.Pack(false, k, rest, b[n-rest:], ldb)
	}
	p.k, p.n, p.level, p.given, p.stride = k, n, active, b, ldb
}

// panel returns panel j of the block of rows that begins at row from, and the
// distance between its rows.
func (p *Packed) panel(from, j, rows int) ([]float32, int) {
	width := p.level.columns()
	if p.given != nil {
		if (j+1)*width <= p.n {
			return p.given[from*p.stride+j*width:], p.stride
		}
		return p.data[from*width:], width
	}
	return p.packed(from, j, rows), width
}

func (p *Packed) packed(from, j, rows int) []float32 {
	width := p.level.columns()
	padded := (p.n + width - 1) / width * width
	at := from*padded + j*rows*width
	return p.data[at : at+rows*width]
}

func packRows(dst, b []float32, ldb, rows, columns, width int) {
	for i := range rows {
		row := dst[i*width : (i+1)*width]
		clear(row[copy(row, b[i*ldb:i*ldb+columns]):])
	}
}

func packTransposed(dst, b []float32, ldb, rows, columns, width int) {
	if columns < width {
		clear(dst)
	}
	for j := range columns {
		for i, v := range b[j*ldb : j*ldb+rows] {
			dst[i*width+j] = v
		}
	}
}

// Multiply sets c [m, n] = alpha · op(A) · B + beta · c, where B [k, n] is p and
// op(A) is a [m, k] with row stride lda, or the transpose of a [k, m] if trans
// is set. With beta 0 c is only written.
func (p *Packed) Multiply(trans bool, m int, alpha float32, a []float32, lda int, beta float32, c []float32, ldc int) {
	if p.level != active {
		panic(fmt.Sprintf("kernels: packed for %s, multiplied with %s", names[p.level], Instructions()))
	}
	if m == 0 || p.n == 0 {
		return
	}
	if alpha == 0 || p.k == 0 {
		scale(m, p.n, beta, c, ldc)
		return
	}
	rs, ks := lda, 1
	if trans {
		rs, ks = 1, lda
	}
	width := p.level.columns()
	for from := 0; from < p.k; from += depth {
		rows := min(depth, p.k-from)
		for top := 0; top < m; top += blockRows {
			for j := 0; j*width < p.n; j++ {
				b, bs := p.panel(from, j, rows)
				panel(p.level, min(blockRows, m-top), rows, a[top*rs+from*ks:], rs, ks, b, bs, c[top*ldc+j*width:], ldc,
					min(width, p.n-j*width), alpha, beta, beta == 0)
			}
		}
		beta = 1
	}
}

// blockRows is how many rows of A meet all panels before the next ones do: a
// multiple of every tile's rows, few enough to stay in the second-level cache.
const blockRows = 96

// scale multiplies c [m, n] by beta, writing only if beta is 0.
func scale(m, n int, beta float32, c []float32, ldc int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= beta
		}
	}
}
