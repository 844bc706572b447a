package encoders

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The regression is that of the normal equations, leaves out rows without a target,
// and finds noise out.
func TestLeastSquares(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	const n, width = 400, 5
	x, y := make([]float64, n*width), make([]float64, n)
	for i := range x {
		x[i] = 3 + r.NormFloat64()
	}
	for i := range y {
		y[i] = 2*x[i*width] - x[i*width+3] + 7
		if i%9 == 4 {
			y[i] = math.NaN()
		}
	}
	got, err := leastSquares(x, width, y)
	if err != nil {
		t.Fatal(err)
	}
	for j, want := range []float64{2, 0, 0, -1, 0} {
		if math.Abs(got.weights[j]-want) > 1e-3 {
			t.Errorf("weights %v", got.weights)
		}
	}
	if math.Abs(got.constant-7) > 1e-2 || math.Abs(got.deviation-math.Sqrt(5)) > 0.2 || math.Abs(got.mean-13-(-3)) > 1 {
		t.Errorf("constant %v, mean %v, deviation %v", got.constant, got.mean, got.deviation)
	}
	for i := range y {
		y[i] = r.NormFloat64()
	}
	if got, err = leastSquares(x[:12*width], width, y[:12]); err != nil || got.deviation > 0.5 {
		t.Errorf("noise is learnt: deviation %v, %v", got.deviation, err)
	}
	for i := range y {
		y[i] = math.NaN()
	}
	if got, err = leastSquares(x, width, y); err != nil || got.deviation != 0 {
		t.Errorf("without targets: %+v, %v", got, err)
	}
	clear(x)
	if got, err = leastSquares(x, width, make([]float64, n)); err != nil || got.deviation != 0 {
		t.Errorf("of graphs that are all alike: %+v, %v", got, err)
	}
}
