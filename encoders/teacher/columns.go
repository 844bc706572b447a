package teacher

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// block is a group of columns that share a weight in the kernel: [n, width],
// each column with mean 0 and variance 1.
type block struct {
	name   string
	group  string // alternatives of which evidence chooses; empty for none
	width  int
	values []float32
	// single marks a block without redundant columns, of which a half would not do.
	single bool
	uses   []bitset // attributes that each column depends on; nil for none
}

const (
	clip      = 6.0   // standard deviations; a column's outliers end here
	alike     = 0.999 // columns this correlated are one
	alikeRows = 1024  // on that many rows
)

// newBlock standardises raw [n, width], drops constant columns and those that
// repeat others, and takes over the memory of nothing.
func newBlock(name string, raw []float64, n, width int) block {
	b, _ := newBlockOf(name, raw, n, width)
	return b
}

// newBlockOf is newBlock and returns too which columns of raw were kept.
func newBlockOf(name string, raw []float64, n, width int) (b block, kept []int) {
	mean, scale := make([]float64, width), make([]float64, width)
	for i := range n {
		for j, v := range raw[i*width : (i+1)*width] {
			mean[j] += v / float64(n)
		}
	}
	for i := range n {
		for j, v := range raw[i*width : (i+1)*width] {
			scale[j] += (v - mean[j]) * (v - mean[j]) / float64(n)
		}
	}
	var varied []int
	for j := range scale {
		if s := math.Sqrt(scale[j]); s > 1e-9*(1+math.Abs(mean[j])) {
			scale[j] = 1 / s
			varied = append(varied, j)
		}
	}
	kept = distinct(raw, n, width, varied, mean, scale)
	b = block{name: name, width: len(kept), values: make([]float32, n*len(kept))}
	for i := range n {
		row := raw[i*width : (i+1)*width]
		for j, k := range kept {
			b.values[i*b.width+j] = float32(min(max((row[k]-mean[k])*scale[k], -clip), clip))
		}
	}
	return b, kept
}

// distinct returns the columns among candidates that no earlier one is alike.
func distinct(raw []float64, n, width int, candidates []int, mean, scale []float64) []int {
	rows := min(n, alikeRows)
	k := len(candidates)
	if k == 0 {
		return nil
	}
	x := make([]float32, rows*k) // each column of length 1 on the sample
	for j, c := range candidates {
		var sum, square float64
		for r := range rows {
			sum += (raw[r*n/rows*width+c] - mean[c]) * scale[c]
		}
		sum /= float64(rows)
		for r := range rows {
			v := (raw[r*n/rows*width+c]-mean[c])*scale[c] - sum
			square += v * v
		}
		square = math.Sqrt(square)
		if square < 1e-9 {
			continue // only in rows outside the sample
		}
		for r := range rows {
			x[r*k+j] = float32(((raw[r*n/rows*width+c]-mean[c])*scale[c] - sum) / square)
		}
	}
	m := blas32.General{Rows: rows, Cols: k, Stride: k, Data: x}
	gram := blas32.General{Rows: k, Cols: k, Stride: k, Data: make([]float32, k*k)}
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, m, m, 0, gram)
	var kept, at []int
	for j, c := range candidates {
		if !slices.ContainsFunc(at, func(i int) bool { return math.Abs(float64(gram.Data[j*k+i])) > alike }) {
			kept, at = append(kept, c), append(at, j)
		}
	}
	return kept
}
