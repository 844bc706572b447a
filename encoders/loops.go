package encoders

import (
	"math"
	"math/rand/v2"
)

// The loops that run over every element. All slices of a call have the length
// of the first unless said otherwise.

// addTo computes y += x.
func addTo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += x[i]
	}
}

// addScaled computes y += a x.
func addScaled(y []float32, a float32, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += a * x[i]
	}
}

// scale computes y *= a.
func scale(y []float32, a float32) {
	for i := range y {
		y[i] *= a
	}
}

// addRows adds bias to every row of y [n, len(bias)].
func addRows(y, bias []float32) {
	for ; len(y) > 0; y = y[len(bias):] {
		addTo(y[:len(bias)], bias)
	}
}

// sumRows adds every row of y [n, len(sum)] to sum.
func sumRows(sum, y []float32) {
	for ; len(y) > 0; y = y[len(sum):] {
		addTo(sum, y[:len(sum)])
	}
}

// relu writes max(x, 0).
func relu(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = max(x[i], 0)
	}
}

// reluBack clears the gradient where the output y of a ReLU is zero.
func reluBack(dy, y []float32) {
	y = y[:len(dy)]
	for i := range dy {
		if y[i] <= 0 {
			dy[i] = 0
		}
	}
}

func sigmoid(x float32) float32 { return 1 / (1 + float32(math.Exp(float64(-x)))) }

// gate adds a neighbour's message to c: gates = sigmoid(k + q), c += gates * v.
func gate(c, gates, k, q, v []float32) {
	n := len(c)
	gates, k, q, v = gates[:n], k[:n], q[:n], v[:n]
	for i := range c {
		s := sigmoid(k[i] + q[i])
		gates[i] = s
		c[i] += s * v[i]
	}
}

// gateBack adds the gradients of a message, given dc.
func gateBack(dk, dq, dv, dc, gates, v []float32) {
	n := len(dk)
	dq, dv, dc, gates, v = dq[:n], dv[:n], dc[:n], gates[:n], v[:n]
	for i := range dk {
		s, d := gates[i], dc[i]
		dv[i] += d * s
		d *= v[i] * s * (1 - s)
		dk[i] += d
		dq[i] += d
	}
}

// mix ends a layer: x = ReLU(.2 x0 + .8 c).
func mix(x, x0, c []float32) {
	x0, c = x0[:len(x)], c[:len(x)]
	for i := range x {
		x[i] = max(.2*x0[i]+.8*c[i], 0)
	}
}

// mixBack turns the gradient of x into that of c, in place, and adds that of
// x0. The output x is positive exactly where the gradient passes, also after
// dropout, whose factor is scale.
func mixBack(dx0, dx, x []float32, scale float32) {
	n := len(dx)
	dx0, x = dx0[:n], x[:n]
	for i := range dx {
		if x[i] <= 0 {
			dx[i] = 0
			continue
		}
		d := dx[i] * scale
		dx0[i] += .2 * d
		dx[i] = .8 * d
	}
}

// dropout clears each element with probability p and scales the others so that
// the mean stays. A draw of the generator serves four elements.
func dropout(x []float32, p float32, rng *rand.PCG) {
	if p == 0 {
		return
	}
	threshold := uint64(p * (1 << 16))
	keep := dropoutScale(p)
	for i := 0; i < len(x); i += 4 {
		bits := rng.Uint64()
		for j := i; j < min(i+4, len(x)); j++ {
			if bits&0xffff < threshold {
				x[j] = 0
			} else {
				x[j] *= keep
			}
			bits >>= 16
		}
	}
}

func dropoutScale(p float32) float32 { return 1 / (1 - p) }

// adamw updates w with the gradient g and the moments m and v; rate and decay
// belong to this step. Source: Loshchilov & Hutter, 2019, as PyTorch has it.
func adamw(w, g, m, v []float32, rate, decay, correction float32) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		d := g[i]
		m[i] += (1 - adamBeta1) * (d - m[i])
		v[i] = adamBeta2*v[i] + (1-adamBeta2)*d*d
		w[i] = w[i]*decay - rate*m[i]/(float32(math.Sqrt(float64(v[i])))*correction+adamEpsilon)
	}
}

// dot returns the inner product.
func dot(x, y []float32) float32 {
	y = y[:len(x)]
	var sum float32
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}
