package numpy

import (
	"math"
	"slices"
	"testing"
)

// The figures are numpy's: seed, then the calls in their order.
func TestNumpyDrawsTheSame(t *testing.T) {
	wantClose := func(name string, got, want []float64) {
		t.Helper()
		for i, v := range want {
			if math.Abs(got[i]-v) > 1e-15 {
				t.Errorf("%s: %v, want %v", name, got, want)
				return
			}
		}
	}
	r := Seed(0)
	wantClose("uniform", r.Uniform(3), []float64{0.5488135039273248, 0.7151893663724195, 0.6027633760716439})
	wantClose("again", r.Uniform(3), []float64{0.5448831829968969, 0.4236547993389047, 0.6458941130666561})
	wantClose("normal, an odd number", r.Normal(3, .1), []float64{0.09500884175255894, -0.01513572082976979, -0.010321885179355785})
	wantClose("normal, with what is left", r.Normal(4, .1), []float64{0.04105985019383723, 0.014404357116087799, 0.1454273506962975, 0.07610377251469935})
	if got := r.Permutation(5); !slices.Equal(got, []int{2, 3, 4, 1, 0}) {
		t.Errorf("permutation %v", got)
	}
	wantClose("after it", r.Normal(2, 1), []float64{0.12167501649282841, 0.42837336964863926})
	wantClose("largest seed", Seed(math.MaxUint32).Normal(3, 1), []float64{0.6484086742306527, 0.6693235306338161, -1.0805437227474493})
}

func TestNumpyPermutes(t *testing.T) {
	if got, want := Seed(0).Permutation(10), []int{2, 8, 4, 9, 1, 6, 7, 3, 0, 5}; !slices.Equal(got, want) {
		t.Errorf("seed 0: %v, want %v", got, want)
	}
	if got, want := Seed(42).Permutation(10), []int{8, 1, 5, 0, 7, 2, 9, 4, 3, 6}; !slices.Equal(got, want) {
		t.Errorf("seed 42: %v, want %v", got, want)
	}
	r := Seed(202121)
	if got, want := r.Permutation(15625)[:5], []int{2303, 8507, 7799, 10380, 2960}; !slices.Equal(got, want) {
		t.Errorf("seed 202121 begins with %v, want %v", got, want)
	}
	if got, want := r.Permutation(15625)[:5], []int{11214, 2189, 7496, 3607, 6696}; !slices.Equal(got, want) {
		t.Errorf("seed 202121, second permutation, begins with %v, want %v", got, want)
	}
}
