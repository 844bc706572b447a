// Package calibration turns the scores of a model into values in the unit of the
// labels, with intervals that hold, percentiles and the probability of being among the
// best.
package calibration

import (
	"errors"
	"math"
	"slices"
	"sort"

	"archflow/encoders/metrics"
)

const (
	coverage         = .9
	percentileKnots  = 1001
	calibrationFolds = 20
	twoSided         = 60 // labels from which both ends of an interval have a size of their own
	calibrationPairs = 4000
)

// Map turns a task's score into a value in the unit of its labels, the interval that
// holds the label with 90 %, and the percentile among the model's networks. The zero
// value answers NaN.
//
// The value is a monotone function of the score, between a line and the isotonic function
// of medians, on a scale of the labels on which their errors are alike (Shape). The
// interval is that of cross-conformal prediction: residuals of labels that neither the
// member behind the score nor the monotone function was fitted to, divided by the scale
// of each. Sources: Barber et al., "Predictive inference with the jackknife+", 2021;
// Papadopoulos et al., 2002.
type Map struct {
	Score []float64 `json:"score"` // knots, ascending
	Value []float64 `json:"value"` // at the knots, on the scale of Shape
	// Spread at the knots, of the residuals; only of models from before Shape.
	Spread []float64 `json:"spread,omitempty"`
	Below  float64   `json:"below"` // scales from the value to the worse end
	Above  float64   `json:"above"` // and to the better end; before Shape to the low and the high one
	Seen   []float64 `json:"seen"`  // quantiles of the scores of the model's networks, ascending
	// Agreement measures the correlation of scores and labels near the best, from 0 to
	// less than 1; see Top. It is nil in models from before answers carried it, which go
	// on answering as they did.
	Agreement *float64 `json:"agreement_at_top,omitempty"`
	// Deviation is the standard deviation of labels around the value, in scales; nil in
	// models from before answers carried it.
	Deviation *float64 `json:"deviation,omitempty"`
	// Positive says that all labels were, so that no interval begins below zero.
	Positive bool `json:"positive,omitempty"`
	// Least is then the smallest; with it no value and no interval's other end is below
	// zero either. Models from before lack it and go on answering as they did.
	Least float64 `json:"least,omitempty"`
	// Shape is nil in models from before intervals followed the candidate.
	Shape *Shape `json:"shape,omitempty"`
}

// Fit fits a calibration to labels y and their out-of-fold scores, with the spread of
// each (the logarithm of its uncertainty relative to others; nil where unknown), and to
// the scores of all of the model's networks. At least five labels are wanted; with fewer
// than two the values are NaN. minimise: less of the label is better.
func Fit(outOfFold, spread, y, all []float64, minimise bool) Map {
	if spread == nil {
		spread = make([]float64, len(y))
	}
	if len(outOfFold) != len(y) || len(spread) != len(y) {
		panic("calibration: Fit of scores and labels of different length")
	}
	if len(all) == 0 {
		all = outOfFold
	}
	c := Map{Seen: quantiles(all, percentileKnots)}
	if len(y) > calibrationPairs {
		outOfFold, spread, y = thinned(outOfFold), thinned(spread), thinned(y)
	}
	n := len(y)
	if n < 2 {
		return c
	}
	agreement := agreementOfLabels(outOfFold, turned(y, minimise), c.Seen)
	if least := slices.Min(y); least > 0 {
		c.Positive, c.Least = true, least
	}
	unit := magnitude(y)
	if minimise {
		unit = -unit
	}
	order := metrics.Ascending(outOfFold)
	s, t, v := make([]float64, n), make([]float64, n), make([]float64, n)
	for i, o := range order {
		s[i], v[i] = outOfFold[o], y[o]/unit
		if spread[o] == spread[o] {
			t[i] = spread[o]
		}
	}
	shape := &Shape{Unit: unit, Limit: bestLimit(s, v)}
	for i := range v {
		v[i] = shape.flat(v[i])
	}
	shape.begin(v)
	residual := crossResiduals(s, v)
	scale := shape.fit(s, t, residual)
	curve := between(s, v)
	c.Score, c.Value, c.Shape = curve.score, curve.value, shape
	c.Below, c.Above = conformal(residual, scale)
	deviation := deviationOf(residual, scale, c.Below, c.Above)
	c.Deviation, c.Agreement = &deviation, &agreement
	c.limitAgreement()
	return c
}

// magnitude returns a power of two that labels are divided by where differences
// and squares of them would overflow or vanish, and 1 elsewhere.
func magnitude(y []float64) float64 {
	largest := 0.
	for _, v := range y {
		largest = max(largest, math.Abs(v))
	}
	if largest == 0 || largest > 1e-100 && largest < 1e100 {
		return 1
	}
	_, exponent := math.Frexp(largest)
	return math.Ldexp(1, min(exponent, 1023))
}

