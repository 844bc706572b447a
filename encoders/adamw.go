package encoders

import (
	"math"

	"archflow/encoders/kernels"
)

// adamFactors returns the factors of kernels.AdamW for step t, counted from 1.
func adamFactors(t int64, rate, weightDecay float64) (step, decay, correction float32) {
	step = float32(rate / (1 - math.Pow(kernels.Beta1, float64(t))))
	correction = float32(1 / math.Sqrt(1-math.Pow(kernels.Beta2, float64(t))))
	return step, float32(1 - rate*weightDecay), correction
}

// cosine falls from 1 to 0 as done goes to all.
func cosine(done, all int) float64 {
	return (1 + math.Cos(math.Pi*float64(done)/float64(all))) / 2
}
