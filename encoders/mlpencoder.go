package encoders

import (
	"fmt"
	"math/rand/v2"

	"archflow/encoders/kernels"
	"archflow/schemas"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// mlpEncoder is a multilayer perceptron on a list of operations and an adjacency
// matrix: with the nodes in canonical order,
//
//	z = ReLU(bias + sum over places p of W_p embedding[op of p] + sum over edges (p, q) of U_pq)
//	z = dropout(ReLU(W z))
//
// in all further layers, W with a bias. W_p embedding[op] is the product of a padded
// one-hot list with its weights, U that of a padded matrix; both are sums here, whose
// cost is proportional to the graph. Nodes behind the last place share it. The embedding
// of a node is z of itself and the edges that leave it.
type mlpEncoder struct {
	width, layers int
	dropout       float32
	place         *slot // [width, places width], the columns of W_p
	bias          *slot
	edge          *slot // [places (places+1)/2, width]
	weights       []*slot
	biases        []*slot
}

// places is the number of nodes that have weights of their own.
const places = 32

func (e *mlpEncoder) declare(l *layout) {
	e.weights, e.biases = nil, nil
	e.place = l.add("encoder.0.place", e.width, places*e.width)
	e.bias = l.add("encoder.0.bias", 1, e.width)
	e.edge = l.add("encoder.0.edge", places*(places+1)/2, e.width)
	for i := 1; i < e.layers; i++ {
		e.weights = append(e.weights, l.add(fmt.Sprintf("encoder.%d.weight", i), e.width, e.width))
		e.biases = append(e.biases, l.add(fmt.Sprintf("encoder.%d.bias", i), 1, e.width))
	}
}

func (e *mlpEncoder) init(w []float32, rng *rand.Rand) {
	fillLinear(e.place.in(w), e.bias.in(w), e.width, rng)
	fillLinear(e.edge.in(w), nil, e.width, rng)
	for i := range e.weights {
		fillLinear(e.weights[i].in(w), e.biases[i].in(w), e.width, rng)
	}
}

func (e *mlpEncoder) arrange(b *batch, v *Vocabulary, g *schemas.Graphs, rows []int, _ int32) {
	b.direct(v, g, rows)
	b.number()
}

// number writes the place of every row in the canonical order of its graph.
func (b *batch) number() {
	d, c := &b.dag, &b.canonical
	b.place = resized(b.place, len(d.row))
	c.begin(d)
	for g := range b.graphs {
		for place, row := range c.sort(d, d.row[b.nodeStart[g]:b.nodeStart[g+1]]) {
			b.place[row] = int32(min(place, places-1))
		}
	}
}

func (e *mlpEncoder) keeps() int     { return keptByGated }
func (e *mlpEncoder) dimension() int { return e.width }

// The first layer sees an operation at a place, so its products are a table.
func (e *mlpEncoder) tableWidth() int { return places * e.width }

func (e *mlpEncoder) tables(table, w []float32, operations *slot) {
	affine(table, operations.in(w), e.place.in(w), nil, e.width, places*e.width)
}

func (e *mlpEncoder) tablesBack(dw, dtable, w []float32, operations *slot) {
	rows, out := operations.rows, places*e.width
	affineBack(nil, e.place.in(dw), nil, dtable, operations.in(w), e.place.in(w), e.width, out)
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, matrix(dtable, rows, out), matrix(e.place.in(w), e.width, out), 1, matrix(operations.in(dw), rows, e.width))
}

// part returns the row of an operation at a place in the table of that width.
func (e *mlpEncoder) part(table []float32, code, place int32) []float32 {
	return table[(int(code)*places+int(place))*e.width:][:e.width]
}

// addPart adds the part of an operation, or the parts of a blend.
func (e *mlpEncoder) addPart(row, table []float32, d *dag, code, place int32) {
	if code < d.blends.first {
		kernels.Add(row, e.part(table, code, place))
		return
	}
	for _, t := range d.blends.of(code) {
		kernels.AddScaled(row, t.value, e.part(table, t.code, place))
	}
}

func (e *mlpEncoder) addPartBack(dtable, drow []float32, d *dag, code, place int32) {
	if code < d.blends.first {
		kernels.Add(e.part(dtable, code, place), drow)
		return
	}
	for _, t := range d.blends.of(code) {
		kernels.AddScaled(e.part(dtable, t.code, place), t.value, drow)
	}
}

// pair returns the weights of an edge between places, the second not before the
// first.
func (e *mlpEncoder) pair(edges []float32, p, q int32) []float32 {
	return edges[int(q*(q+1)/2+p)*e.width:][:e.width]
}

func (e *mlpEncoder) forward(t *tape, w, table []float32, _ *slot, b *batch, rng *rand.PCG) []float32 {
	t.begin(rng)
	width, edges, d := e.width, e.edge.in(w), &b.dag
	z := t.zeros(b.graphs * width)
	kernels.AddRows(z, e.bias.in(w))
	for g := range b.graphs {
		row := z[g*width:][:width]
		for _, i := range d.row[b.nodeStart[g]:b.nodeStart[g+1]] {
			e.addPart(row, table, d, d.code[i], b.place[i])
			for _, j := range d.after.of(int(i)) {
				kernels.Add(row, e.pair(edges, b.place[i], b.place[j]))
			}
		}
	}
	kernels.ReLU(z, z)
	for i := range e.weights {
		t.push(z)
		x := z
		z = t.take(len(x))
		affine(z, x, e.weights[i].in(w), e.biases[i].in(w), width, width)
		kernels.ReLU(z, z)
		if t.training {
			kernels.Dropout(z, e.dropout, mixed(t.seed+uint64(i)))
		}
	}
	t.push(z)
	return z
}

func (e *mlpEncoder) backward(t *tape, dw, dtable, dz, w []float32, _ *slot, b *batch) {
	width, edges, factor := e.width, e.edge.in(dw), kernels.DropoutScale(e.dropout)
	z, d := t.pop(), &b.dag
	for i := len(e.weights) - 1; i >= 0; i-- {
		kernels.ReLUBack(dz, z) // also where dropout cleared it
		kernels.Scale(dz, factor)
		x, dx := t.pop(), t.take(len(dz))
		affineBack(dx, e.weights[i].in(dw), e.biases[i].in(dw), dz, x, e.weights[i].in(w), width, width)
		z, dz = x, dx
	}
	kernels.ReLUBack(dz, z)
	kernels.SumRows(e.bias.in(dw), dz)
	for g := range b.graphs {
		row := dz[g*width:][:width]
		for _, i := range d.row[b.nodeStart[g]:b.nodeStart[g+1]] {
			e.addPartBack(dtable, row, d, d.code[i], b.place[i])
			for _, j := range d.after.of(int(i)) {
				kernels.Add(e.pair(edges, b.place[i], b.place[j]), row)
			}
		}
	}
}
