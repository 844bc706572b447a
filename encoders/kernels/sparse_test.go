package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sparseRandom returns numbers of which a share is zero, of both signs.
func sparseRandom(r *rand.Rand, n int, zeros float64) []float32 {
	out := random(r, n)
	for i := range out {
		if r.Float64() < zeros {
			out[i] = float32(math.Copysign(0, float64(out[i])))
		}
	}
	return out
}

func equalBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// affineWith returns y, dw and dbias of a level, dw added to before and dbias to bias.
func affineWith(l level, x, w, bias, dy, before []float32, in, out int) (y, dw, dbias []float32) {
	y, dw = make([]float32, len(dy)), slices.Clone(before)
	using(l, func() {
		Affine(y, x, w, bias, in, out)
		dbias = slices.Clone(bias)
		AffineWeights(dw, dbias, x, dy, in, out)
	})
	return y, dw, dbias
}

// All numbers of rows from 1 to 70, and some that fill several blocks.
func TestAffine(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	rows := []int{128, 257, 600}
	for n := 1; n <= 70; n++ {
		rows = append(rows, n)
	}
	shapes := [][2]int{{16, 128}, {48, 128}, {64, 256}, {80, 128}, {128, 512}, {256, 128}, {272, 128}, {20, 128}, {64, 100}, {3, 5}}
	shares := []float64{0, .3, .6, 1}
	for i, n := range rows {
		for j, s := range shapes {
			in, out := s[0], s[1]
			zeros := shares[(i+j)%len(shares)]
			x, w, bias := sparseRandom(r, n*in, zeros), random(r, in*out), random(r, out)
			dy, before := random(r, n*out), random(r, in*out)
			wantY, wantW, wantBias := affineWith(plain, x, w, bias, dy, before, in, out)
			var last [2][]float32
			for _, l := range levels()[1:] {
				y, dw, dbias := affineWith(l, x, w, bias, dy, before, in, out)
				what := fmt.Sprintf("%s: %d x %d x %d, %v zeros", names[l], n, in, out, zeros)
				if err := (product{k: in}).near(y, wantY); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if err := (product{k: n}).near(dw, wantW); err != nil {
					t.Fatalf("%s: weights: %v", what, err)
				}
				if !equalBits(dbias, wantBias) {
					t.Fatalf("%s: other sums of rows", what)
				}
				if last[0] != nil && (!equalBits(last[0], y) || !equalBits(last[1], dw)) {
					t.Fatalf("%s: other bits than %s", what, names[l-1])
				}
				last = [2][]float32{y, dw}
			}
		}
	}
}

// A row's bits depend on the row alone.
func TestAffineRows(t *testing.T) {
	const n, in, out = 300, 128, 256
	r := rand.New(rand.NewPCG(4, 4))
	x, w, bias := sparseRandom(r, n*in, .4), random(r, in*out), random(r, out)
	for _, l := range levels() {
		using(l, func() {
			all := make([]float32, n*out)
			Affine(all, x, w, bias, in, out)
			for _, rows := range [][2]int{{0, 1}, {7, 30}, {200, 300}} {
				part := make([]float32, (rows[1]-rows[0])*out)
				Affine(part, x[rows[0]*in:rows[1]*in], w, bias, in, out)
				if !equalBits(part, all[rows[0]*out:rows[1]*out]) {
					t.Errorf("%s: rows %v alone have other bits", names[l], rows)
				}
			}
		})
	}
}

// NaN is not taken for a zero; subnormal numbers neither.
func TestAffineSpecial(t *testing.T) {
	const n, in, out = 40, 64, 128
	r := rand.New(rand.NewPCG(5, 5))
	x, w, bias := make([]float32, n*in), random(r, in*out), make([]float32, out)
	nan, tiny := float32(math.NaN()), math.Float32frombits(1)
	x[5*in+7], x[6*in+3], x[7*in] = nan, tiny, float32(math.Inf(1))
	for _, l := range levels() {
		y, dw, _ := affineWith(l, x, w, bias, random(r, n*out), make([]float32, in*out), in, out)
		for j := range out {
			if y[5*out+j] == y[5*out+j] || dw[7*out+j] == dw[7*out+j] {
				t.Fatalf("%s: NaN was lost", names[l])
			}
			if want := float32(float64(tiny) * float64(w[3*out+j])); math.Abs(float64(y[6*out+j]-want)) > float64(tiny) {
				t.Fatalf("%s: the smallest number times %v is %v", names[l], w[3*out+j], y[6*out+j])
			}
			if !math.IsInf(float64(y[7*out+j]), 0) {
				t.Fatalf("%s: infinity times %v is %v", names[l], w[j], y[7*out+j])
			}
			if y[j] != 0 {
				t.Fatalf("%s: a row of zeros gives %v", names[l], y[j])
			}
		}
	}
}

func TestAffineAllocates(t *testing.T) {
	const n, in, out = 64, 64, 128
	x, y, w, bias := make([]float32, n*in), make([]float32, n*out), make([]float32, in*out), make([]float32, out)
	if got := testing.AllocsPerRun(20, func() {
		Affine(y, x, w, bias, in, out)
		AffineWeights(w, bias, x, y, in, out)
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkAffine(b *testing.B) {
	const n, in, out = 1024, 128, 512
	r := rand.New(rand.NewPCG(6, 6))
	w, bias, y := random(r, in*out), random(r, out), make([]float32, n*out)
	for _, zeros := range []float64{0, .33, .5} {
		x := sparseRandom(r, n*in, zeros)
		b.Run(fmt.Sprintf("zeros=%v", zeros), func(b *testing.B) {
			for b.Loop() {
				Affine(y, x, w, bias, in, out)
			}
			b.ReportMetric(2e-9*n*in*out*float64(b.N)/b.Elapsed().Seconds(), "GFLOPS")
		})
		b.Run(fmt.Sprintf("weights/zeros=%v", zeros), func(b *testing.B) {
			for b.Loop() {
				AffineWeights(w, bias, x, y, in, out)
			}
			b.ReportMetric(2e-9*n*in*out*float64(b.N)/b.Elapsed().Seconds(), "GFLOPS")
		})
	}
}
