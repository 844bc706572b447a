package encoders

import (
	"fmt"
	"math/rand/v2"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

// flowerFormer is the flow-aware graph transformer: with x = embedding[op],
//
//	f = x + ReLU(against(along(x)))
//	h = norm(f) + norm(x + attention(x))
//	x = norm(h + MLP(h))
//
// in every layer, where along and against pass through the generations (flowpass.go), a
// node attends to itself and to the nodes on a path with it, and norm is of the batch.
// The embedding is the mean over the nodes. Source: Hwang et al., "FlowerFormer:
// empowering neural architecture encoding using a flow-aware graph transformer", CVPR
// 2024; without their layer and normalisation before the first of these.
type flowerFormer struct {
	noTables
	width, layers int
	dropout       float32 // of the attention
	parts         []flowerLayer
}

type flowerLayer struct {
	flowNorm, attentionNorm, norm batchNorm
	along, against                flowPass
	attention                     attention
	feed                          mlp
}

func (e *flowerFormer) declare(l *layout) {
	e.parts = make([]flowerLayer, e.layers)
	for i := range e.parts {
		p, name := &e.parts[i], fmt.Sprintf("encoder.%d", i)
		p.flowNorm = observeBatchNorm(l, name+".flow.norm", e.width)
		p.attentionNorm = observeBatchNorm(l, name+".attention.norm", e.width)
		p.norm = observeBatchNorm(l, name+".norm", e.width)
	}
	for i := range e.parts {
		p, name := &e.parts[i], fmt.Sprintf("encoder.%d", i)
		p.flowNorm.declare(l, name+".flow.norm")
		p.attentionNorm.declare(l, name+".attention.norm")
		p.norm.declare(l, name+".norm")
		p.along = newFlowPass(l, name+".along", e.width, false)
		p.against = newFlowPass(l, name+".against", e.width, true)
		p.attention = newAttention(l, name+".attention", e.width, false)
		p.feed = newMLP(l, name+".feed", e.width, 2*e.width, e.width)
	}
}

func (e *flowerFormer) init(w []float32, rng *rand.Rand) {
	for i := range e.parts {
		p := &e.parts[i]
		p.flowNorm.init(w)
		p.attentionNorm.init(w)
		p.norm.init(w)
		p.along.init(w, rng)
		p.against.init(w, rng)
		p.attention.init(w, rng)
		p.feed.init(w, rng)
	}
}

func (e *flowerFormer) arrange(b *batch, v *Vocabulary, g *schemas.Graphs, rows []int, _ int32) {
	b.direct(v, g, rows)
	b.relate(false)
}

func (e *flowerFormer) keeps() int     { return 30 }
func (e *flowerFormer) dimension() int { return e.width }

func (e *flowerFormer) forward(t *tape, w, _ []float32, operations *slot, b *batch, rng *rand.PCG) []float32 {
	t.begin(rng)
	z, x := t.take(b.graphs*e.width), t.take(len(b.dag.row)*e.width)
	b.dag.embedded(x, w, operations)
	used := t.used
	for i := range e.parts {
		y := e.parts[i].forward(t, x, w, b, e.dropout, i)
		if t.training {
			x = y
		} else { // nothing but the outcome is needed
			copy(x, y)
			t.release(used)
		}
	}
	b.meanPool(z, x, b.dag.row, e.width)
	return z
}

func (e *flowerFormer) backward(t *tape, dw, _, dz, w []float32, operations *slot, b *batch) {
	dx := t.zeros(len(b.dag.row) * e.width)
	b.meanPoolBack(dx, dz, b.dag.row, e.width)
	for i := len(e.parts) - 1; i >= 0; i-- {
		dx = e.parts[i].backward(t, dw, dx, w, b, e.dropout, i)
	}
	b.dag.embeddedBack(dx, dw, operations)
}

func (p *flowerLayer) forward(t *tape, x, w []float32, b *batch, dropout float32, layer int) []float32 {
	flow := p.against.forward(t, p.along.forward(t, x, w, &b.dag), w, &b.dag)
	t.push(flow)
	f := t.take(len(x))
	kernels.ReLU(f, flow)
	kernels.Add(f, x)
	p.flowNorm.forward(t, f, w)
	h := p.attention.forward(t, x, w, &b.relations, dropout, layer)
	kernels.Add(h, x)
	p.attentionNorm.forward(t, h, w)
	kernels.Add(h, f)
	hidden, y := t.take(2*len(x)), t.take(len(x))
	p.feed.forward(y, hidden, h, w)
	t.push(h)
	t.push(hidden)
	kernels.Add(y, h)
	p.norm.forward(t, y, w)
	return y
}

// backward returns the gradient of x and spoils dy.
func (p *flowerLayer) backward(t *tape, dw, dy, w []float32, b *batch, dropout float32, layer int) []float32 {
	p.norm.backward(t, dw, dy, w)
	hidden, h := t.pop(), t.pop()
	df := t.take(len(dy))
	p.feed.backward(df, t.take(len(hidden)), dw, dy, hidden, h, w)
	kernels.Add(df, dy) // the gradient of h, which is that of both norms
	dx := t.take(len(dy))
	copy(dx, df)
	p.attentionNorm.backward(t, dw, dx, w)
	kernels.Add(dx, p.attention.backward(t, dw, dx, w, &b.relations, dropout, layer))
	p.flowNorm.backward(t, dw, df, w)
	kernels.Add(dx, df)
	kernels.ReLUBack(df, t.pop())
	kernels.Add(dx, p.along.backward(t, dw, p.against.backward(t, dw, df, w, &b.dag), w, &b.dag))
	return dx
}
