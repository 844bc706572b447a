package encoders

import (
	"math"
	"math/rand/v2"

	"archflow/encoders/kernels"
)

// attention is scaled dot-product attention of several heads, in which a row
// attends to the rows that a relation names:
//
//	y = W_o [ sum over j of softmax_j(q_i k_j / sqrt(d) + bias[kind of j]) v_j ]
//
// Dropout acts on the softmax. The weights of a pair are computed again in
// backward, so that memory grows with nodes and not with pairs. Source: Vaswani
// et al., "Attention is all you need", 2017.
type attention struct {
	width, heads int
	qkv          *slot // [width, 3 width], the columns of q, k, v
	bias         *slot // [kinds, heads]; nil: none
	out, outBias *slot
}

// newAttention declares the parameters; with kinds a bias for each relation.
func newAttention(l *layout, name string, width int, kinds bool) attention {
	a := attention{width: width, heads: 8}
	for width%a.heads != 0 {
		a.heads /= 2
	}
	a.qkv = l.add(name+".qkv.weight", width, 3*width)
	if kinds {
		a.bias = l.add(name+".kind", relationKinds, a.heads)
	}
	a.out, a.outBias = l.add(name+".out.weight", width, width), l.add(name+".out.bias", 1, width)
	return a
}

func (a *attention) init(w []float32, rng *rand.Rand) {
	fillUniform(a.qkv.in(w), math.Sqrt(1.5/float64(a.width)), rng) // Glorot's, of each third
	if a.bias != nil {
		clear(a.bias.in(w))
	}
	fillLinear(a.out.in(w), a.outBias.in(w), a.width, rng)
}

// attending is the memory of one row: a number for each head and neighbour.
type attending struct{ weights, dropped, gradient []float32 }

func (a *attention) room(t *tape, r *relations) attending {
	n := a.heads * r.longest
	return attending{t.take(n), t.take(n), t.take(n)}
}

// seedOf returns the seed of the dropout of a row.
func (t *tape) seedOf(layer, row int) uint64 { return mixed(t.seed + uint64(layer)<<40 + uint64(row)) }

// forward returns y [rows, width] for x [rows, width].
func (a *attention) forward(t *tape, x, w []float32, r *relations, p float32, layer int) []float32 {
	width, size := a.width, a.width/a.heads
	n := len(x) / width
	qkv, mixed := t.take(3*n*width), t.zeros(n*width)
	affine(qkv, x, a.qkv.in(w), nil, width, 3*width)
	room := a.room(t, r)
	for i := range n {
		near := r.related.of(i)
		weights := room.weights[:a.heads*len(near)]
		a.weigh(weights, qkv, w, i, r)
		if t.training {
			kernels.Dropout(weights, p, t.seedOf(layer, i))
		}
		row := mixed[i*width:][:width]
		for j, other := range near {
			value := qkv[int(other)*3*width+2*width:][:width]
			for h := range a.heads {
				share := weights[h*len(near)+j]
				to, from := row[h*size:(h+1)*size], value[h*size:(h+1)*size]
				for c, v := range from {
					to[c] += share * v
				}
			}
		}
	}
	y := t.take(n * width)
	affine(y, mixed, a.out.in(w), a.outBias.in(w), width, width)
	t.push(x)
	t.push(qkv)
	t.push(mixed)
	return y
}

