package calibration

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

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
	if n >= twoSided {
		return max(-orderStatistic(ratio, float64(n+1)-position), 0), max(orderStatistic(ratio, position), 0)
	}
	if position = float64(n+1) * coverage; position <= float64(n) {
		reach := orderStatistic(size, position)
		return reach, reach
	}
	reach := max(size[n-1], student95[max(n-1, 2)]*math.Sqrt(squares/float64(n)))
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

// quantiles returns at most n evenly spaced order statistics of the values that are
// numbers.
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

// crossResiduals returns v - f(s), f being the monotone function of the other
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
		f := between(ts, tv)
		for i := range s {
			if fold[i] == k {
				residual[i] = v[i] - interpolate(f.score, f.value, s[i])
			}
		}
	}
	return residual
}

const (
	// isotonicLabels is how many labels make an isotonic function as good as a line.
	isotonicLabels = 400
	// beyondScores is how far a line goes on beyond the scores, in their deviations.
	beyondScores = 1
)

// between returns a non-decreasing function through v at the ascending scores s, between
// a line, the best fit to few labels, and the isotonic function, which is right where
// they are many. Beyond the scores it goes on a little as the line does.
func between(s, v []float64) curve {
	a, b := line(s, v)
	steps := isotonic(s, v)
	_, deviation := meanDeviation(s)
	share := float64(len(s)) / float64(len(s)+isotonicLabels)
	c := curve{score: slices.Concat([]float64{s[0] - beyondScores*deviation}, steps.score, []float64{s[len(s)-1] + beyondScores*deviation})}
	c.score = slices.Compact(c.score)
	for _, at := range c.score {
		c.value = append(c.value, share*interpolate(steps.score, steps.value, at)+(1-share)*(a+b*at))
	}
	return c
}

// line returns intercept and slope, not negative, of a line through v at s that few
// outliers do not bend: least squares with Huber's weights.
func line(s, v []float64) (a, b float64) {
	weight, size := make([]float64, len(s)), make([]float64, len(s))
	for i := range weight {
		weight[i] = 1
	}
	for range 5 {
		total, ms, mv := 0., 0., 0.
		for i, w := range weight {
			total += w
			ms += w * s[i]
			mv += w * v[i]
		}
		ms, mv = ms/total, mv/total
		variance, product := 0., 0.
		for i, w := range weight {
			variance += w * (s[i] - ms) * (s[i] - ms)
			product += w * (s[i] - ms) * (v[i] - mv)
		}
		b = 0
		if variance > 0 {
			b = max(product/variance, 0)
		}
		a = mv - b*ms
		for i := range s {
			size[i] = math.Abs(v[i] - a - b*s[i])
		}
		limit := 2 * middle(slices.Sorted(slices.Values(size)))
		for i := range weight {
			weight[i] = 1
			if size[i] > limit && limit > 0 {
				weight[i] = limit / size[i]
			}
		}
	}
	return a, b
}

// meanDeviation returns mean and standard deviation.
func meanDeviation(v []float64) (mean, deviation float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		deviation += (x - mean) * (x - mean) / float64(len(v))
	}
	return mean, math.Sqrt(deviation)
}
