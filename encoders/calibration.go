package encoders

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

const (
	coverage          = .9
	percentileKnots   = 1001
	calibrationFolds  = 20
	calibrationWindow = 30 // labels whose residuals tell the local spread
	calibrationPairs  = 4000
)

// Calibration turns a task's score into a value in the unit of its labels, the
// interval that holds the label with 90 %, and the percentile among what the
// model had seen. The zero value answers NaN.
//
// The value is a monotone (isotonic) function of the score, the median of the
// labels there. The interval is
// that of cross-conformal prediction: residuals are taken of labels that
// neither the member behind the score nor the monotone function had seen,
// divided by the local spread. Sources: Barber et al., "Predictive inference
// with the jackknife+", 2021; Papadopoulos et al., 2002.
type Calibration struct {
	Score  []float64 `json:"score"`  // knots, ascending
	Value  []float64 `json:"value"`  // at the knots
	Spread []float64 `json:"spread"` // at the knots, of the residuals
	Below  float64   `json:"below"`  // spreads from the value to the low end
	Above  float64   `json:"above"`  // and to the high end
	Seen   []float64 `json:"seen"`   // quantiles of the scores seen, ascending
	// Agreement is how far scores and labels agree about the best, from 0 to less
	// than 1; see Top. It is nil in models from before answers told it, which go on
	// answering as they did.
	Agreement *float64 `json:"agreement_at_top,omitempty"`
	// Deviation is the standard deviation of labels around the value, in spreads;
	// nil in models from before answers told it.
	Deviation *float64 `json:"deviation,omitempty"`
	// Positive says that all labels were, so that no interval goes below zero.
	Positive bool `json:"positive,omitempty"`
}

// Calibrate fits a calibration to labels y and the scores heldOut that were
// given by members that had not seen them, and to the scores of everything that
// the model had seen. At least five labels are wanted; with fewer than two the
// values are NaN. minimise says that less of the label is better.
func Calibrate(heldOut, y []float64, seen []float64, minimise bool) Calibration {
	if len(heldOut) != len(y) {
		panic("encoders: Calibrate of scores and labels of different length")
	}
	if len(seen) == 0 {
		seen = heldOut
	}
	c := Calibration{Seen: quantiles(seen, percentileKnots)}
	if len(y) > calibrationPairs {
		heldOut, y = thinned(heldOut), thinned(y)
	}
	n := len(y)
	if n < 2 {
		return c
	}
	agreement := agreementAtTop(heldOut, turned(y, minimise), c.Seen)
	c.Agreement = &agreement
	sign, unit := 1., magnitude(y)
	if minimise {
		sign = -1
	}
	order := ascending(heldOut)
	s, v := make([]float64, n), make([]float64, n)
	for i, o := range order {
		s[i], v[i] = heldOut[o], sign*y[o]/unit
	}
	residual := crossResiduals(s, v)
	spread := localSpread(residual)
	below, above := conformal(residual, spread)
	curve := isotonic(s, v)
	c.Score, c.Value = curve.score, curve.value
	c.Spread = make([]float64, len(c.Score))
	for k, score := range c.Score {
		c.Spread[k] = interpolate(s, spread, score)
	}
	c.Below, c.Above = below, above
	deviation := deviationOf(residual, spread, below, above)
	c.Deviation = &deviation
	c.Positive = slices.Min(y) > 0
	for k := range c.Value {
		c.Value[k] *= sign * unit
		c.Spread[k] *= unit
	}
	if minimise {
		c.Below, c.Above = c.Above, c.Below
	}
	return c
}

