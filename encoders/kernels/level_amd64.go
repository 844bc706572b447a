package kernels

import "golang.org/x/sys/cpu"

func detect() level {
	x := &cpu.X86
	switch {
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL:
		return avx512
	case x.HasAVX2 && x.HasFMA:
		return avx2
	}
	return plain
}

// stored[16-n:] is the mask of the first n columns of an AVX2 tile.
var stored = [32]int32{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}

// panel multiplies all rows by one panel of n columns; see gemmPlain.
func panel(l level, rows, k int, a []float32, rs, ks int, b []float32, bs int, c []float32, cs, n int, alpha, beta float32, overwrite bool) {
	switch l {
	case avx512:
		gemm512(rows, k, &a[0], 4*rs, 4*ks, &b[0], 4*bs, &c[0], 4*cs, alpha, beta, overwrite, uint32(1<<n-1))
	case avx2:
		gemm256(rows, k, &a[0], 4*rs, 4*ks, &b[0], 4*bs, &c[0], 4*cs, alpha, beta, overwrite, &stored[16-n])
	default:
		gemmPlain(rows, k, a, rs, ks, b, bs, c, cs, n, alpha, beta, overwrite)
	}
}

// MultiplyAdds runs about n single-precision multiply-adds that never leave the
// registers and returns how many: the limit of one core, to measure against.
func MultiplyAdds(n int) int {
	switch active {
	case avx512:
		const round = 24 * 16
		peak512(n/round + 1)
		return (n/round + 1) * round
	case avx2:
		const round = 12 * 8
		peak256(n/round + 1)
		return (n/round + 1) * round
	}
	return multiplyAddsPlain(n)
}
