package kernels

func hasSparse() bool { return active == avx512 }

// list lists the non-zero numbers in rows of x, of which the next 16 numbers can be read
// where depth ends between.
func (m *sparseMemory) list(rows, depth int, x []float32, stride int) {
	compress512(rows, (depth+15)/16, &x[0], 4*stride, &m.values[0], &m.offsets[0], &m.counts[0])
}

// copyPanel packs sparseColumns columns of b.
func (m *sparseMemory) copyPanel(rows int, b []float32, stride int) {
	copyPanel512(rows, &m.panel[0], &b[0], 4*stride)
}

// multiply adds the product of the listed rows and the panel to c, or overwrites
// it, and adds bias unless it is empty.
func (m *sparseMemory) multiply(rows int, c []float32, stride int, overwrite bool, bias []float32) {
	var last *float32
	if len(bias) > 0 {
		last = &bias[0]
	}
	sparse512(rows, &m.values[0], &m.offsets[0], &m.counts[0], &m.panel[0], &c[0], 4*stride, overwrite, last)
}
