package teacher

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

const (
	enoughKnown = 100 // values of a proxy, for the others to be guessed from them
	ridge       = 0.1 // of the known values' number, on the diagonal
)

// slabRows is how many rows are summed together.
const slabRows = 512

// impute replaces the missing values of column by the prediction of a ridge regression on
// the blocks, or by the mean when too few are known for that.
func impute(column []float64, blocks []block) {
	var known, missing []int
	mean := 0.0
	for i, v := range column {
		if v == v {
			known = append(known, i)
			mean += v
		} else {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 || len(known) == 0 {
		return
	}
	mean /= float64(len(known))
	width := 0
	for _, b := range blocks {
		width += b.width
	}
	if len(known) < enoughKnown || width == 0 {
		for _, i := range missing {
			column[i] = mean
		}
		return
	}
	// The sums go over rows in slabs, so that memory is that of a slab.
	gram := blas64.Symmetric{N: width, Stride: width, Data: make([]float64, width*width), Uplo: blas.Upper}
	right := mat.NewVecDense(width, nil)
	slab := make([]float64, 0, slabRows*width)
	row := func(dst []float64, i int) []float64 {
		for _, b := range blocks {
			for _, v := range b.values[i*b.width : (i+1)*b.width] {
				dst = append(dst, float64(v))
			}
		}
		return dst
	}
	for first := 0; first < len(known); first += slabRows {
		part := known[first:min(first+slabRows, len(known))]
		slab = slab[:0]
		for _, i := range part {
			slab = row(slab, i)
		}
		x := blas64.General{Rows: len(part), Cols: width, Stride: width, Data: slab}
		blas64.Syrk(blas.Trans, 1, x, 1, gram)
		for k, i := range part {
			right.AddScaledVec(right, column[i]-mean, mat.NewVecDense(width, slab[k*width:(k+1)*width]))
		}
	}
	s := mat.NewSymDense(width, gram.Data)
	for j := range width {
		s.SetSym(j, j, s.At(j, j)+ridge*float64(len(known)))
	}
	var chol mat.Cholesky
	var beta mat.VecDense
	solved := chol.Factorize(s) && chol.SolveVecTo(&beta, right) == nil
	for _, i := range missing {
		column[i] = mean
		if !solved {
			continue
		}
		slab = row(slab[:0], i)
		for j, v := range slab {
			column[i] += v * beta.AtVec(j)
		}
	}
}
