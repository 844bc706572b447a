package learner

import (
	"slices"

	"archflow/encoders"
)

// honestWindow is how many of the newest pairs the running score looks at.
const honestWindow = 1000

// honest keeps, for one task, the predictions that were made before their
// labels were used, beside the labels: the only score that means anything.
type honest struct {
	Predicted []float64 // scores, more is better
	Actual    []float64 // labels turned so that more is better
	Covered   []bool    // whether the 90 % interval held the label
	Next      int       // ring
}

func (h *honest) add(predicted, actual float64, covered bool) {
	if len(h.Actual) < honestWindow {
		h.Predicted, h.Actual, h.Covered = append(h.Predicted, predicted), append(h.Actual, actual), append(h.Covered, covered)
		return
	}
	h.Predicted[h.Next], h.Actual[h.Next], h.Covered[h.Next] = predicted, actual, covered
	h.Next = (h.Next + 1) % honestWindow
}

func (h *honest) clone() honest {
	return honest{slices.Clone(h.Predicted), slices.Clone(h.Actual), slices.Clone(h.Covered), h.Next}
}

// Score is how well predictions ranked and bounded what came true later.
type Score struct {
	Pairs    int
	Tau      float64 // Kendall tau-b
	P1, P5   float64 // precision at 1 % and 5 %, 0 to 1
	Coverage float64 // share of labels inside their 90 % interval
}

func (h *honest) score() Score {
	s := Score{Pairs: len(h.Actual)}
	if s.Pairs < 2 {
		return s
	}
	s.Tau = encoders.KendallTau(h.Actual, h.Predicted)
	s.P1 = encoders.PrecisionAt(h.Actual, h.Predicted, 0.01)
	s.P5 = encoders.PrecisionAt(h.Actual, h.Predicted, 0.05)
	covered := 0
	for _, c := range h.Covered {
		if c {
			covered++
		}
	}
	s.Coverage = float64(covered) / float64(s.Pairs)
	return s
}
