package encoders

import "math"

// Failures is the probability that the training of a network fails, by its score:
// the logistic function of At + Slope*score.
type Failures struct {
	At    float64 `json:"at"`
	Slope float64 `json:"slope"` // 0 where failures do not follow the ranking
}

const (
	failureGain      = 2 // nats that a slope must gain, or failures do not follow the ranking
	failureDeviation = 2 // of the slope, a priori
)

// FitFailures returns it for the held-out scores of networks that were trained
// and of those whose training failed; nil without any that failed.
func FitFailures(trained, failed []float64) *Failures {
	if len(failed) == 0 {
		return nil
	}
	n, f := float64(len(trained)+len(failed)), float64(len(failed))
	base := math.Log((f + .5) / (n - f + .5))
	likelihood := func(at, slope float64) float64 {
		sum := 0.
		for _, s := range trained {
			sum -= math.Log1p(math.Exp(min(at+slope*s, 500)))
		}
		for _, s := range failed {
			sum -= math.Log1p(math.Exp(min(-at-slope*s, 500)))
		}
		return sum
	}
	at, slope := base, 0.
	for range 50 { // Newton's method on a concave function
		var ga, gs, haa, has, hss float64
		add := func(s, y float64) {
			p := 1 / (1 + math.Exp(-(at + slope*s)))
			w := max(p*(1-p), 1e-9)
			ga += y - p
			gs += (y - p) * s
			haa += w
			has += w * s
			hss += w * s * s
		}
		for _, s := range trained {
			add(s, 0)
		}
		for _, s := range failed {
			add(s, 1)
		}
		gs -= slope / (failureDeviation * failureDeviation)
		hss += 1. / (failureDeviation * failureDeviation)
		d := haa*hss - has*has
		if !(d > 1e-12) {
			break
		}
		da, ds := (hss*ga-has*gs)/d, (haa*gs-has*ga)/d
		at, slope = at+min(max(da, -2), 2), slope+min(max(ds, -2), 2)
	}
	if !(slope < 0) || math.IsNaN(at) || likelihood(at, slope)-likelihood(base, 0) < failureGain {
		return &Failures{At: base}
	}
	return &Failures{At: at, Slope: slope}
}

// Probability returns that of a score.
func (f *Failures) Probability(score float64) float64 {
	return 1 / (1 + math.Exp(-(f.At + f.Slope*score)))
}
