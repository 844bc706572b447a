package encoders

import (
	"math"
	"math/rand/v2"

	"archflow/encoders/kernels"
	"archflow/schemas"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

const (
	// contrastTemperature divides the likeness of two views.
	contrastTemperature = .2
	// contrastShare is how much of a graph an augmentation takes away.
	contrastShare = .2
	contrastWidth = 128
)

// graphCL is contrastive learning: two views of each graph, a random fifth of
// either taken away, shall be more alike than those of different graphs. Graphs
// 2i and 2i+1 of the view are those of graph i. The loss is NT-Xent on the
// cosines of the projections. Source: You et al., "Graph contrastive learning
// with augmentations", 2020.
type graphCL struct {
	shown                         schemas.Graphs
	ops                           []schemas.Symbol
	edges                         []int32
	place                         []int32
	unit, norm, like, part, dunit []float32
}

func (c *graphCL) nodewise() bool { return false }

func (c *graphCL) decoder(int) (decoder, readout outputShape) {
	return outputShape{"contrast", contrastWidth, contrastWidth}, outputShape{}
}

func (c *graphCL) view(g *schemas.Graphs, rows []int, _ *Vocabulary, random *rand.Rand) *schemas.Graphs {
	c.shown.Reset()
	for _, i := range rows {
		for range 2 {
			ops, edges := g.Graph(i)
			c.ops, c.edges = append(c.ops[:0], ops...), append(c.edges[:0], edges...)
			switch random.IntN(3) {
			case 0:
				c.maskOperations(random)
			case 1:
				c.dropEdges(random)
			case 2:
				c.dropNodes(random)
			}
			c.shown.Append(c.ops, c.edges)
		}
	}
	return &c.shown
}

func (c *graphCL) maskOperations(random *rand.Rand) {
	for i := range c.ops {
		if random.Float64() < contrastShare {
			c.ops[i] = schemas.NoSymbol
		}
	}
}

func (c *graphCL) dropEdges(random *rand.Rand) {
	kept := c.edges[:0]
	for e := 0; e < len(c.edges); e += 2 {
		if random.Float64() >= contrastShare {
			kept = append(kept, c.edges[e], c.edges[e+1])
		}
	}
	c.edges = kept
}

// dropNodes keeps at least one.
func (c *graphCL) dropNodes(random *rand.Rand) {
	ops, stays := c.ops[:0], random.IntN(max(len(c.ops), 1))
	c.place = c.place[:0]
	for i, op := range c.ops {
		if i != stays && random.Float64() < contrastShare {
			c.place = append(c.place, -1)
			continue
		}
		c.place = append(c.place, int32(len(ops)))
		ops = append(ops, op)
	}
	kept := c.edges[:0]
	for e := 0; e < len(c.edges); e += 2 {
		if from, to := c.place[c.edges[e]], c.place[c.edges[e+1]]; from >= 0 && to >= 0 {
			kept = append(kept, from, to)
		}
	}
	c.ops, c.edges = ops, kept
}

// loss: with u the projections in unit length and P the softmax of u u' / T
// without its diagonal, it is the mean of -log P[i, partner of i].
func (c *graphCL) loss(doutput, output, _, _ []float32) float64 {
	n := c.shown.Len()
	width := len(output) / n
	c.unit, c.norm = append(c.unit[:0], output...), resized(c.norm, n)
	for i := range n {
		row := c.unit[i*width:][:width]
		c.norm[i] = max(float32(math.Sqrt(float64(kernels.Dot(row, row)))), 1e-12)
		kernels.Scale(row, 1/c.norm[i])
	}
	c.like, c.part, c.dunit = resized(c.like, n*n), resized(c.part, n), resized(c.dunit, len(output))
	multiply(blas.Trans, c.like, c.unit, c.unit, n, width, n)
	loss := 0.
	for i := range n {
		row := c.like[i*n:][:n]
		for j, l := range row {
			c.part[j] = (l - 1) / contrastTemperature // at most 0
		}
		partner := c.part[i^1]
		kernels.Exp(row, c.part)
		row[i] = 0
		sum := 0.
		for _, p := range row {
			sum += float64(p)
		}
		loss += math.Log(sum) - float64(partner)
		kernels.Scale(row, float32(1/sum))
		row[i^1]--
	}
	// like is now n times the gradient of u u' / T.
	scale := float32(1 / (contrastTemperature * float64(n)))
	like, unit, dunit := matrix(c.like, n, n), matrix(c.unit, n, width), matrix(c.dunit, n, width)
	blas32.Gemm(blas.NoTrans, blas.NoTrans, scale, like, unit, 0, dunit)
	blas32.Gemm(blas.Trans, blas.NoTrans, scale, like, unit, 1, dunit)
	for i := range n {
		u, du, d := c.unit[i*width:][:width], c.dunit[i*width:][:width], doutput[i*width:][:width]
		kernels.AddScaled(du, -kernels.Dot(u, du), u)
		kernels.AddScaled(d, 1/c.norm[i], du)
	}
	return loss / float64(n)
}
