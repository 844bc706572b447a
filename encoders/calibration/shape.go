package calibration

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Shape is the scale of labels on which their errors are alike, and how these
// depend on the score and on how unsure the model is of the candidate.
type Shape struct {
	// Labels, over Unit, count as -log(Limit - label). Unit is negative where less
	// of the label is better.
	Limit float64 `json:"limit"`
	Unit  float64 `json:"unit"`
	// Lowest is where the scale begins: below it labels go on in a line, because nothing
	// was seen there of how their errors grow. It is nil in models from before.
	Lowest *float64 `json:"lowest,omitempty"`
	// Size [4] holds the coefficients of the logarithm of the scale of errors: a
	// constant, u and u² - 1 of the score's distance u from Centre in units of
	// Width, and the candidate's spread.
	Size   [4]float64 `json:"size"`
	Centre float64    `json:"centre"`
	Width  float64    `json:"width"`
	Sure   float64    `json:"sure"` // the spread counts from here
	Unsure float64    `json:"unsure"`
}

const (
	farScores = 2.5 // widths from the centre beyond which scores are alike
	farSpread = .3  // beyond those of the labels, spreads are alike from here
	farLabels = 1   // deviations of the labels below the worst of them, where the scale begins
)

// flat returns where a label over Unit is on the scale.
func (p *Shape) flat(v float64) float64 { return -math.Log(p.Limit - v) }

// label returns the label that is at z on the scale.
func (p *Shape) label(z float64) float64 {
	distance := math.Exp(-z)
	if p.Lowest != nil && z < *p.Lowest {
		distance = math.Exp(-*p.Lowest) * (1 + *p.Lowest - z)
	}
	return Finite(p.Unit * (p.Limit - distance))
}

// begin puts the beginning of the scale below labels z.
func (p *Shape) begin(z []float64) {
	_, deviation := meanDeviation(z)
	lowest := slices.Min(z) - farLabels*deviation
	p.Lowest = &lowest
}

// features writes the features of the scale of errors.
func (p *Shape) features(score, spread float64) [4]float64 {
	if math.IsNaN(spread) {
		spread = 0
	}
	u := min(max((score-p.Centre)/p.Width, -farScores), farScores)
	return [4]float64{1, u, u*u - 1, min(max(spread, p.Sure), p.Unsure)}
}

// scale returns the scale of errors.
func (p *Shape) scale(score, spread float64) float64 {
	sum := 0.
	for k, x := range p.features(score, spread) {
		sum += p.Size[k] * x
	}
	return math.Exp(sum)
}

func (p *Shape) check() error {
	if p == nil {
		return nil
	}
	values := append(p.Size[:], p.Limit, p.Unit, p.Centre, p.Sure, p.Unsure)
	if p.Lowest != nil {
		values = append(values, *p.Lowest)
	}
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errCalibration
		}
	}
	if p.Unit == 0 || !(p.Width > 0) || p.Sure > p.Unsure {
		return errCalibration
	}
	return nil
}

// limits are how far above the best label the limit of the scale may be, in units
// of the distance from the median to the best. The odds of each without labels are as
// this distance, so that a few labels by chance do not make a scale on which an interval
// is a thousand times as long as they are apart.
var limits = []float64{.2, .4, .7, 1, 2, 4, 10, 100}

// bestLimit returns the limit of the scale on which labels v, more is better, are
// likeliest around a line over the scores s with errors of one size.
func bestLimit(s, v []float64) float64 {
	top, bottom := slices.Max(v), slices.Min(v)
	spread := max(top-middle(slices.Sorted(slices.Values(v))), .1*(top-bottom))
	if !(spread > 1e-14*max(math.Abs(top), math.Abs(bottom))) {
		return top + max(math.Abs(top), 1e-300)
	}
	largest, best := math.Inf(-1), 0.
	for _, share := range limits {
		p := Shape{Limit: top + share*spread}
		z, jacobian := make([]float64, len(v)), 0.
		for i, x := range v {
			z[i] = p.flat(x)
			jacobian += z[i]
		}
		a, b := line(s, z)
		size := 0.
		for i := range z {
			size += math.Abs(z[i]-a-b*s[i]) / float64(len(z))
		}
		if likely := jacobian - float64(len(z))*math.Log(max(size, 1e-12)) + math.Log(share); likely > largest {
			largest, best = likely, p.Limit
		}
	}
	return best
}

