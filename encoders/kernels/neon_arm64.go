package kernels

// Go's assembler is all that this file needs: the generator writes amd64 only.

// tileNeon writes the products of four rows of A, rs bytes apart, with 16 columns
// of B to sums [4, 16]: one chain of fused multiply-adds over ascending k each.
//
//go:noescape
func tileNeon(k int, a *float32, rs, ks int, b *float32, bs int, sums *float32)

// peakNeon runs n rounds of 16 independent vector multiply-adds.
//
//go:noescape
func peakNeon(n int)

// Every arm64 has these instructions.
func detect() level { return neon }

func panel(l level, rows, k int, a []float32, rs, ks int, b []float32, bs int, c []float32, cs, n int, alpha, beta float32, overwrite bool) {
	if l != neon {
		gemmPlain(rows, k, a, rs, ks, b, bs, c, cs, n, alpha, beta, overwrite)
		return
	}
	var sums [4][16]float32
	for i := 0; i < rows; {
		tile, stride := 4, 4*rs
		if rows-i < 4 { // the same row four times
			tile, stride = 1, 0
		}
		tileNeon(k, &a[i*rs], stride, 4*ks, &b[0], 4*bs, &sums[0][0])
		for t := range tile {
			row := c[(i+t)*cs:][:n]
			for j := range row {
				v := alpha * sums[t][j]
				if !overwrite {
					v += beta * row[j]
				}
				row[j] = v
			}
		}
		i += tile
	}
}

// MultiplyAdds runs about n single-precision multiply-adds that never leave the
// registers and returns how many: the limit of one core, to measure against.
func MultiplyAdds(n int) int {
	if active != neon {
		return multiplyAddsPlain(n)
	}
	const round = 16 * 4
	peakNeon(n/round + 1)
	return (n/round + 1) * round
}
