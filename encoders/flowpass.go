package encoders

import (
	"math"
	"math/rand/v2"

	"archflow/encoders/kernels"

	"gonum.org/v1/gonum/blas"
)

// flowPass goes through the graphs generation by generation, along the edges or
// against them. A row's message is the attention-weighted mean of the rows
// before it that were just computed, and goes into a gated recurrent unit as its
// state:
//
//	m_i = sum over j before i of softmax_j(a h_j) h_j,  0 where there is none
//	r, z = sigmoid(I x_i + H m_i),  n = tanh(I' x_i + r (H' m_i))
//	h_i = (1 - z) n + z m_i
//
// all products of I and H with a bias. The published attention also adds terms
// of x_i and of the edge's type; they are equal for all j and so leave the
// softmax as it is. Source: Hwang et al., "FlowerFormer", CVPR 2024; the unit:
// Cho et al., 2014, as in PyTorch.
type flowPass struct {
	width         int
	against       bool
	score         *slot // [1, width]
	in, inBias    *slot // [width, 3 width], the columns of r, z, n
	state, stBias *slot
}

func newFlowPass(l *layout, name string, width int, against bool) flowPass {
	return flowPass{width, against, l.add(name+".score", 1, width),
		l.add(name+".in.weight", width, 3*width), l.add(name+".in.bias", 1, 3*width),
		l.add(name+".state.weight", width, 3*width), l.add(name+".state.bias", 1, 3*width)}
}

func (p *flowPass) init(w []float32, rng *rand.Rand) {
	fillUniform(p.score.in(w), 1/math.Sqrt(float64(2*p.width)), rng)
	fillLinear(p.in.in(w), p.inBias.in(w), p.width, rng)
	fillLinear(p.state.in(w), p.stBias.in(w), p.width, rng)
}

// before returns the rows that row i takes its message from.
func (p *flowPass) before(d *dag, i int) []int32 {
	if p.against {
		return d.after.of(i)
	}
	return d.before.of(i)
}

// rows returns the range of the rows of the k-th generation to compute.
func (p *flowPass) rows(d *dag, k int) (from, to int) {
	if p.against {
		k = d.generations() - 1 - k
	}
	return d.rows(k)
}

// shares writes the softmax of the scores of near to dst.
func shares(dst, score []float32, near []int32) {
	top, sum := float32(math.Inf(-1)), float32(0)
	for _, j := range near {
		top = max(top, score[j])
	}
	for i, j := range near {
		dst[i] = float32(math.Exp(float64(score[j] - top)))
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
}

// forward returns h [rows, width] for x [rows, width].
func (p *flowPass) forward(t *tape, x, w []float32, d *dag) []float32 {
	width := p.width
	n := len(x) / width
	gates, states := t.take(3*n*width), t.take(3*n*width)
	messages, h, score := t.zeros(n*width), t.take(n*width), t.take(n)
	affine(gates, x, p.in.in(w), p.inBias.in(w), width, 3*width)
	room := t.take(d.longest)
	for k := range d.generations() {
		from, to := p.rows(d, k)
		for i := from; i < to; i++ {
			near, m := p.before(d, i), messages[i*width:][:width]
			share := room[:len(near)]
			shares(share, score, near)
			for j, other := range near {
				kernels.AddScaled(m, share[j], h[int(other)*width:][:width])
			}
		}
		affine(states[from*3*width:to*3*width], messages[from*width:to*width], p.state.in(w), p.stBias.in(w), width, 3*width)
		for i := from; i < to; i++ {
			row := h[i*width:][:width]
			recur(row, gates[i*3*width:][:3*width], states[i*3*width:][:3*width], messages[i*width:][:width])
			score[i] = kernels.Dot(p.score.in(w), row)
		}
	}
	for _, kept := range [][]float32{x, gates, states, messages, h, score} {
		t.push(kept)
	}
	return h
}

// recur computes one unit; gates becomes r, z and n.
func recur(h, gates, states, message []float32) {
	width := len(h)
	open := gates[:2*width]
	kernels.Add(open, states[:2*width])
	kernels.Sigmoid(open, open)
	next, state := gates[2*width:][:width], states[2*width:][:width]
	for c, r := range gates[:width] { // tanh(x) = 2 sigmoid(2x) - 1
		next[c] = 2 * (next[c] + r*state[c])
	}
	kernels.Sigmoid(next, next)
	for c, z := range gates[width:][:width] {
		next[c] = 2*next[c] - 1
		h[c] = next[c] + z*(message[c]-next[c])
	}
}

// backward returns the gradient of x, adds those of the weights and spoils dh.
func (p *flowPass) backward(t *tape, dw, dh, w []float32, d *dag) []float32 {
	score, h, messages, states, gates, x := t.pop(), t.pop(), t.pop(), t.pop(), t.pop(), t.pop()
	width := p.width
	n := len(x) / width
	dgates, dstates, dm := t.take(3*n*width), t.take(3*n*width), t.take(n*width)
	dscore, back := t.zeros(n), t.take(n*width)
	room, droom := t.take(d.longest), t.take(d.longest)
	for k := d.generations() - 1; k >= 0; k-- {
		from, to := p.rows(d, k)
		for i := from; i < to; i++ {
			row := dh[i*width:][:width]
			kernels.AddScaled(row, dscore[i], p.score.in(w))
			kernels.AddScaled(p.score.in(dw), dscore[i], h[i*width:])
			recurBack(dgates[i*3*width:][:3*width], dstates[i*3*width:][:3*width], dm[i*width:][:width], row,
				gates[i*3*width:][:3*width], states[i*3*width:][:3*width], messages[i*width:][:width])
		}
		rows := back[:(to-from)*width]
		multiply(blas.Trans, rows, dstates[from*3*width:to*3*width], p.state.in(w), to-from, 3*width, width)
		kernels.Add(dm[from*width:to*width], rows)
		for i := from; i < to; i++ {
			near, row := p.before(d, i), dm[i*width:][:width]
			share, dshare, mean := room[:len(near)], droom[:len(near)], float32(0)
			shares(share, score, near)
			for j, other := range near {
				dshare[j] = kernels.Dot(row, h[int(other)*width:][:width])
				mean += share[j] * dshare[j]
				kernels.AddScaled(dh[int(other)*width:][:width], share[j], row)
			}
			for j, other := range near {
				dscore[other] += share[j] * (dshare[j] - mean)
			}
		}
	}
	affineBack(nil, p.state.in(dw), p.stBias.in(dw), dstates, messages, p.state.in(w), width, 3*width)
	dx := t.take(n * width)
	affineBack(dx, p.in.in(dw), p.inBias.in(dw), dgates, x, p.in.in(w), width, 3*width)
	return dx
}

// recurBack writes the gradients of the inputs of recur.
func recurBack(dgates, dstates, dmessage, dh, gates, states, message []float32) {
	width := len(dh)
	reset, update, next, state := gates[:width], gates[width:][:width], gates[2*width:][:width], states[2*width:][:width]
	for c, d := range dh {
		r, z, n := reset[c], update[c], next[c]
		dmessage[c] = d * z
		dn := d * (1 - z) * (1 - n*n)
		dz := d * (message[c] - n) * z * (1 - z)
		dr := dn * state[c] * r * (1 - r)
		dgates[c], dgates[width+c], dgates[2*width+c] = dr, dz, dn
		dstates[c], dstates[width+c], dstates[2*width+c] = dr, dz, dn*r
	}
}
