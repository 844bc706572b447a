package teacher

import (
	"math"
	"slices"
)

// stretches are the values of f in the warp of the labels.
var stretches = []float64{0.1, 0.2, 0.4, 0.7, 1, 2, 4, 10}

// rounding is the share of their size by which labels differ at least, or they are
// taken for the same: four units in the last place.
const rounding = 4 * 0x1p-52

// Rankable says whether labels differ enough for a ranking to be learnt from them.
func Rankable(y []float64) bool {
	if len(y) == 0 {
		return false
	}
	_, _, ok := warp(inRange(y), 1)
	return ok
}

// warp stretches the top of labels y: -log(max + f(max - median) - y),
// standardised; and returns the logarithm of its Jacobian. Where the median is
// near the maximum, a tenth of the range takes the place of their difference. It
// fails for labels that are constant but for rounding.
func warp(y []float64, f float64) (z []float64, jacobian float64, ok bool) {
	top := slices.Max(y)
	bottom := slices.Min(y)
	spread := max(top-median(y), 0.1*(top-bottom))
	if spread <= rounding*max(math.Abs(top), math.Abs(bottom)) || spread < 1e-300 {
		return nil, 0, false
	}
	z = make([]float64, len(y))
	for i, v := range y {
		z[i] = -math.Log((top - v) + f*spread)
		jacobian += z[i]
	}
	s := standardise(z)
	return z, jacobian - float64(len(y))*math.Log(s), s > 0
}

// standardise gives z mean 0 and variance 1 in place, unless it is constant, and returns
// its former deviation.
func standardise(z []float64) float64 {
	mean, square := 0.0, 0.0
	for _, v := range z {
		mean += v / float64(len(z))
	}
	for _, v := range z {
		square += (v - mean) * (v - mean) / float64(len(z))
	}
	s := math.Sqrt(square)
	for i := range z {
		z[i] -= mean
		if s > 0 {
			z[i] /= s
		}
	}
	return s
}

func median(y []float64) float64 {
	s := slices.Clone(y)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
