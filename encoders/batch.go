package encoders

import (
	"archflow/encoders/kernels"
	"archflow/schemas"
)

// batch is a choice of graphs as one graph of many components, with undirected
// edges by node.
type batch struct {
	graphs    int
	nodeStart []int32 // [graphs+1]
	codes     []int32 // [nodes] in the network's vocabulary
	edgeStart []int32 // [nodes+1] into neighbour
	neighbour []int32 // node numbers in this batch, in the order of the edges
	nearCodes []int32 // their codes
	fill      []int32
}

func (b *batch) nodes() int { return len(b.codes) }

// build fills b with the named graphs, reusing its memory.
func (b *batch) build(v *Vocabulary, g *schemas.Graphs, rows []int) {
	b.graphs = len(rows)
	b.nodeStart = append(b.nodeStart[:0], 0)
	b.codes = b.codes[:0]
	for _, i := range rows {
		ops, _ := g.Graph(i)
		for _, op := range ops {
			b.codes = append(b.codes, v.Code(op))
		}
		b.nodeStart = append(b.nodeStart, int32(len(b.codes)))
	}
	n := len(b.codes)
	b.edgeStart = resized(b.edgeStart, n+1)
	clear(b.edgeStart)
	for r, i := range rows {
		_, edges := g.Graph(i)
		base := b.nodeStart[r] + 1
		for _, u := range edges {
			b.edgeStart[base+u]++
		}
	}
	for i := range n {
		b.edgeStart[i+1] += b.edgeStart[i]
	}
	b.neighbour = resized(b.neighbour, int(b.edgeStart[n]))
	b.fill = append(b.fill[:0], b.edgeStart[:n]...)
	for r, i := range rows {
		_, edges := g.Graph(i)
		base := b.nodeStart[r]
		for e := 0; e < len(edges); e += 2 {
			u, v := base+edges[e], base+edges[e+1]
			b.neighbour[b.fill[u]] = v
			b.fill[u]++
			b.neighbour[b.fill[v]] = u
			b.fill[v]++
		}
	}
	b.nearCodes = b.nearCodes[:0]
	for _, u := range b.neighbour {
		b.nearCodes = append(b.nearCodes, b.codes[u])
	}
}

// near returns the neighbours of node i as places in neighbour.
func (b *batch) near(i int) (from, to int) { return int(b.edgeStart[i]), int(b.edgeStart[i+1]) }

// stepRoom bounds a training step: five for a node and two for an edge, times
// width and layers, are the floats it keeps for its backward.
const stepRoom = 3 << 15

// fitting returns how many of the leading rows one training step takes: all,
// unless their graphs are so large that memory would suffer; at least two.
func fitting(g *schemas.Graphs, rows []int) int {
	room := stepRoom
	for r, i := range rows {
		ops, edges := g.Graph(i)
		if room -= 5*len(ops) + len(edges); room < 0 && r >= 2 {
			return r
		}
	}
	return len(rows)
}

// meanPool writes the mean of every graph's node rows to z [graphs, width].
func (b *batch) meanPool(z, x []float32, width int) {
	for g := range b.graphs {
		row := z[g*width : (g+1)*width]
		clear(row)
		from, to := int(b.nodeStart[g]), int(b.nodeStart[g+1])
		for i := from; i < to; i++ {
			kernels.Add(row, x[i*width:(i+1)*width])
		}
		kernels.Scale(row, 1/float32(max(to-from, 1)))
	}
}

// meanPoolBack writes the gradient of every node row to dx [nodes, width].
func (b *batch) meanPoolBack(dx, dz []float32, width int) {
	for g := range b.graphs {
		from, to := int(b.nodeStart[g]), int(b.nodeStart[g+1])
		share := 1 / float32(max(to-from, 1))
		for i := from; i < to; i++ {
			row := dx[i*width : (i+1)*width]
			for c, d := range dz[g*width : (g+1)*width] {
				row[c] = d * share
			}
		}
	}
}
