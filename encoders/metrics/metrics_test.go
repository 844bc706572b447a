package metrics

import (
	"math"
	"math/rand/v2"
	"testing"
)

// slowTau counts every pair.
func slowTau(x, y []float64) float64 {
	var s, nx, ny float64
	for i := range x {
		for j := range i {
			a, b := sign(x[i]-x[j]), sign(y[i]-y[j])
			s += a * b
			nx += a * a
			ny += b * b
		}
	}
	return s / math.Sqrt(nx*ny)
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

func TestKendallTau(t *testing.T) {
	// By hand: 5 of 6 pairs agree, one does not.
	if got := KendallTau([]float64{1, 2, 3, 4}, []float64{1, 3, 2, 4}); math.Abs(got-4./6) > 1e-15 {
		t.Errorf("tau %v, want %v", got, 4./6)
	}
	// Three comparable pairs in x and two in y, both of which agree.
	if got, want := KendallTau([]float64{1, 2, 3}, []float64{1, 1, 2}), 2/math.Sqrt(6); math.Abs(got-want) > 1e-15 {
		t.Errorf("tau with ties %v, want %v", got, want)
	}
	if got := KendallTau([]float64{1, 1}, []float64{1, 2}); !math.IsNaN(got) {
		t.Errorf("tau of a constant %v, want NaN", got)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 2; n < 80; n++ {
		x, y := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i], y[i] = float64(rng.IntN(n)), float64(rng.IntN(7))
		}
		got, want := KendallTau(x, y), slowTau(x, y)
		if math.Abs(got-want) > 1e-12 && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("n %d: tau %v, counted %v", n, got, want)
		}
	}
}

func TestSpearman(t *testing.T) {
	// 1 - 6 (0+1+1+0) / (4 15)
	if got := Spearman([]float64{1, 2, 3, 4}, []float64{1, 3, 2, 9}); math.Abs(got-.8) > 1e-12 {
		t.Errorf("spearman %v, want .8", got)
	}
	// Ranks 0, 1.5, 1.5, 3 against 0..3.
	if got, want := Spearman([]float64{1, 2, 2, 3}, []float64{1, 2, 3, 4}), 4.5/math.Sqrt(4.5*5); math.Abs(got-want) > 1e-12 {
		t.Errorf("spearman with ties %v, want %v", got, want)
	}
}

func TestPrecisionAt(t *testing.T) {
	truth := []float64{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}
	predicted := []float64{9, 1, 8, 7, 0, 0, 0, 0, 0, 0}
	for _, c := range []struct{ q, want float64 }{{.1, 1}, {.2, .5}, {.3, 2. / 3}, {.4, 1}} {
		if got := PrecisionAt(truth, predicted, c.q); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("precision at %v: %v, want %v", c.q, got, c.want)
		}
	}
	// Equal predictions: the first k rows are the top.
	if got := PrecisionAt([]float64{0, 0, 1, 1}, make([]float64, 4), .5); got != 0 {
		t.Errorf("precision with ties %v, want 0", got)
	}
	if got := PrecisionAt(truth, predicted, .05); !math.IsNaN(got) {
		t.Errorf("precision of nothing %v, want NaN", got)
	}
}

func TestRankGauss(t *testing.T) {
	got := RankGauss([]float64{5, math.NaN(), -1, 5, 9})
	if !math.IsNaN(got[1]) || got[0] != got[3] || got[2] >= got[0] || got[4] <= got[0] || math.Abs(got[0]) > 1e-12 {
		t.Errorf("rank-Gauss %v", got)
	}
}
