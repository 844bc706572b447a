package schemas

import "strings"

// This file turns the fields of a message into a graph of symbols.

// spaceOf returns the space that the message names, nil after failing.
func (d *Decoder) spaceOf() *Space {
	if d.m.space == nil {
		d.fail(ClassMissingField, `field "space" is missing; name the search space: %s`, strings.Join(SpaceNames(), ", "))
		return nil
	}
	for _, s := range spaces {
		if s.Name == string(d.m.space) {
			return s
		}
	}
	d.fail(ClassUnknownSpace, `field "space": there is no space %.60q; use one of %s; "dag" takes any operations`, d.m.space, strings.Join(SpaceNames(), ", "))
	return nil
}

// graph leaves the architecture in d.ops, d.edges and d.topology.in, in
// topological order, without repeated edges.
func (d *Decoder) graph(s *Space) bool {
	m := &d.m
	d.ops, d.edges = d.ops[:0], d.edges[:0]
	switch {
	case m.hasOps:
		if !d.given(s) || !d.sort(s) || !d.internOps(s) {
			return false
		}
	case m.hasEdges || m.hasOpsReduce || m.hasEdgesReduce:
		return d.fail(ClassMissingField, `field "ops" is missing, though other fields of a graph are there; give the operations of its nodes`)
	case m.arch == nil:
		return d.fail(ClassMissingField, `the architecture is missing; give "ops" and "edges", or "arch" in the notation of the space`)
	case s.parse == nil:
		return d.fail(ClassMissingField, `field "ops" is missing; space %q has no notation for "arch", give "ops" and "edges"`, s.Name)
	default:
		if !s.parse(d, m.arch) || !d.sort(s) {
			return false
		}
	}
	if d.moved {
		d.topology.permute(d.ops)
	}
	d.failed = s.check(&d.ids, d.ops, d.edges)
	return d.failed == nil
}

// given puts the edges of both cells into d.edges, and room for the operations
// into d.ops.
func (d *Decoder) given(s *Space) bool {
	m := &d.m
	if !m.hasEdges {
		return d.fail(ClassMissingField, `field "edges" is missing beside "ops"; give [] when there are none`)
	}
	if m.hasOpsReduce != m.hasEdgesReduce {
		return d.fail(ClassMissingField, `of the fields "ops_reduce" and "edges_reduce" one is missing; give both or neither`)
	}
	if m.hasOpsReduce && s.cells < 2 {
		return d.fail(ClassRule, `field "ops_reduce": space %q has one cell; leave it out, or use space "dag"`, s.Name)
	}
	first, n := len(m.ops), len(m.ops)+len(m.opsReduce)
	if n == 0 {
		return d.fail(ClassEmpty, `field "ops" is empty; an architecture has at least one node`)
	}
	if n > d.limits.Nodes {
		return d.tooMany("nodes in both cells", "ops", d.limits.Nodes)
	}
	if len(m.edges)+len(m.edgesReduce) > 2*d.limits.Edges {
		return d.tooMany("edges in both cells", "edges", d.limits.Edges)
	}
	if !d.inRange("edges", m.edges, first) || !d.inRange("edges_reduce", m.edgesReduce, n-first) {
		return false
	}
	d.ops = sized(d.ops, n)
	d.edges = append(d.edges, m.edges...)
	for _, v := range m.edgesReduce {
		d.edges = append(d.edges, v+int32(first))
	}
	return true
}

func (d *Decoder) inRange(field string, edges []int32, n int) bool {
	for e, v := range edges {
		if int(v) >= n {
			return d.fail(ClassEdgeRange, "field %q: edge %d, [%d, %d], names a node that is not there; there are %d operations, so nodes are 0 to %d",
				field, e/2, edges[e&^1], edges[e|1], n, n-1)
		}
	}
	return true
}

// sort renumbers the edges topologically.
func (d *Decoder) sort(s *Space) bool {
	n := len(d.ops)
	inOrder, ascending := survey(d.edges)
	d.moved = !inOrder
	if d.moved {
		for e := 0; e < len(d.edges); e += 2 {
			if d.edges[e] == d.edges[e+1] {
				return d.fail(ClassSelfLoop, "edges: edge %d leads from node %d to itself; an architecture is a graph without cycles, remove it", e/2, d.edges[e])
			}
		}
		if cycle := d.topology.order(n, d.edges); cycle >= 0 {
			return d.fail(ClassCycle, "edges: node %d lies on a cycle; an architecture is a graph without cycles, remove one of its edges", cycle)
		}
	}
	d.topology.in.build(n, d.edges)
	if !ascending {
		d.edges = d.topology.merge(n, d.edges)
	}
	return true
}

// internOps finds the symbols of the operations that were given by name. It
// comes last, so that a graph that is refused adds no names to the process.
func (d *Decoder) internOps(s *Space) bool {
	first := len(d.m.ops)
	for i, name := range d.m.ops {
		op, ok := d.resolve(s, name, false)
		if !ok {
			return d.unresolved(s, "ops", i, name)
		}
		d.ops[i] = op
	}
	for i, name := range d.m.opsReduce {
		op, ok := d.resolve(s, name, true)
		if !ok {
			return d.unresolved(s, "ops_reduce", i, name)
		}
		d.ops[first+i] = op
	}
	return true
}

func (d *Decoder) unresolved(s *Space, field string, i int, name []byte) bool {
	if s.known != nil {
		d.failed = s.unknown(field, i, name)
		return false
	}
	return d.fail(ClassTooManyNames, "%s[%d]: operation %.60q is one name too many; a process remembers %d names of operations, proxies and tasks; use fewer, and restart archflow to forget", field, i, name, MaxSymbols)
}

// resolve returns the symbol of an operation, false if the space has none of
// that name or there are too many names.
func (d *Decoder) resolve(s *Space, name []byte, reduce bool) (Symbol, bool) {
	known := &d.names
	if reduce {
		known = &d.reduced
	}
	if op, ok := known.find(name); ok {
		return op, s.knows(op)
	}
	full := string(name)
	if reduce {
		full = reducePrefix + full
	}
	op, ok := Lookup(full)
	if !ok {
		if s.known != nil {
			return NoSymbol, false
		}
		var err error
		if op, err = Intern(full); err != nil {
			return NoSymbol, false
		}
	}
	known.add(full[len(full)-len(name):], op)
	return op, s.knows(op)
}