// magnitude returns a power of two that labels are divided by where differences
// and squares of them would overflow or vanish, and 1 elsewhere.
func magnitude(y []float64) float64 {
	most := 0.
	for _, v := range y {
		most = max(most, math.Abs(v))
	}
	if most == 0 || most > 1e-100 && most < 1e100 {
		return 1
	}
	_, exponent := math.Frexp(most)
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

// At returns the value that the score stands for, its 90 % interval, and the
// percentage of what the model had seen that scores less.
func (c *Calibration) At(score float64) (value, low, high, percentile float64) {
	percentile = c.percentile(score)
	if len(c.Score) == 0 {
		return math.NaN(), math.NaN(), math.NaN(), percentile
	}
	value = interpolate(c.Score, c.Value, score)
	spread := interpolate(c.Score, c.Spread, score)
	low, high = finite(value-c.Below*spread), finite(value+c.Above*spread)
	if c.Positive {
		low = max(low, 0)
	}
	return value, low, high, percentile
}

// sd returns the standard deviation of the label at a score, NaN where that is
// not known.
func (c *Calibration) sd(score float64) float64 {
	if c.Deviation == nil || len(c.Score) == 0 || math.IsNaN(score) {
		return math.NaN()
	}
	return finite(*c.Deviation * interpolate(c.Score, c.Spread, score))
}

// deviationOf returns the standard deviation of the residuals in spreads. Those
// beyond twice the interval count as there: one network that fell through
// should not widen what is said of all.
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

// finite returns the nearest number that is not infinite.
func finite(v float64) float64 { return min(max(v, -math.MaxFloat64), math.MaxFloat64) }

func (c *Calibration) percentile(score float64) float64 {
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

// check refuses what At could not read.
func (c *Calibration) check() error {
	if len(c.Score) != len(c.Value) || len(c.Score) != len(c.Spread) || len(c.Seen) > percentileKnots ||
		!slices.IsSorted(c.Score) || !slices.IsSorted(c.Seen) || c.Agreement != nil && !(*c.Agreement >= 0 && *c.Agreement < 1) || c.Deviation != nil && !(*c.Deviation >= 0) {
		return errCalibration
	}
	return nil
}

// curve is a piecewise linear function.
type curve struct{ score, value []float64 }

// isotonic returns the non-decreasing function that is nearest to v, in the sum
// of absolute differences, at the ascending scores s, linear between the centres
// of its steps. A step is a median and not a mean, because one label that fell
// through (a network that did not train) would otherwise pull down the value of
// everything that scores like it. Source: pool adjacent violators, Ayer et al.,
// 1955, with the medians of Robertson and Waltman, 1968.
func isotonic(s, v []float64) curve {
	type step struct {
		score  float64 // mean of its members'
		values []float64
	}
	var steps []step
	for i := range s {
		now := step{s[i], []float64{v[i]}}
		for len(steps) > 0 {
			last := steps[len(steps)-1]
			if middle(last.values) < middle(now.values) && last.score < now.score {
				break
			}
			m, n := float64(len(last.values)), float64(len(now.values))
			now = step{(last.score*m + now.score*n) / (m + n), mergeSorted(last.values, now.values)}
			steps = steps[:len(steps)-1]
		}
		steps = append(steps, now)
	}
	var c curve
	for _, k := range steps {
		// Rounding may make two centres equal; one knot is enough.
		if n := len(c.score); n > 0 && c.score[n-1] >= k.score {
			continue
		}
		c.score, c.value = append(c.score, k.score), append(c.value, middle(k.values))
	}
	return c
}

// middle returns the median of ascending values.
func middle(v []float64) float64 { return (v[(len(v)-1)/2] + v[len(v)/2]) / 2 }

// mergeSorted returns the members of two ascending slices, ascending.
func mergeSorted(a, b []float64) []float64 {
	out := make([]float64, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] <= b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// interpolate evaluates the piecewise linear function through (x, y), constant
// beyond its ends.
func interpolate(x, y []float64, at float64) float64 {
	i := sort.SearchFloat64s(x, at)
	switch {
	case i == 0:
		return y[0]
	case i == len(x):
		return y[i-1]
	case x[i] == at:
		return y[i]
	}
	part := (at - x[i-1]) / (x[i] - x[i-1])
	return y[i-1] + part*(y[i]-y[i-1])
}

// crossResiduals returns v - f(s), f being the isotonic function of the other
// folds; s is ascending. Small sets are left out one at a time.
func crossResiduals(s, v []float64) []float64 {
	n := len(s)
	folds := min(n, calibrationFolds)
	fold := make([]int, n)
	random := rand.New(rand.NewPCG(uint64(n), 0x63616c))
	for from := 0; from < n; from += folds {
		deal := random.Perm(folds)
		for i := from; i < min(from+folds, n); i++ {
			fold[i] = deal[i-from]
		}
	}
	residual := make([]float64, n)
	var ts, tv []float64
	for k := range folds {
		ts, tv = ts[:0], tv[:0]
		for i := range s {
			if fold[i] != k {
				ts, tv = append(ts, s[i]), append(tv, v[i])
			}
		}
		f := isotonic(ts, tv)
		for i := range s {
			if fold[i] == k {
				residual[i] = v[i] - interpolate(f.score, f.value, s[i])
			}
		}
	}
	return residual
}

// localSpread returns the typical size of the residuals around each, the median,
// at least a tenth of the overall one; one size for all where labels are few.
func localSpread(residual []float64) []float64 {
	n := len(residual)
	size := make([]float64, n)
	mean := 0.
	for i, r := range residual {
		size[i] = math.Abs(r)
		mean += size[i] / float64(n)
	}
	typical := func(part []float64) float64 {
		sorted := slices.Clone(part)
		slices.Sort(sorted)
		return middle(sorted)
	}
	overall := typical(size)
	if overall == 0 {
		overall = mean
	}
	spread := make([]float64, n)
	half := max(calibrationWindow/2, n/20)
	for i := range spread {
		spread[i] = overall
		if n >= 2*calibrationWindow {
			spread[i] = max(typical(size[max(i-half, 0):min(i+half+1, n)]), overall/10)
		}
	}
	return spread
}

// conformal returns how many spreads below and above the value a new label
// stays with 90 %: by order statistics of both sides where there are enough, of
// the absolute residuals otherwise, and by Student's t below nine labels, where
// no order statistic reaches far enough.
func conformal(residual, spread []float64) (below, above float64) {
	n := len(residual)
	ratio, size := make([]float64, n), make([]float64, n)
	squares := 0.
	for i, r := range residual {
		if spread[i] > 0 {
			ratio[i] = r / spread[i]
		}
		size[i] = math.Abs(ratio[i])
		squares += ratio[i] * ratio[i]
	}
	slices.Sort(ratio)
	slices.Sort(size)
	position := float64(n+1) * (1 + coverage) / 2
	if n >= 2*calibrationWindow {
		return max(-orderStatistic(ratio, float64(n+1)-position), 0), max(orderStatistic(ratio, position), 0)
	}
	if position = float64(n+1) * coverage; position <= float64(n) {
		reach := orderStatistic(size, position)
		return reach, reach
	}
	reach := max(size[n-1], student95[n]*math.Sqrt(squares/float64(n)))
	return reach, reach
}

// student95 is the 95 % quantile of Student's t for n - 1 degrees of freedom.
var student95 = [9]float64{0, 0, 6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895}

// orderStatistic returns the value at a position counted from 1 in ascending
// values, linear between two.
func orderStatistic(v []float64, position float64) float64 {
	i := int(position)
	switch {
	case i < 1:
		return v[0]
	case i >= len(v):
		return v[len(v)-1]
	}
	return v[i-1] + (position-float64(i))*(v[i]-v[i-1])
}

// quantiles returns at most so many evenly spaced order statistics of the
// values that are numbers.
func quantiles(values []float64, knots int) []float64 {
	known := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) {
			known = append(known, v)
		}
	}
	slices.SortFunc(known, cmp.Compare[float64])
	if len(known) <= knots {
		return known
	}
	out := make([]float64, knots)
	for k := range out {
		out[k] = orderStatistic(known, 1+float64(k)*float64(len(known)-1)/float64(knots-1))
	}
	return out
}
