package teacher

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"
)

// A Gaussian process with kernel a(m(d/l) + constant) + a·noise on the
// diagonal, m Matérn 3/2. The scale a is at its optimum in closed form; length
// l (in units of the median distance) and noise are averaged over a grid, each
// weighted by its evidence.

var (
	lengths = []float64{0.7, 1, 1.4, 2, 2.8}
	noises  = []float64{0.003, 0.01, 0.03, 0.1, 0.3}
)

const constant = 10.0

// process is a fitted Gaussian process.
type process struct {
	median   float64 // of the squared distances
	lengths  []float64
	alpha    [][]float64 // of each length, nil where its weight is negligible
	evidence float64     // largest of the grid, constants left out
	heldOut  []float64   // leave-one-out means
}

// matern returns the kernel for a squared distance.
func matern(d float64) float64 {
	s := math.Sqrt(3 * max(d, 0))
	return (1 + s) * math.Exp(-s)
}

// fitProcess fits targets z at points with squared distances d [n, n].
func fitProcess(d, z []float64) (*process, error) { return fitGrid(d, z, lengths, noises) }

// fitGrid is fitProcess on a grid of its own.
func fitGrid(d, z, lengths, noises []float64) (*process, error) {
	n := len(z)
	p := &process{median: medianDistance(d, n), lengths: lengths, alpha: make([][]float64, len(lengths)), heldOut: make([]float64, n)}
	type cell struct {
		evidence float64
		length   int
		alpha    []float64
		heldOut  []float64
	}
	var grid []cell
	k := mat.NewSymDense(n, nil)
	var eigen mat.EigenSym
	var vectors mat.Dense
	zv := mat.NewVecDense(n, z)
	for l, length := range lengths {
		for i := range n {
			for j := i; j < n; j++ {
				k.SetSym(i, j, matern(d[i*n+j]/(p.median*length*length))+constant)
			}
		}
		if !eigen.Factorize(k, true) {
			return nil, errNotConverged
		}
		values := eigen.Values(nil)
		eigen.VectorsTo(&vectors)
		var rotated mat.VecDense
		rotated.MulVec(vectors.T(), zv)
		for _, noise := range noises {
			fit, logdet := 0.0, 0.0
			scaled := mat.NewVecDense(n, nil)
			for i, v := range values {
				e := max(v, 0) + noise
				fit += rotated.AtVec(i) * rotated.AtVec(i) / e
				logdet += math.Log(e)
				scaled.SetVec(i, rotated.AtVec(i)/e)
			}
			c := cell{length: l, alpha: make([]float64, n), heldOut: make([]float64, n)}
			c.evidence = -0.5*float64(n)*math.Log(max(fit, 1e-300)/float64(n)) - 0.5*logdet
			mat.NewVecDense(n, c.alpha).MulVec(&vectors, scaled)
			for i := range n {
				diagonal := 0.0
				for j, q := range vectors.RawRowView(i) {
					diagonal += q * q / (max(values[j], 0) + noise)
				}
				c.heldOut[i] = z[i] - c.alpha[i]/diagonal
			}
			grid = append(grid, c)
		}
	}
	p.evidence = math.Inf(-1)
	for _, c := range grid {
		p.evidence = max(p.evidence, c.evidence)
	}
	sum := 0.0
	for _, c := range grid {
		sum += math.Exp(c.evidence - p.evidence)
	}
	weight := make([]float64, len(lengths))
	for _, c := range grid {
		weight[c.length] += math.Exp(c.evidence-p.evidence) / sum
	}
	for _, c := range grid {
		w := math.Exp(c.evidence-p.evidence) / sum
		for i := range n {
			p.heldOut[i] += w * c.heldOut[i]
		}
		if weight[c.length] < 1e-3 {
			continue
		}
		if p.alpha[c.length] == nil {
			p.alpha[c.length] = make([]float64, n)
		}
		for i := range n {
			p.alpha[c.length][i] += w * c.alpha[i]
		}
	}
	return p, nil
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

const chunk = 512 // rows predicted together

// predict adds w times the predictions of the rows of x [n, width] to dst [n];
// at holds the points of the fit [labels, width].
func (p *process) predict(dst []float64, x, at []float32, width int, w float64) {
	n, m := len(dst), len(at)/width
	points := blas32.General{Rows: m, Cols: width, Stride: width, Data: at}
	norms := rowNorms(at, width)
	product := make([]float32, chunk*m)
	offset := 0.0
	for _, alpha := range p.alpha {
		for _, a := range alpha {
			offset += constant * a
		}
	}
	for first := 0; first < n; first += chunk {
		rows := min(chunk, n-first)
		part := x[first*width : (first+rows)*width]
		c := blas32.General{Rows: rows, Cols: m, Stride: m, Data: product}
		blas32.Gemm(blas.NoTrans, blas.Trans, -2, blas32.General{Rows: rows, Cols: width, Stride: width, Data: part}, points, 0, c)
		own := rowNorms(part, width)
		for i := range rows {
			sum := offset
			row := product[i*m : (i+1)*m]
			for l, alpha := range p.alpha {
				if alpha == nil {
					continue
				}
				f := 3 / (p.median * p.lengths[l] * p.lengths[l])
				for j, a := range alpha {
					s := math.Sqrt(max(float64(row[j]+own[i]+norms[j]), 0) * f)
					sum += a * (1 + s) * math.Exp(-s)
				}
			}
			dst[first+i] += w * sum
		}
	}
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
