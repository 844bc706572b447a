package teacher

import (
	"math"
	"slices"
)

// A Gaussian process with kernel a(m(d/l) + slope·c + constant) + a·noise on the
// diagonal, m Matérn 3/2 and c linear (centre.go): m falls back to the mean where
// labels are rare, as they are near the best networks, and c goes on. The scale a
// is at its optimum in closed form; length l (in units of the median distance) and
// noise are averaged over a grid, each weighted by its evidence.

// kernel is the exponent m and the grid of lengths and noises.
type kernel struct {
	smooth  bool // the squared exponential in place of Matérn 3/2
	lengths []float64
	noises  []float64
}

var (
	rough = &kernel{false, []float64{0.7, 1, 1.4, 2, 2.8}, []float64{0.003, 0.01, 0.03, 0.1, 0.3}}
	// smooth is for effects that add up, and for those of two things together: at
	// great lengths it is little else. Differences are then small beside 1, and so is
	// the noise.
	smooth = &kernel{true, []float64{1, 1.4, 2, 2.8, 4}, []float64{1e-5, 1e-4, 0.001, 0.01, 0.1}}
)

// at returns the kernel for a squared distance in units of the length's.
func (k *kernel) at(d float64) float64 {
	if k.smooth {
		return decay(max(d, 0) / 2)
	}
	return matern(d)
}

const (
	slope    = 0.3
	constant = 10.0
)

// process is a fitted Gaussian process.
type process struct {
	kernel      *kernel
	centre      centre
	median      float64 // of the squared distances
	lengths     []float64
	alpha       [][]float64 // of each length, nil where its weight is negligible
	evidence    float64     // largest of the grid, constants left out
	leaveOneOut []float64   // leave-one-out means
}

// matern returns the kernel for a squared distance.
func matern(d float64) float64 {
	s := math.Sqrt(3 * max(d, 0))
	return (1 + s) * decay(s)
}

// spectra are the kernels of squared distances, length by length, as tridiagonal
// matrices; any number of targets and noises can then be fitted at little cost.
type spectra struct {
	n       int
	kernel  *kernel
	centre  centre
	median  float64 // of the squared distances
	lengths []float64
	kernels []*tridiagonal
}

// newSpectra factorises the kernels of squared distances d [n, n].
func newSpectra(d []float64, n int, kernel *kernel) (*spectra, error) {
	s := &spectra{n: n, kernel: kernel, centre: newCentre(d, n), median: medianDistance(d, n), lengths: kernel.lengths}
	for _, length := range kernel.lengths {
		k := make([]float64, n*n)
		for i := range n {
			for j := range i + 1 {
				k[i*n+j] = kernel.at(d[i*n+j]/(s.median*length*length)) + s.centre.between(d, i, j)
			}
		}
		t, err := newTridiagonal(k, n)
		if err != nil {
			return nil, err
		}
		s.kernels = append(s.kernels, t)
	}
	return s, nil
}

// evidence returns the logarithm of the density of z for one length and noise,
// at the best scale and without constants; rotated is z in the basis of its
// tridiagonal matrix.
func (s *spectra) evidence(rotated []float64, length int, noise float64) float64 {
	fit, logdet := s.kernels[length].density(rotated, noise)
	return -0.5*float64(s.n)*math.Log(max(fit, 1e-300)/float64(s.n)) - 0.5*logdet
}

// grid returns the rotated targets of every length, and the evidence of every
// length and noise with its largest.
func (s *spectra) grid(z []float64) (rotated, evidence [][]float64, largest float64) {
	largest = math.Inf(-1)
	for l := range s.lengths {
		rotated = append(rotated, s.kernels[l].rotate(z))
		row := make([]float64, len(s.kernel.noises))
		for i, noise := range s.kernel.noises {
			row[i] = s.evidence(rotated[l], l, noise)
			largest = max(largest, row[i])
		}
		evidence = append(evidence, row)
	}
	return rotated, evidence, largest
}

// negligible is the weight below which a length is left out.
const negligible = 0.05

// fit returns the process for targets z, averaged over the grid by evidence.
func (s *spectra) fit(z []float64) *process {
	n := s.n
	rotated, evidence, largest := s.grid(z)
	p := &process{kernel: s.kernel, centre: s.centre, median: s.median, lengths: s.lengths, alpha: make([][]float64, len(s.lengths)), evidence: largest, leaveOneOut: make([]float64, n)}
	total, of := 0.0, make([]float64, len(s.lengths))
	for l, row := range evidence {
		for _, e := range row {
			of[l] += math.Exp(e - largest)
		}
		total += of[l]
	}
	used := 0.0
	for l := range of {
		if of[l] /= total; of[l] >= negligible {
			used += of[l]
		}
	}
	for l, row := range evidence {
		if of[l] < negligible {
			continue
		}
		p.alpha[l] = make([]float64, n)
		for k, noise := range s.kernel.noises {
			w := math.Exp(row[k]-largest) / total / used
			if w < 1e-4 {
				continue
			}
			alpha, diagonal := s.kernels[l].solve(rotated[l], noise)
			for i, a := range alpha {
				p.alpha[l][i] += w * a
				p.leaveOneOut[i] += w * (z[i] - a/diagonal[i])
			}
		}
	}
	return p
}

// fitProcess fits targets z at points with squared distances d [n, n].
func fitProcess(d, z []float64, kernel *kernel) (*process, error) {
	s, err := newSpectra(d, len(z), kernel)
	if err != nil {
		return nil, err
	}
	return s.fit(z), nil
}

// medianDistance returns the median of the upper triangle of d [n, n], at least
// a little.
func medianDistance(d []float64, n int) float64 {
	upper := make([]float64, 0, n*(n-1)/2)
	for i := range n {
		upper = append(upper, d[i*n+i+1:(i+1)*n]...)
	}
	if len(upper) == 0 {
		return 1
	}
	slices.Sort(upper)
	if m := (upper[(len(upper)-1)/2] + upper[len(upper)/2]) / 2; m > 1e-12 {
		return m
	}
	return max(upper[len(upper)-1], 1e-12)
}

// decays holds exp(-i/64), far enough to be nothing.
var decays = func() (t [40*64 + 1]float64) {
	for i := range t {
		t[i] = math.Exp(-float64(i) / 64)
	}
	return t
}()

// decay returns exp(-s) for s >= 0 to nine digits, and 0 beyond 40.
func decay(s float64) float64 {
	if s >= 40 {
		return 0
	}
	i := int(s * 64)
	r := s - float64(i)/64
	return decays[i] * (1 - r*(1-r*(0.5-r/6)))
}

// rowNorms returns the squared length of each row of x.
func rowNorms(x []float32, width int) []float32 {
	out := make([]float32, len(x)/width)
	for i := range out {
		s := 0.0
		for _, v := range x[i*width : (i+1)*width] {
			s += float64(v) * float64(v)
		}
		out[i] = float32(s)
	}
	return out
}

// distances returns the squared distances between the rows of x [n, width].
func distances(x []float32, width int) []float64 {
	n := len(x) / width
	d := make([]float64, n*n)
	for i := range n {
		a := x[i*width : (i+1)*width]
		for j := range i {
			b, s := x[j*width:(j+1)*width], float32(0)
			for k, v := range a {
				e := v - b[k]
				s += e * e
			}
			d[i*n+j], d[j*n+i] = float64(s), float64(s)
		}
	}
	return d
}
