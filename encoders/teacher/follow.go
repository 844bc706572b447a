package teacher

import (
	"math"
	"math/rand/v2"
	"slices"
)

// A task of few labels is mostly what related labels predict, up to a slope, and a
// deviation that the networks explain. So a Gaussian process of the deviation gets the
// term size·r·r' in its kernel, r being the predictions. Evidence averages over sizes,
// and over whether there is such a term at all.

var (
	// relatedSizes are in variances of the deviation.
	relatedSizes = []float64{0, 1, 3, 10, 30, 100}
	// relatedNoises are too: beside a task that differs little from a related one the
	// deviation is small, and so it is beside its noise.
	relatedNoises = []float64{0.01, 0.03, 0.1, 0.3, 1, 3}
)

// follow blends r, learnt from few labels alone, with a process that follows the related
// block, by the probability that the block has no part in the labels.
func (f *Features) follow(r *Result, labelled []int, y []float64, o Options) error {
	f = f.asAsked(labelled, o.Failed, o.Seed)
	believed := r.Believed(len(y))
	rows, y := pick(labelled, believed), pick(inRange(y), believed)
	c, _, err := f.bestView(rows, y, o)
	if err != nil || c == nil || c.g.block(relatedBlock) == nil {
		return err
	}
	head, none, err := c.following(rows)
	if err != nil {
		return err
	}
	spread, spreadOutOfFold, _, err := c.g.spread(o.Pace, rows, c.z, c.w, c.kernel, rand.New(rand.NewPCG(o.Seed, 5)))
	if err != nil {
		return err
	}
	none = max(none, 0.01)
	r.Related = (1 - none) / none
	own, other := scaleOf(r.Score), scaleOf(head.all)
	outOfFold, unsure := pick(head.all, labelled), pick(spread, labelled) // of labels not learnt from
	for k, i := range believed {
		outOfFold[i], unsure[i] = head.outOfFold[k], spreadOutOfFold[k]
	}
	for i, v := range r.Score {
		r.Score[i] = own.at(v) + r.Related*other.at(head.all[i])
	}
	for i, v := range r.OutOfFold {
		r.OutOfFold[i] = own.at(v) + r.Related*other.at(outOfFold[i])
	}
	r.Spread, r.OutOfFoldSpread = mixed(r.Spread, spread, r.Related), mixed(r.OutOfFoldSpread, unsure, r.Related)
	return nil
}

// following returns the scores of the process with the term, and the probability that
// there is none.
func (c *choice) following(labelled []int) (s scores, none float64, err error) {
	n, related := len(labelled), c.g.block(relatedBlock)
	columns := c.g.everything(c.w)
	at := c.g.gather(labelled, columns)
	d := distances(at, len(columns))
	p := &process{kernel: c.kernel, centre: newCentre(d, n), median: medianDistance(d, n), lengths: c.kernel.lengths}
	grid, err := p.relatedFits(d, c.z, related.product(labelled))
	if err != nil {
		return s, 0, err
	}
	with, without := 0.0, 0.0
	for _, x := range grid {
		if x.size > 0 {
			with += x.weight
		} else {
			without += x.weight
		}
	}
	slopes := make([]float64, related.width)
	s = scores{make([]float64, c.g.rows), make([]float64, n)}
	p.alpha = make([][]float64, len(p.lengths))
	for l := range p.alpha {
		p.alpha[l] = make([]float64, n)
	}
	for _, x := range grid {
		if x.size == 0 {
			continue
		}
		w := x.weight / with
		for i, a := range x.alpha {
			p.alpha[x.length][i] += w * a
			s.outOfFold[i] += w * x.leaveOneOut[i]
			for k := range slopes {
				slopes[k] += w * x.size * a * related.at(labelled[i], k)
			}
		}
	}
	process := subspace{columns: columns, rows: all(n), at: at, process: p}
	copy(s.all, process.predict(c.g.blocks, all(c.g.rows)))
	for i := range s.all {
		for k, slope := range slopes {
			s.all[i] += slope * related.at(i, k)
		}
	}
	return s, without / (without + with), nil
}

// relatedFit is the process at one point of the grid.
type relatedFit struct {
	length             int
	size, weight       float64 // weight up to a factor
	alpha, leaveOneOut []float64
}

// relatedFits fits targets z at points with squared distances d and related products
// [n, n], with every length, size of the term, and noise.
func (p *process) relatedFits(d, z, product []float64) ([]relatedFit, error) {
	n := len(z)
	var grid []relatedFit
	var evidence []float64
	for l, length := range p.lengths {
		for _, size := range relatedSizes {
			k := make([]float64, n*n)
			for i := range n {
				for j := range i + 1 {
					k[i*n+j] = p.kernel.at(d[i*n+j]/(p.median*length*length)) + p.centre.between(d, i, j) + size*product[i*n+j]
				}
			}
			t, err := newTridiagonal(k, n)
			if err != nil {
				return nil, err
			}
			rotated := t.rotate(z)
			for _, noise := range relatedNoises {
				fit, logdet := t.density(rotated, noise)
				evidence = append(evidence, -0.5*float64(n)*math.Log(max(fit, 1e-300)/float64(n))-0.5*logdet)
				alpha, diagonal := t.solve(rotated, noise)
				x := relatedFit{length: l, size: size, alpha: alpha, leaveOneOut: make([]float64, n)}
				for i, a := range alpha {
					x.leaveOneOut[i] = z[i] - a/diagonal[i]
				}
				grid = append(grid, x)
			}
		}
	}
	largest := slices.Max(evidence)
	for i := range grid {
		grid[i].weight = math.Exp(evidence[i] - largest)
	}
	return grid, nil
}

// block returns the block of a name, nil where there is none.
func (g *geometry) block(name string) *block {
	i := slices.IndexFunc(g.blocks, func(b block) bool { return b.name == name })
	if i < 0 {
		return nil
	}
	return &g.blocks[i]
}

// at returns a value of a row.
func (b *block) at(row, column int) float64 { return float64(b.values[row*b.width+column]) }

// product returns the inner products of some rows.
func (b *block) product(rows []int) []float64 {
	out := make([]float64, len(rows)*len(rows))
	for i, row := range rows {
		for j, other := range rows {
			for k := range b.width {
				out[i*len(rows)+j] += b.at(row, k) * b.at(other, k)
			}
		}
	}
	return out
}
