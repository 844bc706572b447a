package kernels

import "runtime"

// gemmPlain computes n columns of C:
//
//	C[i, :n] = alpha · Σ_k A(i, k) · B(k, :n) + beta · C[i, :n]
//
// A(i, k) is a[i·rs + k·ks], B(k, :) begins at b[k·bs], C[i, :] at c[i·cs].
// With overwrite C is not read. n is at most the 16 columns of a plain panel.
func gemmPlain(rows, k int, a []float32, rs, ks int, b []float32, bs int, c []float32, cs, n int, alpha, beta float32, overwrite bool) {
	for i := range rows {
		var sum [16]float32
		for j := range k {
			x := a[i*rs+j*ks]
			for col, y := range b[j*bs : j*bs+n] {
				sum[col&15] += x * y
			}
		}
		row := c[i*cs : i*cs+n]
		for col := range row {
			v := alpha * sum[col]
			if !overwrite {
				v += beta * row[col]
			}
			row[col] = v
		}
	}
}

func multiplyAddsPlain(n int) int {
	var s [8]float32
	x := float32(1.0000001)
	for i := 0; i < n; i += 8 {
		s[0], s[1], s[2], s[3] = s[0]*x+x, s[1]*x+x, s[2]*x+x, s[3]*x+x
		s[4], s[5], s[6], s[7] = s[4]*x+x, s[5]*x+x, s[6]*x+x, s[7]*x+x
	}
	runtime.KeepAlive(&s)
	return (n + 7) / 8 * 8
}