// Moments of the coefficients of Size without labels, the constant left out.
var (
	sizeMean      = [4]float64{0, 0, 0, .5}
	sizePrecision = [4]float64{0, 1 / (.3 * .3), 1 / (.2 * .2), 1 / (.4 * .4)}
)

// fit finds the sizes at which residuals of a double exponential distribution are
// likeliest, given scores s and spreads t, and returns the scale of each.
func (p *Shape) fit(s, t, residual []float64) []float64 {
	n := len(s)
	p.Centre = middle(slices.Sorted(slices.Values(s)))
	if _, p.Width = meanDeviation(s); !(p.Width > 0) {
		p.Width = 1
	}
	p.Sure, p.Unsure = slices.Min(t)-farSpread, slices.Max(t)+farSpread
	features := make([][4]float64, n)
	mean := 0.
	for i := range features {
		features[i] = p.features(s[i], t[i])
		mean += math.Abs(residual[i]) / float64(n)
	}
	p.Size = sizeMean
	p.Size[0] = math.Log(max(mean, 1e-12))
	floor := 1e-3 * max(mean, 1e-12) // of a residual that is nothing by chance
	p.climb(features, residual, floor)
	scale := make([]float64, n)
	for i := range scale {
		scale[i] = p.scale(s[i], t[i])
	}
	p.Size[0] += math.Log1p(2.5 / float64(n)) // for the degrees of freedom of this fit
	return scale
}

// climb takes Newton's steps to the most likely sizes; the likelihood has one top.
func (p *Shape) climb(features [][4]float64, residual []float64, floor float64) {
	cost := func(size *[4]float64) float64 {
		sum := 0.
		for k, m := range sizeMean {
			sum += sizePrecision[k] * (size[k] - m) * (size[k] - m) / 2
		}
		for i, x := range features {
			log := size[0]*x[0] + size[1]*x[1] + size[2]*x[2] + size[3]*x[3]
			sum += log + max(math.Abs(residual[i]), floor)*math.Exp(-log)
		}
		return sum
	}
	now := cost(&p.Size)
	for range 30 {
		gradient, hessian := mat.NewVecDense(4, nil), mat.NewSymDense(4, nil)
		for k, m := range sizeMean {
			gradient.SetVec(k, sizePrecision[k]*(p.Size[k]-m))
			hessian.SetSym(k, k, sizePrecision[k]+1e-9)
		}
		for i, x := range features {
			w := max(math.Abs(residual[i]), floor) * math.Exp(-(p.Size[0]*x[0] + p.Size[1]*x[1] + p.Size[2]*x[2] + p.Size[3]*x[3]))
			for k := range x {
				gradient.SetVec(k, gradient.AtVec(k)+x[k]*(1-w))
				for j := k; j < 4; j++ {
					hessian.SetSym(k, j, hessian.At(k, j)+w*x[k]*x[j])
				}
			}
		}
		var chol mat.Cholesky
		var step mat.VecDense
		if !chol.Factorize(hessian) || chol.SolveVecTo(&step, gradient) != nil {
			return
		}
		share, better := 1., false
		for range 12 {
			next := p.Size
			for k := range next {
				next[k] -= share * step.AtVec(k)
			}
			if c := cost(&next); c < now-1e-9 {
				p.Size, now, better = next, c, true
				break
			}
			share /= 2
		}
		if !better {
			return
		}
	}
}
