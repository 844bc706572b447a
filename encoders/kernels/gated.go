package kernels

// The shares of a node's first state and of its sum in a new state.
const (
	keepShare = .2
	takeShare = .8
)

// Gated computes one node of a layer of the residual gated graph network. The
// rows of y [rows, 4 width] hold K x, Q x, V x and S x of every state x; self is
// the node's row and near are its neighbours':
//
//	c = S + Σ_j sigmoid(K + Q_j) ⊙ V_j
//	x = max(0.2·x0 + 0.8·c, 0)
//
// It writes x [width] and, unless gates is empty, the sigmoids to gates
// [len(near), width]. The sum runs in the order of near. Sigmoids are those of
// Sigmoid; with vectors products and sums are fused.
func Gated(x, gates, x0, y []float32, self int32, near []int32) {
	width := len(x)
	own := y[int(self)*4*width:][:4*width]
	x0 = x0[:width]
	if len(gates) > 0 {
		gates = gates[:len(near)*width]
	}
	from := gatedVectors(x, gates, x0, y, self, near, width)
	for c := from; c < width; c++ {
		sum := own[3*width+c]
		for j, row := range near {
			other := y[int(row)*4*width:][:4*width]
			s := sigmoid(own[c] + other[width+c])
			if len(gates) > 0 {
				gates[j*width+c] = s
			}
			sum += s * other[2*width+c]
		}
		x[c] = max(keepShare*x0[c]+takeShare*sum, 0)
	}
}

// GatedBack takes a node back through Gated and the dropout after it, whose factor is
// scale. dx and x [width] are the gradient and the value of the layer's output, gates
// those kept by Gated, y its input. It adds the gradients of y to dy [rows, 4 width] and
// that of x0 to dx0 [width].
func GatedBack(dy, dx0, dx, x, gates, y []float32, self int32, near []int32, scale float32) {
	width := len(dx)
	own := dy[int(self)*4*width:][:4*width]
	dx0, x, gates = dx0[:width], x[:width], gates[:len(near)*width]
	from := gatedBackVectors(dy, dx0, dx, x, gates, y, self, near, width, scale)
	for c := from; c < width; c++ {
		if !(x[c] > 0) {
			continue
		}
		d := dx[c] * scale
		dx0[c] += keepShare * d
		d *= takeShare
		own[3*width+c] += d
		dk := float32(0)
		for j, row := range near {
			s, at := gates[j*width+c], int(row)*4*width+c
			u := d * s
			dy[at+2*width] += u
			u *= y[at+2*width] * (1 - s)
			dy[at+width] += u
			dk += u
		}
		own[c] += dk
	}
}