// thinned returns evenly chosen members, as many as a calibration has use for.
func thinned(v []float64) []float64 {
	out := make([]float64, calibrationPairs)
	for i := range out {
		out[i] = v[i*len(v)/calibrationPairs]
	}
	return out
}

// Widen multiplies intervals and deviations by a factor, where out-of-fold errors are
// known to be too small.
func (c *Map) Widen(times float64) {
	if c.Shape != nil {
		c.Shape.Size[0] += math.Log(times)
		c.limitAgreement()
	}
}

// At returns the value of the score, its 90 % interval for a candidate of that spread,
// NaN where it is not known, and the percentage of the model's networks that score less.
func (c *Map) At(score, spread float64) (value, low, high, percentile float64) {
	percentile = c.percentile(score)
	if len(c.Score) == 0 {
		return math.NaN(), math.NaN(), math.NaN(), percentile
	}
	value = interpolate(c.Score, c.Value, score)
	if c.Shape == nil {
		size := interpolate(c.Score, c.Spread, score)
		low, high = Finite(value-c.Below*size), Finite(value+c.Above*size)
	} else {
		size := c.Shape.scale(score, spread)
		low, high = c.Shape.label(value-c.Below*size), c.Shape.label(value+c.Above*size)
		value = c.Shape.label(value)
		low, high = min(low, high), max(low, high)
	}
	if c.Positive {
		low = max(low, 0)
	}
	value, low, high = c.Bound(value, low, high)
	return value, low, high, percentile
}

// Bound returns a value and its interval within what the labels may be. Where all were
// positive nothing is below zero; an interval of which the curve is there, beyond the
// labels, goes up to the smallest of them.
func (c *Map) Bound(value, low, high float64) (float64, float64, float64) {
	if c.Least == 0 {
		return value, low, high
	}
	if value <= 0 {
		high = max(high, c.Least)
	}
	return max(value, 0), max(low, 0), max(high, 0)
}

// SD returns the standard deviation of the label at a score of such spread, NaN
// where that is not known.
func (c *Map) SD(score, spread float64) float64 {
	if c.Deviation == nil || len(c.Score) == 0 || math.IsNaN(score) {
		return math.NaN()
	}
	if c.Shape == nil {
		return Finite(*c.Deviation * interpolate(c.Score, c.Spread, score))
	}
	value, size := interpolate(c.Score, c.Value, score), *c.Deviation*c.Shape.scale(score, spread)
	low, high := c.Shape.label(value-size), c.Shape.label(value+size)
	_, low, high = c.Bound(c.Shape.label(value), min(low, high), max(low, high))
	return Finite(high/2 - low/2)
}

// deviationOf returns the standard deviation of the residuals in spreads. Those beyond
// twice the interval are clipped: one failed network should not widen the deviation of
// all.
func deviationOf(residual, spread []float64, below, above float64) float64 {
	squares, n := 0., 0.
	for i, r := range residual {
		if spread[i] > 0 {
			e := min(max(r/spread[i], -2*below), 2*above)
			squares += e * e
			n++
		}
	}
	return math.Sqrt(squares / max(n, 1))
}

// Finite returns the nearest number that is not infinite.
func Finite(v float64) float64 { return min(max(v, -math.MaxFloat64), math.MaxFloat64) }

func (c *Map) percentile(score float64) float64 {
	n := len(c.Seen)
	if n == 0 || math.IsNaN(score) {
		return math.NaN()
	}
	// Equal scores share the middle of their places.
	first := sort.SearchFloat64s(c.Seen, score)
	after := sort.Search(n, func(i int) bool { return c.Seen[i] > score })
	switch {
	case first < after:
		return 100 * float64(first+after-1) / 2 / float64(max(n-1, 1))
	case first == 0:
		return 0
	case first == n:
		return 100
	}
	part := (score - c.Seen[first-1]) / (c.Seen[first] - c.Seen[first-1])
	return 100 * (float64(first-1) + part) / float64(n-1)
}

var errCalibration = errors.New("the calibration's tables do not fit together")

// Check refuses a map that At could not read.
func (c *Map) Check() error {
	if len(c.Score) != len(c.Value) || c.Shape == nil && len(c.Score) != len(c.Spread) || c.Shape.check() != nil || len(c.Seen) > percentileKnots ||
		!slices.IsSorted(c.Score) || !slices.IsSorted(c.Seen) || c.Agreement != nil && !(*c.Agreement >= 0 && *c.Agreement < 1) || c.Deviation != nil && !(*c.Deviation >= 0) {
		return errCalibration
	}
	return nil
}
