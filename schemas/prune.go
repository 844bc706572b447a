package schemas

// The network of an architecture is what is left of its graph without the
// nodes and edges that lie on no path from an input to an output, and without
// the operations that carry nothing. Inputs and outputs stay even when nothing
// joins them, so an architecture that is not connected has a network too.
//
// Inputs are the operations "input", "input:*", "hidden:*", "c_k-1" and "c_k-2",
// outputs are "output", all with or without the prefix "reduce:". A graph
// without a node named so has its sources as inputs, or its sinks as outputs.

// pruner removes what does not count and reuses its memory.
type pruner struct {
	roles  []role
	flags  []reach
	number []int32
	ops    []Symbol
	edges  []int32
	in     predecessors
}

type reach uint8

const (
	fromInput reach = 1 << iota
	toOutput
	hasNext
	isEnd // stays whatever it reaches
)

// prune writes the network of a graph in topological order to p.ops and
// p.edges and reports whether it differs from the graph. null is the operation
// that carries nothing.
func (p *pruner) prune(d *identifier, null Symbol, ops []Symbol, edges []int32, in *predecessors) bool {
	n := len(ops)
	p.flags, p.roles = sized(p.flags, n), sized(p.roles, n)
	flags, roles := p.flags, p.roles
	clear(flags)
	inputs, outputs := false, false
	for v, op := range ops {
		roles[v] = d.operation(op).role
		inputs = inputs || roles[v] == roleInput
		outputs = outputs || roles[v] == roleOutput
	}
	for v, op := range ops {
		before := in.of(v)
		if roles[v] == roleInput || !inputs && len(before) == 0 {
			flags[v] = fromInput | isEnd
			continue
		}
		if op == null {
			continue
		}
		for _, u := range before {
			flags[v] |= flags[u] & fromInput
		}
	}
	all := true
	for v := n - 1; v >= 0; v-- {
		// All successors of v have been here and left their marks.
		if roles[v] == roleOutput || !outputs && flags[v]&hasNext == 0 {
			flags[v] |= toOutput | isEnd
		}
		if ops[v] == null && flags[v]&isEnd == 0 {
			flags[v] &^= toOutput
		}
		for _, u := range in.of(v) {
			flags[u] |= flags[v]&toOutput | hasNext
		}
		all = all && p.kept(v)
	}
	if all {
		for e := 0; e < len(edges) && all; e += 2 {
			all = p.carries(edges[e], edges[e+1])
		}
		if all {
			return false
		}
	}
	p.ops, p.edges, p.number = p.ops[:0], p.edges[:0], sized(p.number, n)
	for v, op := range ops {
		if p.kept(v) {
			p.number[v] = int32(len(p.ops))
			p.ops = append(p.ops, op)
		}
	}
	for e := 0; e < len(edges); e += 2 {
		if from, to := edges[e], edges[e+1]; p.carries(from, to) {
			p.edges = append(p.edges, p.number[from], p.number[to])
		}
	}
	p.in.build(len(p.ops), p.edges)
	return true
}

func (p *pruner) kept(v int) bool {
	f := p.flags[v]
	return f&isEnd != 0 || f&(fromInput|toOutput) == fromInput|toOutput
}

func (p *pruner) carries(from, to int32) bool {
	return p.flags[from]&fromInput != 0 && p.flags[to]&toOutput != 0
}