// weigh writes the softmax of row i, [heads, neighbours].
func (a *attention) weigh(weights, qkv, w []float32, i int, r *relations) {
	width, size := a.width, a.width/a.heads
	near, kinds := r.related.of(i), r.kindsOf(i)
	scale := float32(1 / math.Sqrt(float64(size)))
	query := qkv[i*3*width:][:width]
	for j, other := range near {
		key := qkv[int(other)*3*width+width:][:width]
		for h := range a.heads {
			sum := float32(0)
			q, k := query[h*size:(h+1)*size], key[h*size:(h+1)*size]
			for c, v := range q {
				sum += v * k[c]
			}
			sum *= scale
			if a.bias != nil {
				sum += a.bias.in(w)[int(kinds[j])*a.heads+h]
			}
			weights[h*len(near)+j] = sum
		}
	}
	for h := range a.heads {
		row := weights[h*len(near):][:len(near)]
		top := row[0]
		for _, s := range row[1:] {
			top = max(top, s)
		}
		for j := range row {
			row[j] -= top
		}
	}
	inWholeVectors(kernels.Exp, weights)
	for h := range a.heads {
		row, sum := weights[h*len(near):][:len(near)], float32(0)
		for _, e := range row {
			sum += e
		}
		for j := range row {
			row[j] /= sum
		}
	}
}

// backward returns the gradient of x and adds those of the weights.
func (a *attention) backward(t *tape, dw, dy, w []float32, r *relations, p float32, layer int) []float32 {
	mixed, qkv, x := t.pop(), t.pop(), t.pop()
	width, size := a.width, a.width/a.heads
	n := len(x) / width
	dmixed, dqkv := t.take(n*width), t.zeros(3*n*width)
	affineBack(dmixed, a.out.in(dw), a.outBias.in(dw), dy, mixed, a.out.in(w), width, width)
	room, scale := a.room(t, r), float32(1/math.Sqrt(float64(size)))
	for i := range n {
		near, kinds := r.related.of(i), r.kindsOf(i)
		weights, gradient := room.weights[:a.heads*len(near)], room.gradient[:a.heads*len(near)]
		dropped := room.dropped[:len(weights)]
		a.weigh(weights, qkv, w, i, r)
		copy(dropped, weights)
		kernels.Dropout(dropped, p, t.seedOf(layer, i))
		out := dmixed[i*width:][:width]
		for j, other := range near {
			at := int(other)*3*width + 2*width
			value, dvalue := qkv[at:][:width], dqkv[at:][:width]
			for h := range a.heads {
				share, sum := dropped[h*len(near)+j], float32(0)
				v, dv := value[h*size:(h+1)*size], dvalue[h*size:(h+1)*size]
				for c, d := range out[h*size : (h+1)*size] {
					sum += d * v[c]
					dv[c] += share * d
				}
				gradient[h*len(near)+j] = sum
			}
		}
		kernels.Dropout(gradient, p, t.seedOf(layer, i))
		for h := range a.heads {
			share, d := weights[h*len(near):][:len(near)], gradient[h*len(near):][:len(near)]
			mean := float32(0)
			for j, s := range share {
				mean += s * d[j]
			}
			for j, s := range share {
				d[j] = s * (d[j] - mean)
			}
		}
		query, dquery := qkv[i*3*width:][:width], dqkv[i*3*width:][:width]
		for j, other := range near {
			at := int(other)*3*width + width
			key, dkey := qkv[at:][:width], dqkv[at:][:width]
			for h := range a.heads {
				d := gradient[h*len(near)+j]
				if a.bias != nil {
					a.bias.in(dw)[int(kinds[j])*a.heads+h] += d
				}
				d *= scale
				k, dk := key[h*size:(h+1)*size], dkey[h*size:(h+1)*size]
				q, dq := query[h*size:(h+1)*size], dquery[h*size:(h+1)*size]
				for c := range q {
					dq[c] += d * k[c]
					dk[c] += d * q[c]
				}
			}
		}
	}
	dx := t.take(n * width)
	affineBack(dx, a.qkv.in(dw), nil, dqkv, x, a.qkv.in(w), width, 3*width)
	return dx
}

// inWholeVectors computes x = f(x) so that a number's result does not depend on its
// position: kernels process the rest of a vector differently.
func inWholeVectors(f func(y, x []float32), x []float32) {
	const vector = 16
	whole := len(x) / vector * vector
	f(x[:whole], x[:whole])
	var last [vector]float32
	copy(last[:], x[whole:])
	f(last[:], last[:])
	copy(x[whole:], last[:])
}
