package encoders

import (
	"archflow/encoders/kernels"
	"archflow/schemas"
)

// batch is a choice of graphs as one graph of many components. It has one of two
// forms: undirected, with edges by node and states that nodes share, or directed
// (dag.go).
type batch struct {
	graphs    int
	nodeStart []int32 // [graphs+1]
	dag       dag
	relations relations // where an encoder asks for them
	canonical canonical
	blends    blends
	place     []int32 // [rows] of the dag, in the canonical order of their graph
	edgeStart []int32 // [nodes+1] into neighbour
	neighbour []int32 // node numbers in this batch, in the order of the edges
	fill      []int32
	rounds    []refinement // [layers+1], of nodes' states
	table     colourTable
}

// build fills b with the named graphs for an encoder of that many layers, reusing its
// memory. At most maxNodes nodes share a colour.
func (b *batch) build(v *Vocabulary, g *schemas.Graphs, rows []int, layers int, maxNodes int32) {
	b.graphs = len(rows)
	b.nodeStart = append(b.nodeStart[:0], 0)
	for len(b.rounds) <= layers {
		b.rounds = append(b.rounds, refinement{})
	}
	codes := b.rounds[0].colours[:0]
	b.blends.reset(v)
	for _, i := range rows {
		codes = b.blends.appendCodes(codes, v, g, i)
		b.nodeStart = append(b.nodeStart, int32(len(codes)))
	}
	b.rounds[0].colours = codes
	n := len(codes)
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
	b.table.build(b, maxNodes)
}

// scatter makes the pooling see every node as a graph of its own, so that an
// encoder returns the embeddings of nodes.
func (b *batch) scatter() {
	nodes := b.nodeStart[b.graphs]
	b.graphs, b.nodeStart = int(nodes), b.nodeStart[:0]
	for i := range nodes + 1 {
		b.nodeStart = append(b.nodeStart, i)
	}
}

// stepRoom bounds a training step: the number of floats that an encoder keeps for its
// backward, counted per node and two per edge, times width and layers.
const stepRoom = 3 << 15

// keptByGated is the number of vectors that resGated keeps for a node.
const keptByGated = 5

// fitting returns how many of the leading rows one training step takes: all,
// unless their graphs are so large that memory would suffer; at least two.
func fitting(e encoder, g *schemas.Graphs, rows []int) int {
	room := stepRoom
	for r, i := range rows {
		ops, edges := g.Graph(i)
		if room -= e.keeps()*len(ops) + len(edges); room < 0 && r >= 2 {
			return r
		}
	}
	return len(rows)
}

// meanPool writes the mean of the states x [states, width] of every graph's
// nodes to z [graphs, width]; at names the state of each node.
func (b *batch) meanPool(z, x []float32, at []int32, width int) {
	for g := range b.graphs {
		row := z[g*width : (g+1)*width]
		clear(row)
		nodes := at[b.nodeStart[g]:b.nodeStart[g+1]]
		for _, s := range nodes {
			kernels.Add(row, x[int(s)*width:][:width])
		}
		kernels.Scale(row, 1/float32(max(len(nodes), 1)))
	}
}

// meanPoolBack adds to dx [states, width] the gradient of every state, given dz
// [graphs, width].
func (b *batch) meanPoolBack(dx, dz []float32, at []int32, width int) {
	for g := range b.graphs {
		nodes := at[b.nodeStart[g]:b.nodeStart[g+1]]
		share := 1 / float32(max(len(nodes), 1))
		for _, s := range nodes {
			kernels.AddScaled(dx[int(s)*width:][:width], share, dz[g*width:])
		}
	}
}
