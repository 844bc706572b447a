package teacher

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTreesFindSteps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n, width = 400, 6
	x := make([]float32, n*width)
	y := make([]float64, n)
	for i := range n {
		for j := range width {
			x[i*width+j] = float32(rng.NormFloat64())
		}
		if x[i*width+2] > 0.3 {
			y[i]++
		}
		if x[i*width+4] < 0 {
			y[i] += 2
		}
	}
	z := append([]float64(nil), y[:200]...)
	standardise(z)
	trees, outOfFold := boosted(func() int { return 0 }, x[:200*width], width, z, rng)
	score := make([]float64, n)
	for from := 0; from < n; from += 100 {
		trees.predict(score[from:from+100], newTile([]block{{width: width, values: x}}, all(from + 100)[from:]))
	}
	if got := tau(y[200:], score[200:]); got < 0.7 {
		t.Errorf("tau %.3f on unseen rows", got)
	}
	if got := tau(y[:200], outOfFold); got < 0.7 {
		t.Errorf("tau %.3f held out", got)
	}
}

func TestOutOfFoldTreesFindNothingInNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	x := make([]float32, 200*5)
	z := make([]float64, 200)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for i := range z {
		z[i] = rng.NormFloat64()
	}
	if _, outOfFold := boosted(func() int { return 0 }, x, 5, z, rng); math.Abs(tau(z, outOfFold)) > 0.15 {
		t.Errorf("held-out tau %.3f on noise", tau(z, outOfFold))
	}
}

// TestBinsAgreeWithThresholds follows labelled rows by bins and by values.
func TestBinsAgreeWithThresholds(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 2))
	x := make([]float32, 300*3)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
		if i%3 == 1 {
			x[i] = float32(rng.IntN(3))
		}
	}
	b := newBinned(x, 3)
	for j := range 3 {
		if len(b.edges[j]) >= maxBins {
			t.Fatalf("%d bins", len(b.edges[j])+1)
		}
		for i := range 300 {
			for k, edge := range b.edges[j] {
				if below := x[i*3+j] < edge; below != (int(b.bin[j*300+i]) <= k) {
					t.Fatalf("row %d, column %d: bin %d, value %g, threshold %g", i, j, b.bin[j*300+i], x[i*3+j], edge)
				}
			}
		}
	}
}

func TestTau(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, 1},
		{[]float64{1, 2, 3}, []float64{3, 2, 1}, -1},
		{[]float64{1, 1, 1}, []float64{3, 2, 1}, 0},
		{[]float64{1, 2, 2, 3}, []float64{1, 3, 2, 4}, 5 / math.Sqrt(5*6)},
	} {
		if got := tau(c.x, c.y); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("tau of %v and %v is %g, want %g", c.x, c.y, got, c.want)
		}
	}
}

// Trees that are filled up to full depth say the same as those that were grown.
func TestForestIsItsTrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 2))
	const n, width = 60, 7
	x := make([]float32, n*width)
	z := make([]float64, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for i := range z {
		z[i] = float64(x[i*width]) * float64(x[i*width+3])
	}
	b := newBinned(x, width)
	by := growth{trees: 30, depth: 4}
	nodes, roots := b.boost(all(n), z, by, rng)
	f := &forest{depth: by.depth, seeds: 1}
	for _, root := range roots {
		f.add(nodes, root)
	}
	got := make([]float64, n)
	f.predict(got, newTile([]block{{width: width, values: x}}, all(n)))
	for i := range n {
		if want := follow(nodes, roots, x[i*width:(i+1)*width]); math.Abs(got[i]-want) > 1e-12 {
			t.Fatalf("row %d: %v, want %v", i, got[i], want)
		}
	}
}
