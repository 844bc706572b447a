package schemas

// Graphs is a batch of architectures in flat form, laid out as the Arrow
// columns that carry it, so that a view of a record costs nothing.
//
// Graph i has the operations Ops[NodeStart[i]:NodeStart[i+1]] and the edges
// Edges[EdgeStart[i]:EdgeStart[i+1]], which are flattened pairs (from, to) of
// node numbers that start at 0 in each graph. Nodes are in topological order:
// from < to for every edge. An architecture of several cells is one graph whose
// components are the cells; the operations of the second cell carry the prefix
// "reduce:".
type Graphs struct {
	NodeStart []int32  // [n+1]
	Ops       []Symbol // operation of each node
	EdgeStart []int32  // [n+1], counts numbers: twice the edges
	Edges     []int32  // from, to, from, to, ...
}

// Len returns the number of graphs.
func (g *Graphs) Len() int { return max(len(g.NodeStart)-1, 0) }

// Graph returns the operations and flattened edges of graph i; both are views.
func (g *Graphs) Graph(i int) (ops []Symbol, edges []int32) {
	return g.Ops[g.NodeStart[i]:g.NodeStart[i+1]], g.Edges[g.EdgeStart[i]:g.EdgeStart[i+1]]
}

// Append adds a graph, copying ops and edges.
func (g *Graphs) Append(ops []Symbol, edges []int32) {
	if len(g.NodeStart) == 0 {
		g.NodeStart = append(g.NodeStart, 0)
		g.EdgeStart = append(g.EdgeStart, 0)
	}
	g.Ops = append(g.Ops, ops...)
	g.Edges = append(g.Edges, edges...)
	g.NodeStart = append(g.NodeStart, int32(len(g.Ops)))
	g.EdgeStart = append(g.EdgeStart, int32(len(g.Edges)))
}

// Reset empties g and keeps its memory.
func (g *Graphs) Reset() {
	g.NodeStart, g.Ops = g.NodeStart[:0], g.Ops[:0]
	g.EdgeStart, g.Edges = g.EdgeStart[:0], g.Edges[:0]
}

// Select returns a copy of the named graphs, in that order.
func (g *Graphs) Select(rows []int) Graphs {
	var out Graphs
	for _, i := range rows {
		out.Append(g.Graph(i))
	}
	return out
}
