package encoders

import (
	"fmt"
	"math"
	"math/rand/v2"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

// diGCN is the convolution of directed graphs: with x = embedding[op],
//
//	x_i = dropout(ReLU(W [ sum over j of L_ij x_j ]))
//
// in every layer, W with a bias. L is the symmetric Laplacian of a random walk
// that goes along an edge or stays and is sent back to a random node with
// probability teleport. With d_i the successors of i and itself, and p the share
// of time that the walk spends at a node,
//
//	L_ii = 1 / d_i,  L_ij = L_ji = sqrt(p_i / p_j) / (2 d_i) for an edge from i to j
//
// Of a graph without cycles p follows in the order of the generations, without
// an eigenvector. The embedding is the mean over the nodes. Source: Tong et al.,
// "Digraph inception convolutional networks", 2020, without the inception block
// of neighbours further away.
type diGCN struct {
	noTables
	width, layers int
	dropout       float32
	weights       []*slot
	biases        []*slot
}

// teleport is the published one.
const teleport = .1

func (e *diGCN) declare(l *layout) {
	e.weights, e.biases = nil, nil
	for i := range e.layers {
		e.weights = append(e.weights, l.add(fmt.Sprintf("encoder.%d.weight", i), e.width, e.width))
		e.biases = append(e.biases, l.add(fmt.Sprintf("encoder.%d.bias", i), 1, e.width))
	}
}

func (e *diGCN) init(w []float32, rng *rand.Rand) {
	for i := range e.weights {
		fillLinear(e.weights[i].in(w), e.biases[i].in(w), e.width, rng)
	}
}

func (e *diGCN) arrange(b *batch, v *Vocabulary, g *schemas.Graphs, rows []int, _ int32) {
	b.direct(v, g, rows)
}

func (e *diGCN) keeps() int     { return keptByGated }
func (e *diGCN) dimension() int { return e.width }

// shares returns the square root of p for every row, in no particular unit.
func (e *diGCN) shares(t *tape, d *dag) []float32 {
	p := t.take(len(d.row))
	for i := range p {
		sum := 1.
		for _, j := range d.before.of(i) {
			sum += (1 - teleport) * float64(p[j]) * float64(p[j]) / float64(1+len(d.after.of(int(j))))
		}
		p[i] = float32(math.Sqrt(sum / (1 - (1-teleport)/float64(1+len(d.after.of(i))))))
	}
	return p
}

// spread adds L x to y. L is its own transpose, so it serves both ways.
func (e *diGCN) spread(y, x, p []float32, d *dag) {
	width := e.width
	for i := range p {
		row, own := y[i*width:][:width], x[i*width:][:width]
		share := 1 / float32(1+len(d.after.of(i)))
		kernels.AddScaled(row, share, own)
		for _, j := range d.after.of(i) {
			weight := share / 2 * p[i] / p[j]
			kernels.AddScaled(row, weight, x[int(j)*width:][:width])
			kernels.AddScaled(y[int(j)*width:][:width], weight, own)
		}
	}
}

func (e *diGCN) forward(t *tape, w, _ []float32, operations *slot, b *batch, rng *rand.PCG) []float32 {
	t.begin(rng)
	width, d := e.width, &b.dag
	n := len(d.row)
	p, x := e.shares(t, d), t.take(n*width)
	d.embedded(x, w, operations)
	for i := range e.layers {
		near := t.zeros(n * width)
		e.spread(near, x, p, d)
		x = t.take(n * width)
		affine(x, near, e.weights[i].in(w), e.biases[i].in(w), width, width)
		kernels.ReLU(x, x)
		if t.training {
			kernels.Dropout(x, e.dropout, mixed(t.seed+uint64(i)))
		}
		t.push(near)
		t.push(x)
	}
	z := t.take(b.graphs * width)
	b.meanPool(z, x, d.row, width)
	t.push(p)
	return z
}

func (e *diGCN) backward(t *tape, dw, _, dz, w []float32, operations *slot, b *batch) {
	width, d, p := e.width, &b.dag, t.pop()
	dx, factor := t.zeros(len(d.row)*width), kernels.DropoutScale(e.dropout)
	b.meanPoolBack(dx, dz, d.row, width)
	for i := e.layers - 1; i >= 0; i-- {
		out, near := t.pop(), t.pop()
		kernels.ReLUBack(dx, out) // also where dropout cleared it
		kernels.Scale(dx, factor)
		dnear := t.take(len(near))
		affineBack(dnear, e.weights[i].in(dw), e.biases[i].in(dw), dx, near, e.weights[i].in(w), width, width)
		dx = t.zeros(len(near))
		e.spread(dx, dnear, p, d)
	}
	d.embeddedBack(dx, dw, operations)
}
