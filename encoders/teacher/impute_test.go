package teacher

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestMissingValuesAreGuessed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	const n, width = 1200, 3
	raw := make([]float64, n*width)
	want := make([]float64, n)
	for i := range n {
		for j := range width {
			raw[i*width+j] = rng.NormFloat64()
			want[i] += float64(j) * raw[i*width+j]
		}
	}
	blocks := []block{newBlock("x", raw, n, width)}
	got := make([]float64, n)
	for i := range got {
		if got[i] = want[i]; i%3 == 0 {
			got[i] = math.NaN()
		}
	}
	impute(got, blocks)
	for i := range got {
		if i%3 != 0 && got[i] != want[i] {
			t.Fatalf("known value %d changed from %g to %g", i, want[i], got[i])
		}
		if math.Abs(got[i]-want[i]) > 0.2*(1+math.Abs(want[i])) {
			t.Fatalf("value %d is guessed as %g, it is %g", i, got[i], want[i])
		}
	}
	few := []float64{1, math.NaN(), 3}
	impute(few, nil)
	if few[1] != 2 {
		t.Errorf("a value is guessed as %g from 1 and 3", few[1])
	}
}
