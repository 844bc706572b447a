package learner

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"archflow/encoders/metrics"
)

// TestScoreOfASearch: labels of the predicted best alone have a low tau, and the estimate
// for labels at random is within its error of the true one.
func TestScoreOfASearch(t *testing.T) {
	const candidates, labels = 5000, 150
	for _, strength := range []float64{0, .5, .9} {
		for _, top := range []int{candidates, 500, 200} {
			var raw, corrected, far, all float64
			const runs = 30
			for seed := range uint64(runs) {
				random := rand.New(rand.NewPCG(seed, 7))
				predicted, truth := make([]float64, candidates), make([]float64, candidates)
				for i := range predicted {
					predicted[i] = random.NormFloat64()
					truth[i] = strength*predicted[i] + math.Sqrt(1-strength*strength)*random.NormFloat64()
				}
				order := make([]int, candidates)
				for i := range order {
					order[i] = i
				}
				slices.SortFunc(order, func(a, b int) int { return -cmpFloat(predicted[a], predicted[b]) })
				var h prequential
				for _, at := range random.Perm(top)[:labels] {
					i := order[at]
					h.add(predicted[i], 50*math.Erfc(-predicted[i]/math.Sqrt2), truth[i], true)
				}
				s := h.score()
				population := metrics.KendallTau(truth, predicted)
				raw, corrected, all = raw+s.Tau/runs, corrected+s.Random/runs, all+population/runs
				if math.Abs(s.Random-population) > 2*s.RandomError {
					far++
				}
			}
			if math.Abs(corrected-all) > .08 {
				t.Errorf("strength %v, %d labels of the best %d: tau %.2f, corrected %.2f, of all %.2f", strength, labels, top, raw, corrected, all)
			}
			if far > runs/5 {
				t.Errorf("strength %v, best %d: %v of %d estimates are two errors away", strength, top, far, runs)
			}
			if top == 200 && strength > 0 && raw > .75*all {
				t.Errorf("strength %v: the search does not punish the score: %.2f of %.2f", strength, raw, all)
			}
		}
	}
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// TestScoreWithoutPercentiles: pairs of a state from before percentiles were kept
// count in all but the estimate for labels at random.
func TestScoreWithoutPercentiles(t *testing.T) {
	var h prequential
	for i := range 30 {
		h.add(float64(i), float64(i), float64(i), true)
	}
	h.Percentile = nil
	c := h.clone()
	if s := c.score(); s.Pairs != 30 || s.Tau != 1 || !math.IsNaN(s.Random) {
		t.Errorf("%+v", s)
	}
	for i := range 12 {
		c.add(float64(i), float64(8*i), float64(i%5), true)
	}
	if s := c.score(); math.IsNaN(s.Random) || len(c.Percentile) != 42 {
		t.Errorf("%+v", s)
	}
}
