package calibration

import (
	"math"
	"slices"

	"archflow/encoders/metrics"
)

// The probability of belonging to the best follows from the agreement of scores and
// labels there. On the scale of normal quantiles of their ranks a label is taken for
// agreement*score plus noise, which makes one of a share q of everything with a score z
// pass the limit c = quantile(1 - q) with probability phi((agreement*z - c)/sqrt(1 -
// agreement^2)). Over all of the model's networks these add up to q.

const (
	topShare = .01
	// topHarder shrinks the agreement, in Fisher's z, that labels near the top show: from
	// there to the best of all they agree less and less; and topDoubt subtracts that many
	// deviations of the estimate from few labels.
	topHarder, topDoubt = .9, .5
	// topWider widens the errors of values, which are larger beyond the best label. All
	// three were found on draws of 20 to 100 labels of eight spaces.
	topWider = 1.2
	// mostAgreement keeps scores without errors from being certain.
	mostAgreement = .985
)

// topLimit is the limit that the best topShare pass.
var topLimit = metrics.NormalQuantile(1 - topShare)

// topLimits are the shares at which agreement is looked for in few labels.
var topLimits = [...]float64{.05, .1, .2}

// Top returns the probability that a network of this score is among the best 1 % of the
// model's networks; NaN where that is not known.
func (c *Map) Top(score float64) float64 { return c.TopAt(c.percentile(score)) }

// TopAt is Top of a score whose percentile is known.
func (c *Map) TopAt(percentile float64) float64 {
	if c.Agreement == nil {
		return math.NaN()
	}
	return topProbability(metrics.NormalQuantile(min(max(percentile/100, 1e-4), 1-1e-4)), *c.Agreement, topLimit)
}

// topProbability returns the probability that a network of score z passes a limit.
func topProbability(z, agreement, limit float64) float64 {
	return math.Erfc((limit-agreement*z)/math.Sqrt(2*(1-agreement*agreement))) / 2
}

// agreementOfLabels estimates the agreement from the labels that pass the limits, on the
// cautious side. It starts from Kendall's tau of all labels; y is turned so that more is
// better, all is ascending.
func agreementOfLabels(outOfFold, y, all []float64) float64 {
	const loose = .5 // deviation of Fisher's z around that of tau
	tau := metrics.KendallTau(outOfFold, y)
	if len(y) < 5 || !(tau > 0) {
		return 0
	}
	prior := min(math.Atanh(math.Sin(math.Pi/2*tau)), 3)
	z, label := make([]float64, len(y)), metrics.RankGauss(y)
	of := Map{Seen: all}
	for i, s := range outOfFold {
		z[i] = metrics.NormalQuantile(min(max(of.percentile(s)/100, 1e-4), 1-1e-4))
	}
	evidence := func(fisher float64) float64 {
		e, r := (fisher-prior)/loose, math.Tanh(fisher)
		sum := -e * e / 2
		for _, q := range topLimits {
			limit := metrics.NormalQuantile(1 - q)
			for i := range z {
				p := min(max(topProbability(z[i], r, limit), 1e-4), 1-1e-4)
				if label[i] <= limit {
					p = 1 - p
				}
				sum += math.Log(p) / float64(len(topLimits))
			}
		}
		return sum
	}
	const steps, step = 31, .1
	var logs [steps]float64
	for k := range logs {
		logs[k] = evidence(step * float64(k))
	}
	largest := slices.Max(logs[:])
	total, mean, square := 0., 0., 0.
	for k, e := range logs {
		w, fisher := math.Exp(e-largest), step*float64(k)
		total += w
		mean += w * fisher
		square += w * fisher * fisher
	}
	mean /= total
	deviation := math.Sqrt(max(square/total-mean*mean, 0))
	return math.Tanh(max(topHarder*mean-topDoubt*deviation, 0))
}

// agreementOfValues returns the agreement at which the best topShare of all scores has the
// expected share of the best labels that follows from values and deviations: where labels
// crowd below a limit the best are hard to tell apart, however well the others are.
func (c *Map) agreementOfValues() float64 {
	value, deviation := make([]float64, len(c.Seen)), make([]float64, len(c.Seen))
	for i, s := range c.Seen {
		value[i] = interpolate(c.Score, c.Value, s)
		deviation[i] = topWider * max(*c.Deviation, 1e-9) * c.Shape.scale(s, 0)
	}
	best := len(c.Seen) - max(len(c.Seen)/int(1/topShare), 1)
	share := func(from int, limit float64) float64 {
		sum := 0.
		for i := from; i < len(value); i++ {
			sum += math.Erfc((limit-value[i])/deviation[i]/math.Sqrt2) / 2
		}
		return sum / float64(len(value)-from)
	}
	reach := 10 * slices.Max(deviation)
	limit := bisect(slices.Min(value)-reach, slices.Max(value)+reach, func(limit float64) bool { return share(0, limit) > topShare })
	expected := share(best, limit)
	return bisect(0, mostAgreement, func(agreement float64) bool {
		const steps = 50
		sum := 0.
		for k := range steps {
			z := metrics.NormalQuantile(1 - topShare*(float64(k)+.5)/steps)
			sum += topProbability(z, agreement, topLimit) / steps
		}
		return sum < expected
	})
}

// limitAgreement takes the lesser of the agreement and that of values: labels can show
// agreement by chance, and values can be less sure than their errors.
func (c *Map) limitAgreement() {
	if c.Agreement != nil && *c.Agreement > 0 && len(c.Seen) > 0 {
		least := min(*c.Agreement, c.agreementOfValues())
		c.Agreement = &least
	}
}

// bisect returns where below stops being true between two values.
func bisect(low, high float64, below func(float64) bool) float64 {
	for range 60 {
		if middle := low + (high-low)/2; below(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// turned returns y so that more is better.
func turned(y []float64, minimise bool) []float64 {
	out := slices.Clone(y)
	if minimise {
		for i := range out {
			out[i] = -out[i]
		}
	}
	return out
}
