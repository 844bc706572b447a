package encoders

import "math"

// momentsMemory is how many batches the moments look back.
const momentsMemory = 100

// moments are the running mean and variance of the surrogate's dimensions. The
// published surrogates are tiny, so that their loss hardly acts unless they are
// standardised.
type moments struct {
	batches  float64   // counted, at most momentsMemory
	mean     []float64 // [k]
	variance []float64 // [k]
}

func newMoments(k int) moments {
	return moments{mean: make([]float64, k), variance: make([]float64, k)}
}

// see takes in the finite values of a batch [n, k].
func (m *moments) see(values []float32) {
	k := len(m.mean)
	m.batches = min(m.batches+1, momentsMemory)
	for d := range k {
		n, mean, squares := 0., 0., 0.
		for i := d; i < len(values); i += k {
			x := float64(values[i])
			if math.IsNaN(x) || math.IsInf(x, 0) {
				continue
			}
			n++
			delta := x - mean
			mean += delta / n
			squares += delta * (x - mean)
		}
		if n == 0 {
			continue
		}
		delta, share := mean-m.mean[d], 1/m.batches
		m.mean[d] += share * delta
		m.variance[d] = (1-share)*(m.variance[d]+share*delta*delta) + share*squares/n
	}
}

// standardise turns values [n, k] into their distance from the mean in standard
// deviations; a dimension that does not vary becomes zero.
func (m *moments) standardise(values []float32) {
	k := len(m.mean)
	for d := range k {
		factor := 0.
		if m.variance[d] > 1e-30 {
			factor = 1 / math.Sqrt(m.variance[d])
		}
		for i := d; i < len(values); i += k {
			values[i] = float32((float64(values[i]) - m.mean[d]) * factor)
		}
	}
}
