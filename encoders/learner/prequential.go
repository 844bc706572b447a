package learner

import (
	"math"
	"slices"

	"archflow/encoders/metrics"
)

// prequentialWindow is the number of newest pairs that the running score covers.
const prequentialWindow = 1000

// prequential keeps, for one task, predictions that were made before their labels were
// used, beside the labels (test-then-train). Checkpoints hold its fields by name.
type prequential struct {
	Predicted []float64 // scores, more is better
	Actual    []float64 // labels turned so that more is better
	Covered   []bool    // whether the 90 % interval held the label
	Next      int       // ring

	// Percentile is the predicted one, 0 to 100; NaN for pairs of states from before it
	// was kept.
	Percentile []float64
}

func (h *prequential) add(predicted, percentile, actual float64, covered bool) {
	h.fill()
	if len(h.Actual) < prequentialWindow {
		h.Predicted, h.Actual, h.Covered = append(h.Predicted, predicted), append(h.Actual, actual), append(h.Covered, covered)
		h.Percentile = append(h.Percentile, percentile)
		return
	}
	h.Predicted[h.Next], h.Actual[h.Next], h.Covered[h.Next] = predicted, actual, covered
	h.Percentile[h.Next] = percentile
	h.Next = (h.Next + 1) % prequentialWindow
}

// fill notes that percentiles of pairs are not known.
func (h *prequential) fill() {
	for len(h.Percentile) < len(h.Actual) {
		h.Percentile = append(h.Percentile, math.NaN())
	}
}

func (h *prequential) clone() prequential {
	h.fill()
	return prequential{slices.Clone(h.Predicted), slices.Clone(h.Actual), slices.Clone(h.Covered), h.Next, slices.Clone(h.Percentile)}
}

// Score measures how well predictions ranked and bounded later labels.
type Score struct {
	Pairs    int
	Tau      float64 // Kendall tau-b
	P1, P5   float64 // precision at 1 % and 5 %, 0 to 1
	Coverage float64 // share of labels inside their 90 % interval

	// Random estimates Tau for labels of candidates drawn at random, however those
	// that came were chosen; RandomError is its standard error. NaN where the
	// predictions of too few labels, or of labels too much alike, are known.
	Random, RandomError float64
}

func (h *prequential) score() Score {
	s := Score{Pairs: len(h.Actual)}
	s.Random, s.RandomError = h.random()
	if s.Pairs < 2 {
		return s
	}
	s.Tau = metrics.KendallTau(h.Actual, h.Predicted)
	s.P1 = metrics.PrecisionAt(h.Actual, h.Predicted, 0.01)
	s.P5 = metrics.PrecisionAt(h.Actual, h.Predicted, 0.05)
	covered := 0
	for _, c := range h.Covered {
		if c {
			covered++
		}
	}
	s.Coverage = float64(covered) / float64(s.Pairs)
	return s
}
