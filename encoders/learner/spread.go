package learner

import "archflow/encoders"

// spreads say how unsure the scores of one task are: the logarithm of their
// deviation beside that of others.
type spreads struct {
	all       []float64 // [networks], of the teacher; nil where that is not known
	outOfFold []float64 // [rows], of held-out scores
	byStudent []float64 // [rows], estimates of its student without those
	heads     []encoders.Head
}

// of returns the values at rows, nil where there are none.
func (s *spreads) of(values []float64, rows []int) []float64 {
	if values == nil {
		return nil
	}
	return pick(values, rows)
}

// anyFinite reports whether a value is not NaN.
func anyFinite(values []float64) bool {
	for _, v := range values {
		if v == v {
			return true
		}
	}
	return false
}

// orNone returns the values, NaN for each of n where there are none.
func orNone(values []float64, n int) []float64 {
	if values != nil {
		return values
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = nan
	}
	return out
}
