package ops

import (
	"math"
	"math/rand/v2"
	"sync"
)

// Projection keeps a fair sample of a stream of vectors and places it on its
// first two principal components. Add costs a few nanoseconds for a vector that
// is not drawn into the sample, and Points a few passes over the sample.
type Projection struct {
	mu     sync.Mutex
	random *rand.Rand
	size   int
	width  int // of a vector; 0 before the first
	seen   int64
	sample []float32 // [n, width]
	shade  []float32
	axes   [2][]float64 // unit vectors, kept so that the picture does not jump
	equal  bool         // every component counts in units of its deviation
}

// NewProjection returns an empty projection that keeps size vectors.
func NewProjection(size int, seed uint64) *Projection {
	return &Projection{size: size, random: rand.New(rand.NewPCG(seed, 0x6d6170))}
}

// Equal makes every component count in units of its deviation over the sample,
// as those that have nothing in common should.
func (p *Projection) Equal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.equal = true
}

// Add offers a vector, which is copied when it is kept, and the value that colours it. A
// vector that is not finite or has another length than the first is dropped.
func (p *Projection) Add(vector []float32, shade float32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width == 0 {
		p.width = len(vector)
	}
	if len(vector) != p.width || p.width == 0 {
		return
	}
	// Algorithm R: every vector of the stream is in the sample with the same
	// probability.
	at := len(p.shade)
	if at == p.size {
		at = int(p.random.Int64N(p.seen + 1))
	}
	if at >= p.size {
		p.seen++
		return
	}
	for _, x := range vector {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return
		}
	}
	p.seen++
	if at == len(p.shade) {
		p.sample = append(p.sample, vector...)
		p.shade = append(p.shade, shade)
		return
	}
	copy(p.sample[at*p.width:], vector)
	p.shade[at] = shade
}

// Points returns the sample on its two principal components, the larger coordinate
// scaled to 1, and the number of vectors that were offered.
func (p *Projection) Points() ([]MapPoint, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.shade)
	points := make([]MapPoint, n)
	if n == 0 {
		return points, p.seen
	}
	mean := make([]float64, p.width)
	for i := range n {
		for j, x := range p.row(i) {
			mean[j] += float64(x) / float64(n)
		}
	}
	scale := p.scales(mean)
	p.iterate(mean, scale)
	largest := 0.0
	var at [2]float64
	placed := make([][2]float64, n)
	for i := range n {
		for a := range p.axes {
			at[a] = 0
			for j, x := range p.row(i) {
				at[a] += (float64(x) - mean[j]) * scale[j] * p.axes[a][j]
			}
			largest = max(largest, math.Abs(at[a]))
		}
		placed[i] = at
	}
	if largest == 0 {
		largest = 1
	}
	for i, at := range placed {
		points[i] = MapPoint{float32(at[0] / largest), float32(at[1] / largest), p.shade[i]}
	}
	return points, p.seen
}

func (p *Projection) row(i int) []float32 { return p.sample[i*p.width : (i+1)*p.width] }

// scales returns the factor of each component.
func (p *Projection) scales(mean []float64) []float64 {
	scale := make([]float64, p.width)
	for i := range len(p.shade) {
		for j, x := range p.row(i) {
			scale[j] += (float64(x) - mean[j]) * (float64(x) - mean[j]) / float64(len(p.shade))
		}
	}
	for j, variance := range scale {
		switch {
		case !p.equal:
			scale[j] = 1
		case variance > 0:
			scale[j] = 1 / math.Sqrt(variance)
		}
	}
	return scale
}

// iterate turns the axes towards the two largest eigenvectors of the sample's
// covariance by orthogonal iteration, from where they were.
func (p *Projection) iterate(mean, scale []float64) {
	passes := 4
	if p.axes[0] == nil {
		passes = 30
		for a := range p.axes {
			p.axes[a] = make([]float64, p.width)
			for j := range p.axes[a] {
				p.axes[a][j] = p.random.NormFloat64()
			}
		}
		orthonormal(p.axes)
	}
	centred := make([]float64, p.width)
	for range passes {
		next := [2][]float64{make([]float64, p.width), make([]float64, p.width)}
		for i := range len(p.shade) {
			for j, x := range p.row(i) {
				centred[j] = (float64(x) - mean[j]) * scale[j]
			}
			for a := range next {
				along := 0.0
				for j, x := range centred {
					along += x * p.axes[a][j]
				}
				for j, x := range centred {
					next[a][j] += along * x
				}
			}
		}
		for a := range next {
			if length(next[a]) > 0 { // a sample without any spread keeps its axes
				p.axes[a] = next[a]
			}
		}
		orthonormal(p.axes)
	}
}

// orthonormal makes a[1] orthogonal to a[0] and both of length 1. An axis that
// has no direction of its own becomes zero.
func orthonormal(a [2][]float64) {
	normalise(a[0])
	dot, before := 0.0, length(a[1])
	for j := range a[1] {
		dot += a[0][j] * a[1][j]
	}
	for j := range a[1] {
		a[1][j] -= dot * a[0][j]
	}
	if length(a[1]) < 1e-12*before {
		clear(a[1])
	}
	normalise(a[1])
}

func normalise(v []float64) {
	if l := length(v); l > 0 {
		for j := range v {
			v[j] /= l
		}
	}
}

func length(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x * x
	}
	return math.Sqrt(s)
}
