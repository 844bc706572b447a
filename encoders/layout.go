package encoders

import (
	"math"
	"math/rand/v2"
)

// slot is a named matrix inside a flat slice of parameters. The same slot
// finds the weights, their gradient and their moments, each in its own slice.
type slot struct {
	name       string
	off        int
	rows, cols int
}

// in returns the slot's part of a flat slice.
func (s *slot) in(flat []float32) []float32 { return flat[s.off : s.off+s.rows*s.cols] }

// layout is the order of a network's parameters. The operation embedding comes
// last, so that a new operation appends a row and moves nothing.
type layout struct {
	slots    []*slot
	size     int
	observed int // leading floats that are observed, not learnt by gradient
}

func (l *layout) add(name string, rows, cols int) *slot {
	s := &slot{name, l.size, rows, cols}
	l.slots = append(l.slots, s)
	l.size += rows * cols
	return s
}

// observe adds a row of running statistics: backward writes the shard's value into its
// gradient, and the weights follow the mean over the shards slowly. It comes before every
// add.
func (l *layout) observe(name string, cols int) *slot {
	s := l.add(name, 1, cols)
	l.observed = l.size
	return s
}

// copySlots copies the slots that have the same name and shape in both layouts.
func copySlots(dst []float32, to *layout, src []float32, from *layout) {
	for _, d := range to.slots {
		for _, s := range from.slots {
			if d.name == s.name && d.rows == s.rows && d.cols == s.cols {
				copy(d.in(dst), s.in(src))
			}
		}
	}
}

// fillUniform draws from (-limit, limit).
func fillUniform(dst []float32, limit float64, rng *rand.Rand) {
	for i := range dst {
		dst[i] = float32((2*rng.Float64() - 1) * limit)
	}
}

// fillLinear draws weights and bias of a linear layer of in inputs, as PyTorch
// does.
func fillLinear(weights, bias []float32, in int, rng *rand.Rand) {
	limit := 1 / math.Sqrt(float64(in))
	fillUniform(weights, limit, rng)
	fillUniform(bias, limit, rng)
}

// arena hands out slices for one pass over a batch. It grows in the first
// passes and allocates nothing afterwards.
type arena struct {
	buf        []float32
	used, peak int
}

// reset takes everything back; earlier slices must no longer be used. What is large is given
// up before there is more, and gets little to spare.
func (a *arena) reset() {
	if a.peak > len(a.buf) {
		a.buf = nil
		a.buf = make([]float32, a.peak+min(a.peak/4, spare))
	}
	a.used, a.peak = 0, 0
}

// spare is how many floats an arena has beyond its peak at most.
const spare = 1 << 20

// release returns the memory taken since used.
func (a *arena) release(used int) { a.used = used }

// take returns n floats of any content.
func (a *arena) take(n int) []float32 {
	from := a.used
	a.used += n
	a.peak = max(a.peak, a.used)
	if a.used > len(a.buf) {
		return make([]float32, n)
	}
	return a.buf[from:a.used:a.used]
}

// zeros returns n zeros.
func (a *arena) zeros(n int) []float32 {
	s := a.take(n)
	clear(s)
	return s
}

// resized returns a slice of n elements in the memory of s where that is
// enough. The content is undefined.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}
