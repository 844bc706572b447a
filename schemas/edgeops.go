package schemas

// Operations of edges become nodes, because that is where all else looks for
// them.
//
// Beside operations on nodes, that of an edge is a node on the edge. Without
// them a node is only where results meet, as in nb201: the operation of an edge
// follows every operation whose edge ends where its own begins. A node where
// edges only begin becomes an input, one where they only end an output.

var inputName, outputName = []byte("input"), []byte("output")

// edgeOperations returns the operations of edges, one an edge, nil where an edge
// has none, and the field they were in; nothing without.
func (d *Decoder) edgeOperations() (ops [][]byte, field string, ok bool) {
	m, x := &d.m, &d.m.extra
	switch {
	case !x.hasEdgeOps && len(x.thirds) == 0:
		return nil, "", true
	case x.hasEdgeOps && len(x.thirds) > 0:
		return nil, "", d.fail(ClassConflict, `operations of edges are in "edge_ops" and in "edges"; leave one of them out`)
	case !m.hasEdges:
		return nil, "", d.fail(ClassMissingField, `field "edges" is missing beside "edge_ops"; give the edges that the operations are on`)
	case x.hasEdgeOps && len(x.edgeOps) != len(m.edges)/2:
		return nil, "", d.fail(ClassValue, `field "edge_ops" has %d operations for %d edges; give one for each`, len(x.edgeOps), len(m.edges)/2)
	case x.hasEdgeOps:
		return x.edgeOps, "edge_ops", true
	}
	for len(x.thirds) < len(m.edges)/2 {
		x.thirds = append(x.thirds, nil)
	}
	return x.thirds[:len(m.edges)/2], "edges", true
}

// placeEdgeOperations makes nodes of the operations of edges.
func (d *Decoder) placeEdgeOperations() bool {
	ops, field, ok := d.edgeOperations()
	if !ok || ops == nil {
		return ok
	}
	m := &d.m
	if m.hasOps {
		if !d.inRange("edges", m.edges, len(m.ops)) {
			return false
		}
		d.subdivide(ops)
	} else if !d.lineGraph(ops, field) {
		return false
	}
	if len(m.ops) > d.limits.Nodes {
		return d.tooMany("nodes, operations of edges among them,", "edges", d.limits.Nodes)
	}
	return true
}

// subdivide puts each operation of an edge between the ends of the edge.
func (d *Decoder) subdivide(ops [][]byte) {
	m, x := &d.m, &d.m.extra
	x.scratch = append(x.scratch[:0], m.edges...)
	m.edges = m.edges[:0]
	x.edgeNode = x.edgeNode[:0]
	for e, op := range ops {
		from, to := x.scratch[2*e], x.scratch[2*e+1]
		node := int32(len(m.ops))
		x.edgeNode = append(x.edgeNode, node)
		if op == nil {
			m.edges = append(m.edges, from, to)
			continue
		}
		m.ops = append(m.ops, op)
		m.edges = append(m.edges, from, node, node, to)
	}
}

// lineGraph makes the operations of edges the nodes of a graph in which each
// follows those before it.
func (d *Decoder) lineGraph(ops [][]byte, field string) bool {
	m, x := &d.m, &d.m.extra
	given := append(x.scratch[:0], m.edges...)
	x.scratch = given
	n := 0
	for _, v := range given {
		n = max(n, int(v)+1)
	}
	if len(given) == 0 {
		return d.fail(ClassEmpty, `field "edges" is empty; an architecture of operations on edges has at least one`)
	}
	if n > d.limits.Nodes {
		return d.tooMany("nodes", "edges", d.limits.Nodes)
	}
	for e, op := range ops {
		if op == nil {
			return d.fail(ClassMissingField, `field %q: edge %d has no operation, and there are no "ops" of nodes; give each edge one, or the nodes`, field, e)
		}
	}
	if !d.acyclic(n, append([]int32(nil), given...)) {
		return false
	}
	var into topology
	into.in.build(n, given)
	starts := make([]bool, n) // whether an edge begins at the node
	edge := make([][]int32, n)
	for e := range ops {
		starts[given[2*e]] = true
		edge[given[2*e+1]] = append(edge[given[2*e+1]], int32(e))
	}
	m.ops, m.edges = m.ops[:0], m.edges[:0]
	input := make([]int32, n)
	for v := range n {
		if len(edge[v]) > 0 {
			continue
		}
		if !starts[v] {
			return d.fail(ClassEdgeRange, `field "edges": no edge begins or ends at node %d, though there are nodes up to %d; number those that edges join`, v, n-1)
		}
		input[v] = int32(len(m.ops))
		m.ops = append(m.ops, inputName)
	}
	first := int32(len(m.ops))
	m.ops = append(m.ops, ops...)
	x.edgeNode = x.edgeNode[:0]
	for e := range ops {
		from := given[2*e]
		node := first + int32(e)
		x.edgeNode = append(x.edgeNode, node)
		if len(edge[from]) == 0 {
			m.edges = append(m.edges, input[from], node)
		}
		for _, before := range edge[from] {
			m.edges = append(m.edges, first+before, node)
		}
		if len(m.edges) > 2*d.limits.Edges {
			return d.fail(ClassTooLarge, `field "edges": the operations of edges follow one another more than %d times; give the nodes operations of their own in "ops", such as "add"`, d.limits.Edges)
		}
	}
	for v := range n {
		if starts[v] {
			continue
		}
		for _, before := range edge[v] {
			m.edges = append(m.edges, first+before, int32(len(m.ops)))
		}
		m.ops = append(m.ops, outputName)
	}
	m.hasOps = true
	return true
}
