package encoders

import (
	"math"

	"archflow/encoders/kernels"
)

// normEpsilon is added to a variance, as PyTorch does.
const normEpsilon = 1e-5

// batchNorm is y = gain (x - mean) / sqrt(variance) + shift, a column at a time.
// In training mean and variance are those of the rows of the shard; otherwise
// those that training observed, so that an answer does not depend on its batch.
// Source: Ioffe & Szegedy, "Batch normalization", 2015.
type batchNorm struct {
	width                       int
	mean, variance, gain, shift *slot
}

// observeBatchNorm declares the running statistics; declare adds the rest.
func observeBatchNorm(l *layout, name string, width int) batchNorm {
	return batchNorm{width: width, mean: l.observe(name+".mean", width), variance: l.observe(name+".variance", width)}
}

func (b *batchNorm) declare(l *layout, name string) {
	b.gain, b.shift = l.add(name+".gain", 1, b.width), l.add(name+".shift", 1, b.width)
}

func (b *batchNorm) init(w []float32) {
	clear(b.mean.in(w))
	clear(b.shift.in(w))
	fill(b.variance.in(w), 1)
	fill(b.gain.in(w), 1)
}

// forward overwrites x [n, width].
func (b *batchNorm) forward(t *tape, x, w []float32) {
	width := b.width
	mean, variance, factor := b.mean.in(w), b.variance.in(w), t.take(width)
	if t.training {
		mean, variance = t.zeros(width), t.zeros(width)
		moments32(mean, variance, x)
	}
	for c, v := range variance {
		factor[c] = float32(1 / math.Sqrt(float64(v)+normEpsilon))
	}
	gain, shift := b.gain.in(w), b.shift.in(w)
	if !t.training {
		for from := 0; from < len(x); from += width {
			for c, v := range x[from : from+width] {
				x[from+c] = (v-mean[c])*factor[c]*gain[c] + shift[c]
			}
		}
		return
	}
	scaled := t.take(len(x))
	for from := 0; from < len(x); from += width {
		for c, v := range x[from : from+width] {
			s := (v - mean[c]) * factor[c]
			scaled[from+c] = s
			x[from+c] = s*gain[c] + shift[c]
		}
	}
	t.push(mean)
	t.push(variance)
	t.push(factor)
	t.push(scaled)
}

// moments32 adds to zeros the mean and the variance of the rows of x.
func moments32(mean, variance, x []float32) {
	width := len(mean)
	share := 1 / float32(max(len(x)/width, 1))
	kernels.SumRows(mean, x)
	kernels.Scale(mean, share)
	for from := 0; from < len(x); from += width {
		for c, v := range x[from : from+width] {
			d := v - mean[c]
			variance[c] += d * d
		}
	}
	kernels.Scale(variance, share)
}

// backward turns the gradient of y into that of x, in place, adds those of gain and
// shift, and writes the running statistics; the variance without bias, as PyTorch keeps
// it.
func (b *batchNorm) backward(t *tape, dw, dy, w []float32) {
	scaled, factor, variance, mean := t.pop(), t.pop(), t.pop(), t.pop()
	width := b.width
	n := float32(max(len(dy)/width, 1))
	copy(b.mean.in(dw), mean)
	observed := b.variance.in(dw)
	copy(observed, variance)
	kernels.Scale(observed, n/max(n-1, 1))
	sum, along := t.zeros(width), t.zeros(width)
	for from := 0; from < len(dy); from += width {
		for c, d := range dy[from : from+width] {
			sum[c] += d
			along[c] += d * scaled[from+c]
		}
	}
	kernels.Add(b.shift.in(dw), sum)
	kernels.Add(b.gain.in(dw), along)
	kernels.Scale(sum, 1/n)
	kernels.Scale(along, 1/n)
	gain := b.gain.in(w)
	for from := 0; from < len(dy); from += width {
		for c, d := range dy[from : from+width] {
			dy[from+c] = gain[c] * factor[c] * (d - sum[c] - scaled[from+c]*along[c])
		}
	}
}

// layerNorm normalises every row by itself. Source: Ba et al., "Layer
// normalization", 2016.
type layerNorm struct {
	width       int
	gain, shift *slot
}

func newLayerNorm(l *layout, name string, width int) layerNorm {
	return layerNorm{width, l.add(name+".gain", 1, width), l.add(name+".shift", 1, width)}
}

func (p *layerNorm) init(w []float32) {
	fill(p.gain.in(w), 1)
	clear(p.shift.in(w))
}

// forward overwrites x [n, width].
func (p *layerNorm) forward(t *tape, x, w []float32) {
	width := p.width
	gain, shift := p.gain.in(w), p.shift.in(w)
	scaled, factor := t.take(len(x)), t.take(len(x)/width)
	for i := range factor {
		row, to := x[i*width:][:width], scaled[i*width:][:width]
		mean, squares := float32(0), float32(0)
		for _, v := range row {
			mean += v
		}
		mean /= float32(width)
		for _, v := range row {
			squares += (v - mean) * (v - mean)
		}
		factor[i] = float32(1 / math.Sqrt(float64(squares)/float64(width)+normEpsilon))
		for c, v := range row {
			to[c] = (v - mean) * factor[i]
			row[c] = to[c]*gain[c] + shift[c]
		}
	}
	t.push(scaled)
	t.push(factor)
}

// backward turns the gradient of y into that of x, in place.
func (p *layerNorm) backward(t *tape, dw, dy, w []float32) {
	factor, scaled := t.pop(), t.pop()
	width := p.width
	gain, dgain := p.gain.in(w), p.gain.in(dw)
	kernels.SumRows(p.shift.in(dw), dy)
	for i, f := range factor {
		row, s := dy[i*width:][:width], scaled[i*width:][:width]
		sum, along := float32(0), float32(0)
		for c, d := range row {
			dgain[c] += d * s[c]
			row[c] = d * gain[c]
			sum += row[c]
			along += row[c] * s[c]
		}
		sum, along = sum/float32(width), along/float32(width)
		for c, d := range row {
			row[c] = f * (d - sum - s[c]*along)
		}
	}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
