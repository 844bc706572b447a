package schemas

// Graphs is a batch of architectures in flat form, laid out as the Arrow
// columns that carry it, so that a view of a record costs nothing.
//
// Graph i has the operations Ops[NodeStart[i]:NodeStart[i+1]] and the edges
// Edges[EdgeStart[i]:EdgeStart[i+1]], which are flattened pairs (from, to) of
// node numbers that start at 0 in each graph. Nodes are in topological order:
// from < to for every edge. An architecture of several cells is one graph whose
// components are the cells; the operations of the second cell carry the prefix
// "reduce:". An architecture that consists of hyperparameters alone is a graph
// of one node, whose operation is "hyperparameters".
//
// Graph i has the attributes Attributes[AttributeStart[i]:AttributeStart[i+1]],
// hyperparameters first, then by node, each in the order of names. A symbol
// below NoSymbol is a name of the graph's own; see Name.
type Graphs struct {
	NodeStart []int32  // [n+1]
	Ops       []Symbol // operation of each node
	EdgeStart []int32  // [n+1], counts numbers: twice the edges
	Edges     []int32  // from, to, from, to, ...

	AttributeStart []int32 // [n+1], nil when no graph has attributes
	Attributes     []Attribute
	NameStart      []int32 // [n+1], nil when no graph has names of its own
	Names          Strings
}

// Len returns the number of graphs.
func (g *Graphs) Len() int { return max(len(g.NodeStart)-1, 0) }

// Graph returns the operations and flattened edges of graph i; both are views.
func (g *Graphs) Graph(i int) (ops []Symbol, edges []int32) {
	return g.Ops[g.NodeStart[i]:g.NodeStart[i+1]], g.Edges[g.EdgeStart[i]:g.EdgeStart[i+1]]
}

// At returns a view of graph i with its attributes.
func (g *Graphs) At(i int) Graph {
	var x Graph
	x.Ops, x.Edges = g.Graph(i)
	x.Attributes = g.AttributesOf(i)
	if len(g.NameStart) > 0 {
		x.Names = Strings{Start: g.Names.Start[g.NameStart[i] : g.NameStart[i+1]+1], Data: g.Names.Data}
	}
	return x
}

// AttributesOf returns a view of the attributes of graph i, nil without.
func (g *Graphs) AttributesOf(i int) []Attribute {
	if len(g.AttributeStart) == 0 {
		return nil
	}
	return g.Attributes[g.AttributeStart[i]:g.AttributeStart[i+1]]
}

// Name returns the name of a symbol of graph i.
func (g *Graphs) Name(i int, s Symbol) string {
	if s >= NoSymbol {
		return Name(s)
	}
	return nameIn(&g.Names, g.NameStart[i], s)
}

// Append adds a graph without attributes, copying ops and edges.
func (g *Graphs) Append(ops []Symbol, edges []int32) {
	g.appendGraph(ops, edges)
	if len(g.AttributeStart) > 0 || len(g.NameStart) > 0 {
		g.appendRest(nil, &Strings{})
	}
}

// Add adds a graph, copying it.
func (g *Graphs) Add(x Graph) { g.add(&x) }

func (g *Graphs) add(x *Graph) {
	g.appendGraph(x.Ops, x.Edges)
	if len(x.Attributes) > 0 || len(g.AttributeStart) > 0 || len(x.Names.Start) > 0 || len(g.NameStart) > 0 {
		g.appendRest(x.Attributes, &x.Names)
	}
}

func (g *Graphs) appendGraph(ops []Symbol, edges []int32) {
	if len(g.NodeStart) == 0 {
		g.NodeStart = append(g.NodeStart, 0)
		g.EdgeStart = append(g.EdgeStart, 0)
	}
	g.Ops = append(g.Ops, ops...)
	g.Edges = append(g.Edges, edges...)
	g.NodeStart = append(g.NodeStart, int32(len(g.Ops)))
	g.EdgeStart = append(g.EdgeStart, int32(len(g.Edges)))
}

// appendRest adds the columns of few graphs to the graph that was just appended.
func (g *Graphs) appendRest(attributes []Attribute, names *Strings) {
	n := g.Len() - 1
	if len(attributes) > 0 || len(g.AttributeStart) > 0 {
		g.Attributes = append(g.Attributes, attributes...)
		g.AttributeStart = appendEnd(g.AttributeStart, n, len(g.Attributes))
	}
	if names.Len() > 0 || len(g.NameStart) > 0 {
		for k := range names.Len() {
			g.Names.Append(names.At(k))
		}
		g.NameStart = appendEnd(g.NameStart, n, g.Names.Len())
	}
}

// appendEnd adds where the part of row n ends. A column that begins late has
// nothing in the rows before.
func appendEnd(start []int32, n, end int) []int32 {
	for len(start) <= n {
		start = append(start, 0)
	}
	return append(start, int32(end))
}

// Reset empties g and keeps its memory.
func (g *Graphs) Reset() {
	*g = Graphs{
		NodeStart: g.NodeStart[:0], Ops: g.Ops[:0], EdgeStart: g.EdgeStart[:0], Edges: g.Edges[:0],
		AttributeStart: g.AttributeStart[:0], Attributes: g.Attributes[:0],
		NameStart: g.NameStart[:0], Names: Strings{g.Names.Start[:0], g.Names.Data[:0]},
	}
}

// Select returns a copy of the named graphs, in that order.
func (g *Graphs) Select(rows []int) Graphs {
	var out Graphs
	for _, i := range rows {
		x := g.At(i)
		out.add(&x)
	}
	return out
}
