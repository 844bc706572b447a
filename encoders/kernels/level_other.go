//go:build !amd64 && !arm64

package kernels

func detect() level { return plain }

func panel(_ level, rows, k int, a []float32, rs, ks int, b []float32, bs int, c []float32, cs, n int, alpha, beta float32, overwrite bool) {
	gemmPlain(rows, k, a, rs, ks, b, bs, c, cs, n, alpha, beta, overwrite)
}

// MultiplyAdds runs about n single-precision multiply-adds that never leave the
// registers and returns how many: the limit of one core, to measure against.
func MultiplyAdds(n int) int { return multiplyAddsPlain(n) }
