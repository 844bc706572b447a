package encoders

import (
	"math/rand/v2"

	"archflow/encoders/kernels"
)

// mlp is Linear, ReLU, Linear.
type mlp struct {
	in, hidden, out int
	w1, b1, w2, b2  *slot
}

func newMLP(l *layout, name string, in, hidden, out int) mlp {
	return mlp{in, hidden, out,
		l.add(name+".0.weight", in, hidden), l.add(name+".0.bias", 1, hidden),
		l.add(name+".1.weight", hidden, out), l.add(name+".1.bias", 1, out)}
}

func (p *mlp) init(w []float32, rng *rand.Rand) {
	fillLinear(p.w1.in(w), p.b1.in(w), p.in, rng)
	fillLinear(p.w2.in(w), p.b2.in(w), p.hidden, rng)
}

// forward computes y [n, out] of x [n, in] by way of h [n, hidden].
func (p *mlp) forward(y, h, x, w []float32) {
	affine(h, x, p.w1.in(w), p.b1.in(w), p.in, p.hidden)
	kernels.ReLU(h, h)
	affine(y, h, p.w2.in(w), p.b2.in(w), p.hidden, p.out)
}

// backward adds the gradients of the weights to dw and writes those of x and h, given dy
// and the h of forward.
func (p *mlp) backward(dx, dh, dw, dy, h, x, w []float32) {
	affineBack(dh, p.w2.in(dw), p.b2.in(dw), dy, h, p.w2.in(w), p.hidden, p.out)
	kernels.ReLUBack(dh, h)
	affineBack(dx, p.w1.in(dw), p.b1.in(dw), dh, x, p.w1.in(w), p.in, p.hidden)
}
