package encoders

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestCoverage draws labels whose spread depends on the score, and counts how
// often the 90 % interval holds a new one.
func TestCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func() (score, label float64) {
		score = rng.NormFloat64()
		return score, 90 + 4*math.Tanh(score) + rng.NormFloat64()*(.3+math.Exp(-score)/2)
	}
	for _, c := range []struct{ labels, repeats int }{{5, 1500}, {9, 1500}, {16, 1500}, {30, 800}, {60, 400}, {118, 300}, {500, 60}, {5000, 5}} {
		for _, minimise := range []bool{false, true} {
			held, width, all := 0, 0., 0
			for range c.repeats {
				s, y := make([]float64, c.labels), make([]float64, c.labels)
				turn := 1.
				if minimise {
					turn = -1
				}
				for i := range s {
					s[i], y[i] = draw()
					y[i] *= turn
				}
				k := Calibrate(s, y, nil, minimise)
				for range 200 {
					score, label := draw()
					value, low, high, _ := k.At(score)
					if !(low <= value && value <= high) {
						t.Fatalf("%d labels: value %v outside [%v, %v]", c.labels, value, low, high)
					}
					if low <= label*turn && label*turn <= high {
						held++
					}
					width += high - low
					all++
				}
			}
			share := float64(held) / float64(all)
			t.Logf("%5d labels: coverage %.3f, mean width %.2f", c.labels, share, width/float64(all))
			low, high := .88, .92
			if c.labels < 9 {
				high = .99 // no order statistic reaches 90 %
			}
			if share < low || share > high {
				t.Errorf("%d labels, minimise %v: coverage %.3f", c.labels, minimise, share)
			}
		}
	}
}

func TestCalibrationIsMonotone(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 2))
	s, y := make([]float64, 80), make([]float64, 80)
	for i := range s {
		s[i] = float64(rng.IntN(30))
		y[i] = s[i] + 5*rng.NormFloat64()
	}
	for _, minimise := range []bool{false, true} {
		if minimise {
			for i := range y {
				y[i] = -y[i]
			}
		}
		c := Calibrate(s, y, s, minimise)
		last, lastPercentile := math.Inf(-1), -1.
		for score := -5.; score < 35; score += .25 {
			v, _, _, p := c.At(score)
			if minimise {
				v = -v
			}
			if v < last || p < lastPercentile || p < 0 || p > 100 {
				t.Fatalf("minimise %v: at %v value %v after %v, percentile %v after %v", minimise, score, v, last, p, lastPercentile)
			}
			last, lastPercentile = v, p
		}
	}
}

func TestPercentile(t *testing.T) {
	seen := make([]float64, 20001)
	for i := range seen {
		seen[i] = float64(i)
	}
	c := Calibrate(nil, nil, seen, false)
	if len(c.Seen) != percentileKnots {
		t.Errorf("%d knots", len(c.Seen))
	}
	for score, want := range map[float64]float64{-1: 0, 0: 0, 5000: 25, 5003: 25.015, 20000: 100, 1e9: 100} {
		if v, _, _, p := c.At(score); math.Abs(p-want) > 1e-9 || !math.IsNaN(v) {
			t.Errorf("percentile of %v: %v, want %v; value %v without labels", score, p, want, v)
		}
	}
	few := Calibrate(nil, nil, []float64{1, 2, 2, 2, 3}, false)
	if _, _, _, p := few.At(2); p != 50 {
		t.Errorf("the middle of five is at %v %%", p)
	}
}
