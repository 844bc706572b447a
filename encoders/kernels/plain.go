package kernels

import "runtime"

// gemmPlain computes n columns of C:
//
//	C[i, :n] = alpha · Σ_k A(i, k) · B(k, :n) + beta · C[i, :n]
//
// A(i, k) is a[i·rs + k·ks], B(k, :) begins at b[k·bs], C[i, :] at c[i·cs].
// With overwrite C is not read. n is at most the 16 columns of a plain panel.
//
// Each element is summed over ascending k, in every tile.
func gemmPlain(rows, k int, a []float32, rs, ks int, b []float32, bs int, c []float32, cs, n int, alpha, beta float32, overwrite bool) {
	finish := func(at int, sum float32) {
		v := alpha * sum
		if !overwrite {
			v += beta * c[at]
		}
		c[at] = v
	}
	i := 0
	for ; i+2 <= rows; i += 2 {
		col := 0
		for ; col+4 <= n; col += 4 {
			var s00, s01, s02, s03, s10, s11, s12, s13 float32
			upper, lower, right := i*rs, (i+1)*rs, col
			for range k {
				x, z, y := a[upper], a[lower], (*[4]float32)(b[right:])
				s00 += x * y[0]
				s01 += x * y[1]
				s02 += x * y[2]
				s03 += x * y[3]
				s10 += z * y[0]
				s11 += z * y[1]
				s12 += z * y[2]
				s13 += z * y[3]
				upper, lower, right = upper+ks, lower+ks, right+bs
			}
			at := i*cs + col
			finish(at, s00)
			finish(at+1, s01)
			finish(at+2, s02)
			finish(at+3, s03)
			at += cs
			finish(at, s10)
			finish(at+1, s11)
			finish(at+2, s12)
			finish(at+3, s13)
		}
		for ; col < n; col++ {
			finish(i*cs+col, dotPlain(k, a[i*rs:], ks, b[col:], bs))
			finish((i+1)*cs+col, dotPlain(k, a[(i+1)*rs:], ks, b[col:], bs))
		}
	}
	if i < rows {
		for col := range n {
			finish(i*cs+col, dotPlain(k, a[i*rs:], ks, b[col:], bs))
		}
	}
}

// dotPlain returns Σ_k a[k·ks]·b[k·bs].
func dotPlain(k int, a []float32, ks int, b []float32, bs int) float32 {
	var sum float32
	for j := range k {
		sum += a[j*ks] * b[j*bs]
	}
	return sum
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
