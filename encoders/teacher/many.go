package teacher

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// With many labels, choices by evidence use probeLabels of them, and each Gaussian
// process is fitted, for one length and noise, to a random part of at most processLabels;
// fewer processes are averaged. The trees use all labels.

const (
	probeLabels   = 300
	processLabels = 1500
)

// draw returns at most limit of n row numbers, in order.
func draw(n, limit int, rng *rand.Rand) []int {
	if n <= limit {
		return all(n)
	}
	rows := rng.Perm(n)[:limit]
	slices.Sort(rows)
	return rows
}

// pick returns the values of the rows.
func pick[T any](values []T, rows []int) []T {
	out := make([]T, len(rows))
	for k, i := range rows {
		out[k] = values[i]
	}
	return out
}

// processes returns how many of count processes are worth their time with that many
// labels.
func processes(count, labels int) int {
	return max(count*probeLabels/max(labels, probeLabels), min(count, 4))
}

// best returns the length and the noise of the most evidence for z.
func (s *spectra) best(z []float64) (length, noise float64) {
	_, evidence, largest := s.grid(z)
	for l, row := range evidence {
		for k, e := range row {
			if e == largest {
				return s.lengths[l], s.kernel.noises[k]
			}
		}
	}
	return 1, s.kernel.noises[len(s.kernel.noises)-1]
}

// fitOne fits targets z at points with squared distances d [n, n], for one
// length in units of the given median, and one noise.
func fitOne(d, z []float64, kernel *kernel, median, length, noise float64) (*process, error) {
	n := len(z)
	c := newCentre(d, n)
	k := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			k.SetSym(i, j, kernel.at(d[i*n+j]/(median*length*length))+c.between(d, i, j))
		}
		k.SetSym(i, i, k.At(i, i)+noise)
	}
	var chol mat.Cholesky
	if !chol.Factorize(k) {
		return nil, errNotConverged
	}
	p := &process{kernel: kernel, centre: c, median: median, lengths: []float64{length}, alpha: [][]float64{make([]float64, n)}, leaveOneOut: make([]float64, n)}
	alpha := mat.NewVecDense(n, p.alpha[0])
	if err := chol.SolveVecTo(alpha, mat.NewVecDense(n, z)); err != nil {
		return nil, errNotConverged
	}
	var inverse mat.SymDense
	if err := chol.InverseTo(&inverse); err != nil {
		return nil, errNotConverged
	}
	for i := range n {
		p.leaveOneOut[i] = z[i] - p.alpha[0][i]/inverse.At(i, i)
	}
	p.evidence = -0.5*float64(n)*math.Log(max(mat.Dot(alpha, mat.NewVecDense(n, z)), 1e-300)/float64(n)) - 0.5*chol.LogDet()
	return p, nil
}

// fitLarge fits targets z at points with squared distances d [n, n] for the length and noise
// that the rows of probe ask for.
func fitLarge(d, z []float64, kernel *kernel, probe []int) (*process, error) {
	n := len(z)
	small := make([]float64, 0, len(probe)*len(probe))
	for _, i := range probe {
		for _, j := range probe {
			small = append(small, d[i*n+j])
		}
	}
	s, err := newSpectra(small, len(probe), kernel)
	if err != nil {
		return nil, err
	}
	length, noise := s.best(pick(z, probe))
	return fitOne(d, z, kernel, s.median, length, noise)
}

// complement returns the numbers below n that are not among the sorted rows.
func complement(n int, rows []int) []int {
	var out []int
	for i := range n {
		if len(rows) > 0 && rows[0] == i {
			rows = rows[1:]
			continue
		}
		out = append(out, i)
	}
	return out
}
