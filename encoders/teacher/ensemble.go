package teacher

import (
	"context"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"archflow/encoders/kernels"
)

// ensemble is Gaussian processes on random halves of the columns, whose mean is
// one head's answer.
type ensemble struct {
	g         *geometry
	labelled  []int
	z         []float64
	kernel    *kernel
	processes []subspace
}

// subspace is one of the processes, on some columns and some labels.
type subspace struct {
	columns []column
	rows    []int // of the labels that it learns from
	probe   []int // of rows, for length and noise; nil where all of them decide
	at      []float32
	process *process
}

// newEnsemble draws the subspaces; they are not fitted yet.
func (g *geometry) newEnsemble(labelled []int, z, w []float64, kernel *kernel, count int, rng *rand.Rand) *ensemble {
	e := &ensemble{g: g, labelled: labelled, z: z, kernel: kernel}
	count = processes(count, len(z))
	if len(z) <= processLabels && !slices.ContainsFunc(g.blocks, func(b block) bool { return !b.single && b.width > 1 }) {
		count = 1 // all would be the same
	}
	for range count {
		s := subspace{columns: g.halves(w, rng), rows: draw(len(z), processLabels, rng)}
		if len(s.rows) > probeLabels {
			s.probe = draw(len(s.rows), probeLabels, rng)
		}
		e.processes = append(e.processes, s)
	}
	return e
}

// fit fits one of the processes.
func (e *ensemble) fit(ctx context.Context, pace func() int, i int) (err error) {
	pace()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s := &e.processes[i]
	s.at = e.g.gather(pick(e.labelled, s.rows), s.columns)
	d, target := distances(s.at, len(s.columns)), pick(e.z, s.rows)
	if s.probe == nil {
		s.process, err = fitProcess(d, target, e.kernel)
	} else {
		s.process, err = fitLarge(d, target, e.kernel, s.probe)
	}
	return err
}

// outOfFold returns the scores of the labelled networks, each by processes that were
// fitted without its label.
func (e *ensemble) outOfFold() []float64 {
	out := make([]float64, len(e.z))
	share := 1 / float64(len(e.processes))
	for i := range e.processes {
		s := &e.processes[i]
		for k, row := range s.rows {
			out[row] += s.process.leaveOneOut[k] * share
		}
		others := complement(len(e.z), s.rows)
		for k, score := range s.predict(e.g.blocks, pick(e.labelled, others)) {
			out[others[k]] += score * share
		}
	}
	return out
}

// predict returns the process's predictions for some networks.
func (s *subspace) predict(blocks []block, rows []int) []float64 {
	out := make([]float64, len(rows))
	for from := 0; from < len(rows); from += tileRows {
		to := min(from+tileRows, len(rows))
		newTile(blocks, rows[from:to]).add(out[from:to], s, 1)
	}
	return out
}

// predict adds the mean of all processes to dst, the scores of the networks of a
// tile.
func (e *ensemble) predict(dst []float64, t *tile) {
	for i := range e.processes {
		t.add(dst, &e.processes[i], 1/float64(len(e.processes)))
	}
}

// tileRows is how many networks are predicted together: their columns and the
// distances to the labelled fit into the second-level cache.
const tileRows = 256

// tile is the columns of some networks, each beside the other, so that a process
// finds its own as vectors.
type tile struct {
	rows, stride int // networks, and room for them that fills vectors
	start        []int
	values       []float32 // [columns][stride]
	squares      []float32

	own, products, chosen, sums []float32
	exact                       []float64
}

func newTile(blocks []block, rows []int) *tile {
	t := &tile{rows: len(rows), stride: (len(rows) + 15) &^ 15}
	width := 0
	for _, b := range blocks {
		t.start = append(t.start, width)
		width += b.width
	}
	t.values, t.squares = make([]float32, width*t.stride), make([]float32, width*t.stride)
	for k, b := range blocks {
		for i, row := range rows {
			to := t.start[k]*t.stride + i
			for _, v := range b.values[row*b.width : (row+1)*b.width] {
				t.values[to] = v
				to += t.stride
			}
		}
	}
	kernels.Squares(t.squares, t.values)
	t.own, t.sums = make([]float32, t.stride), make([]float32, t.stride)
	return t
}

// add adds share times the prediction of a process to dst [rows].
func (t *tile) add(dst []float64, s *subspace, share float64) {
	p, width, labels := s.process, len(s.columns), len(s.rows)
	t.products = grown(t.products, labels*t.stride)
	t.chosen = grown(t.chosen, width*t.stride)
	t.exact = grown(t.exact, len(dst))
	clear(t.exact)
	clear(t.own)
	clear(t.sums)
	points := make([]float32, len(s.at)) // scaled twice, as the columns here are not
	for j, c := range s.columns {
		at := (t.start[c.block] + c.at) * t.stride
		copy(t.chosen[j*t.stride:(j+1)*t.stride], t.values[at:at+t.stride])
		kernels.AddScaled(t.own, c.scale*c.scale, t.squares[at:at+t.stride])
		for i := range labels {
			points[i*width+j] = s.at[i*width+j] * c.scale
		}
	}
	blas32.Gemm(blas.NoTrans, blas.NoTrans, -2,
		blas32.General{Rows: labels, Cols: width, Stride: width, Data: points},
		blas32.General{Rows: width, Cols: t.stride, Stride: t.stride, Data: t.chosen}, 0,
		blas32.General{Rows: labels, Cols: t.stride, Stride: t.stride, Data: t.products})
	plane := p.plane(labels)
	for j, norm := range rowNorms(s.at, width) {
		d := t.products[j*t.stride : (j+1)*t.stride]
		kernels.Distances(d, t.own, norm)
		if p.kernel.smooth {
			t.addExact(plane.weights[j], d)
		} else {
			kernels.AddScaled(t.sums, float32(plane.weights[j]), d)
		}
		for l, alpha := range p.alpha {
			switch {
			case alpha == nil:
			case p.kernel.smooth:
				t.addSmooth(1/(p.median*p.lengths[l]*p.lengths[l]), alpha[j], d)
			default:
				kernels.AddMatern(t.sums, d, float32(3/(p.median*p.lengths[l]*p.lengths[l])), float32(alpha[j]))
			}
		}
	}
	for i := range dst {
		dst[i] += share * (plane.constant + float64(t.sums[i]) + t.exact[i])
	}
}

// addExact and addSmooth add the contribution of a labelled network at squared distances
// d through the smooth kernel, the linear part and the rest. Its weights are large and
// cancel, which needs full precision.
func (t *tile) addExact(weight float64, d []float32) {
	for i := range t.exact {
		t.exact[i] += weight * float64(d[i])
	}
}

func (t *tile) addSmooth(decays, alpha float64, d []float32) {
	for i := range t.exact {
		t.exact[i] += alpha * smooth.at(decays*float64(d[i]))
	}
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
