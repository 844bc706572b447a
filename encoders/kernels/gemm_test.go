package kernels

import (
	"fmt"
	"testing"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

var shapes = []struct {
	m, n, k int
	ta, tb  blas.Transpose
}{
	{2048, 128, 128, blas.NoTrans, blas.NoTrans},
	{512, 128, 512, blas.NoTrans, blas.NoTrans},
	{1024, 512, 128, blas.NoTrans, blas.NoTrans},
	{1024, 128, 512, blas.NoTrans, blas.Trans},
	{128, 512, 1024, blas.Trans, blas.NoTrans},
	{16, 128, 128, blas.NoTrans, blas.NoTrans},
}

// BenchmarkSgemm takes the shortest of b.N turns of each, which other programs
// on the machine disturb least.
func BenchmarkSgemm(b *testing.B) {
	for _, s := range shapes {
		b.Run(fmt.Sprintf("%dx%dx%d%c%c", s.m, s.n, s.k, s.ta, s.tb), func(b *testing.B) {
			x, y, z := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
			for i := range x {
				x[i] = float32(i%7) - 3
			}
			for i := range y {
				y[i] = float32(i%5) - 2
			}
			lda, ldb := s.k, s.n
			if s.ta == blas.Trans {
				lda = s.m
			}
			if s.tb == blas.Trans {
				ldb = s.k
			}
			timed := func(f func()) float64 {
				start := time.Now()
				f()
				return time.Since(start).Seconds()
			}
			flops := 2 * float64(s.m) * float64(s.n) * float64(s.k)
			ours, theirs, limit := 1e9, 1e9, 0.0
			for b.Loop() {
				ours = min(ours, timed(func() {
					Float32{}.Sgemm(s.ta, s.tb, s.m, s.n, s.k, 1, x, lda, y, ldb, 0, z, s.n)
				}))
				theirs = min(theirs, timed(func() {
					gonum.Implementation{}.Sgemm(s.ta, s.tb, s.m, s.n, s.k, 1, x, lda, y, ldb, 0, z, s.n)
				}))
				done := 0
				t := timed(func() { done = MultiplyAdds(1e7) })
				limit = max(limit, 2*float64(done)/t/1e9)
			}
			b.ReportMetric(flops/ours/1e9, "GFLOPS")
			b.ReportMetric(flops/theirs/1e9, "gonum-GFLOPS")
			b.ReportMetric(theirs/ours, "ratio")
			b.ReportMetric(limit, "limit")
			b.ReportMetric(flops/ours/1e9/limit, "share")
			b.ReportMetric(0, "ns/op")
		})
	}
}
