package learner

import (
	"math"

	"archflow/encoders/metrics"
)

const (
	// minRandom is how many pairs a correction needs.
	minRandom = 10
	// edge keeps the quantiles of the best and the worst finite, in percent.
	edge = .005
)

// random estimates the Kendall tau that labels of candidates drawn at random would
// have, and its standard error.
//
// A search labels the candidates with the best predictions, and in a narrow range of
// predictions the order of the labels is mostly noise: their tau is low however good the
// predictions are over all candidates. The predicted percentiles measure the range: as
// quantiles of the normal distribution they have a standard deviation of one among
// candidates at random. Assuming that labels depend on them linearly with even noise,
// this is the correction for a selection by the predictor. Source: Thorndike 1949, case
// 2; tau and correlation of a normal distribution are related by sin(pi tau / 2), Kruskal
// 1958.
func (h *prequential) random() (tau, err float64) {
	var z, actual []float64
	for i, p := range h.Percentile {
		if !math.IsNaN(p) {
			z = append(z, math.Sqrt2*math.Erfinv(min(max(p, edge), 100-edge)/50-1))
			actual = append(actual, h.Actual[i])
		}
	}
	n := float64(len(z))
	if n < minRandom {
		return math.NaN(), math.NaN()
	}
	wide := 1 / deviation(z)
	chosen := metrics.KendallTau(actual, z)
	if math.IsInf(wide, 0) || math.IsNaN(chosen) {
		return math.NaN(), math.NaN()
	}
	correct := func(tau float64) float64 {
		r := math.Sin(math.Pi / 2 * min(max(tau, -1), 1))
		return 2 / math.Pi * math.Asin(r*wide/math.Sqrt(1+r*r*(wide*wide-1)))
	}
	noise := math.Sqrt(2 * (2*n + 5) / (9 * n * (n - 1))) // of tau without any correlation, which is when it is largest
	return correct(chosen), (correct(chosen+noise) - correct(chosen-noise)) / 2
}

// deviation is the sample standard deviation.
func deviation(x []float64) float64 {
	mean, squares := 0., 0.
	for i, v := range x {
		d := v - mean
		mean += d / float64(i+1)
		squares += d * (v - mean)
	}
	return math.Sqrt(squares / float64(len(x)-1))
}
