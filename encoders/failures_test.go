package encoders

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestFailuresFollowScores(t *testing.T) {
	if FitFailures([]float64{1, 2}, nil) != nil {
		t.Error("a probability without failures")
	}
	rng := rand.New(rand.NewPCG(3, 3))
	var trained, failed, alike []float64
	for range 200 {
		s := rng.NormFloat64()
		if rng.Float64() < 1/(1+math.Exp(2+2*s)) {
			failed = append(failed, s)
		} else {
			trained = append(trained, s)
		}
		if len(alike) < 20 {
			alike = append(alike, rng.NormFloat64())
		}
	}
	f := FitFailures(trained, failed)
	for _, s := range []float64{-2, -1, 0, 1} {
		if want, got := 1/(1+math.Exp(2+2*s)), f.Probability(s); math.Abs(got-want) > .15 {
			t.Errorf("score %v fails with %.2f, want %.2f", s, got, want)
		}
	}
	if f := FitFailures(trained, alike); f.Slope != 0 || math.Abs(f.Probability(-3)-20./float64(20+len(trained))) > .02 {
		t.Errorf("failures by chance: %+v", f)
	}
}
