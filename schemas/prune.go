package schemas

// The network of an architecture is its graph without the nodes and edges that lie on no
// path from an input to an output, and without the operations that carry nothing. Inputs
// and outputs stay even when nothing joins them, so an architecture that is not connected
// has a network too.
//
// Inputs are the operations "input", "input:*", "hidden:*", "c_k-1" and "c_k-2",
// outputs are "output", all with or without the prefix "reduce:". A graph
// without a node named so has its sources as inputs, or its sinks as outputs.

// pruner prunes graphs and reuses its memory.
//
// The processor cannot predict which nodes go, so the loops write every node and edge to
// the next place and advance by one or by none. Each is a function of its own, so that
// all of its values have registers.
type pruner struct {
	flags  []reach
	number []int32 // of each node in the network, or of the next that is kept
	ops    []Symbol
	edges  []int32
	in     predecessors

	attributes []Attribute
}

// reach is the state of a node while its graph is pruned.
type reach uint32

const (
	isInput   reach = 1 << roleInput
	isOutput  reach = 1 << roleOutput
	isNull    reach = 1 << (1 + iota)
	fromInput       // lies behind an input
	toOutput        // lies before an output
	hasNext         // has a successor
)

// kept is 1 for a node that stays, else 0.
func (f reach) kept() int { return int(f/isInput|f/isOutput|f/fromInput&(f/toOutput)) & 1 }

// carries is 1 for an edge from f to g that stays, else 0.
func (f reach) carries(g reach) int { return int(f/fromInput&(g/toOutput)) & 1 }

// prune writes the network of a graph in topological order to p.ops, p.edges and
// p.attributes and reports whether it differs from the graph. null is the
// operation that carries nothing.
func (p *pruner) prune(d *identifier, null Symbol, ops []Symbol, edges []int32, in *predecessors, attributes []Attribute) bool {
	n := len(ops)
	p.flags, p.number = sized(p.flags, n), sized(p.number, n)
	p.ops, p.edges = sized(p.ops, n), sized(p.edges, len(edges))
	named := begin(p.flags, d, null, ops)
	markForward(p.flags, named, in)
	markBack(p.flags, named, in)
	nodes := keepNodes(p.ops, p.number, ops, p.flags)
	kept := keepEdges(p.edges, edges, p.number, p.flags)
	if nodes == n && kept == len(edges) {
		return false
	}
	p.ops, p.edges = p.ops[:nodes], p.edges[:kept]
	p.keepAttributes(attributes)
	p.in.start, p.in.node = sized(p.in.start, n+1), sized(p.in.node, len(in.node))
	keepRows(&p.in, in, p.number, p.flags)
	p.in.start, p.in.node = p.in.start[:nodes+1], p.in.node[:kept/2]
	return true
}

// begin notes the roles of the nodes by their operations, and returns all of them
// together: which ends have names.
func begin(flags []reach, d *identifier, null Symbol, ops []Symbol) (named reach) {
	for v, op := range ops {
		f := reach(1) << d.operation(op).role
		named |= f
		if op == null {
			f |= isNull
		}
		flags[v] = f
	}
	return named
}

// markForward marks the nodes behind an input.
func markForward(flags []reach, named reach, in *predecessors) {
	ends, node, e := in.start[1:len(flags)+1], in.node, 0
	for v := range flags {
		first, before := e, reach(0)
		for end := int(ends[v]); e < end; e++ {
			before |= flags[node[e]]
		}
		f := flags[v]
		if first == e && named&isInput == 0 {
			f |= isInput
		}
		if f&isNull != 0 {
			before = 0
		}
		if f&isInput != 0 {
			before = fromInput
		}
		flags[v] = f | before&fromInput
	}
}

// markBack marks the nodes before an output.
func markBack(flags []reach, named reach, in *predecessors) {
	starts, node, e := in.start[:len(flags)], in.node, len(in.node)-1
	for v := len(flags) - 1; v >= 0; v-- {
		// All successors of v have been here and left their marks.
		f := flags[v]
		if f&hasNext == 0 && named&isOutput == 0 {
			f |= isOutput
		}
		if f&(isNull|isInput) == isNull {
			f &^= toOutput
		}
		if f&isOutput != 0 {
			f |= toOutput
		}
		flags[v] = f
		f = f&toOutput | hasNext
		for start := int(starts[v]); e >= start; e-- {
			flags[node[e]] |= f
		}
	}
}

// keepNodes writes the nodes that stay to dst and returns how many there are.
func keepNodes(dst []Symbol, number []int32, ops []Symbol, flags []reach) int {
	n := 0
	for v, op := range ops {
		number[v], dst[n] = int32(n), op
		n += flags[v].kept()
	}
	return n
}

// keepEdges writes the edges that stay to dst and returns the count of their
// numbers.
func keepEdges(dst, edges, number []int32, flags []reach) int {
	n := 0
	for e := 0; e+1 < len(edges); e += 2 {
		from, to := edges[e], edges[e+1]
		dst[n], dst[n+1] = number[from], number[to]
		n += 2 * flags[from].carries(flags[to])
	}
	return n
}

// keepAttributes notes the attributes of nodes that stay, and of the graph.
func (p *pruner) keepAttributes(attributes []Attribute) {
	p.attributes = p.attributes[:0]
	for _, a := range attributes {
		if a.Node != WholeGraph {
			if p.flags[a.Node].kept() == 0 {
				continue
			}
			a.Node = p.number[a.Node]
		}
		p.attributes = append(p.attributes, a)
	}
}

// keepRows writes the predecessors in the network to dst. An edge that stays
// joins nodes that stay, and a node that goes leaves its row to the next one.
func keepRows(dst, in *predecessors, number []int32, flags []reach) {
	start, node, at, e := dst.start, dst.node, 0, 0
	for v, end := range in.start[1 : len(flags)+1] {
		start[number[v]] = int32(at)
		for ; e < int(end); e++ {
			from := in.node[e]
			node[at] = number[from]
			at += flags[from].carries(flags[v])
		}
		start[number[v]+1] = int32(at)
	}
}
