package schemas

import (
	"bytes"
	"strings"
)

// This file turns the fields of a message into a graph of symbols.

// spaceOf returns the space that the message names, nil after failing.
func (d *Decoder) spaceOf() *Space {
	if d.m.space == nil {
		d.fail(ClassMissingField, `field "space" is missing; name the search space: %s, or one of your own`, strings.Join(SpaceNames(), ", "))
		return nil
	}
	for _, s := range spaces {
		if s.Name == string(d.m.space) {
			return s
		}
	}
	if s, ok := d.spaces[string(d.m.space)]; ok {
		return s
	}
	if !validSpace(d.m.space) {
		d.fail(ClassUnknownSpace, `field "space" is %.80q; name a space with 1 to %d letters, digits, '.', '_' and '-': one of %s, or one of your own`, d.m.space, maxSpaceName, strings.Join(SpaceNames(), ", "))
		return nil
	}
	s := ownSpace(string(d.m.space))
	if len(d.spaces) >= rememberedSpaces || d.spaces == nil {
		d.spaces = map[string]*Space{}
	}
	d.spaces[s.Name] = s
	return s
}

// rememberedSpaces bounds the spaces that a decoder has at hand.
const rememberedSpaces = 1024

// spaceSymbol returns the symbol of a space, one of the message's own when the
// process keeps no more names.
func (d *Decoder) spaceSymbol(s *Space) Symbol {
	if s.symbol == NoSymbol {
		if symbol, ok := internForeign(s.Name); ok {
			s.symbol = symbol
			return symbol
		}
		return d.ownName(s.Name)
	}
	return s.symbol
}

// graph leaves the architecture in d.ops, d.edges, d.attributes and
// d.topology.in, in topological order, without repeated edges.
func (d *Decoder) graph(s *Space) bool {
	m := &d.m
	d.ops, d.edges, d.attributes = d.ops[:0], d.edges[:0], d.attributes[:0]
	if len(d.own.Start) > 0 {
		d.forgetOwn()
	}
	if m.extra.used && (!d.readMatrix() || !d.placeEdgeOperations()) {
		return false
	}
	switch {
	case m.hasOps:
		if !d.given(s) || !d.sort(s) || !d.internOps(s) {
			return false
		}
	case m.hasEdges || m.hasOpsReduce || m.hasEdgesReduce:
		return d.fail(ClassMissingField, `field "ops" is missing, though other fields of a graph are there; give the operations of its nodes`)
	case m.arch == nil && m.extra.hasHyperparameters && s.known == nil:
		if !d.hyperparametersAlone() {
			return false
		}
	case m.arch == nil:
		return d.noArchitecture()
	case s.parse == nil && !bytes.HasPrefix(m.arch, []byte("Genotype(")):
		return d.noNotation(s)
	case s.parse == nil:
		if !d.openNotation(s, m.arch) || !d.sort(s) {
			return false
		}
	default:
		if !s.parse(d, m.arch) || !d.sort(s) {
			return false
		}
	}
	if d.moved {
		d.topology.permute(d.ops)
	}
	if len(m.extra.attributes) > 0 && !d.settleAttributes() {
		return false
	}
	d.failed = s.check(&d.ids, d.ops, d.edges)
	return d.failed == nil
}

func (d *Decoder) noArchitecture() bool {
	if x := d.m.extra.foreign; x != "" {
		cure := "`archflow import` makes candidates of what other programs write"
		if x == "arch_str" {
			cure = `give it as "arch"`
		}
		return d.fail(ClassMissingField, `the architecture is missing: field %q is another program's; %s`, x, cure)
	}
	return d.fail(ClassMissingField, `the architecture is missing; give "ops" and "edges", "hyperparameters", or "arch" in the notation of the space`)
}

func (d *Decoder) noNotation(s *Space) bool {
	if like := similarSpace(s.Name); like != "" {
		return d.fail(ClassMissingField, `field "ops" is missing; space %q has no notation for "arch". Is it %q that was meant? Otherwise give "ops" and "edges"`, s.Name, like)
	}
	return d.fail(ClassMissingField, `field "ops" is missing; space %q has no notation for "arch", give "ops" and "edges"`, s.Name)
}

// hyperparametersAlone makes the graph of a candidate that has no other.
func (d *Decoder) hyperparametersAlone() bool {
	if len(d.m.extra.attributes) == 0 {
		return d.fail(ClassEmpty, `field "hyperparameters" is empty, and there is no graph; give one of them`)
	}
	d.node(hyperparametersSymbol)
	d.topology.in.build(1, d.edges)
	d.moved = false
	return true
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
		return d.fail(ClassRule, `field "ops_reduce": space %q has one cell; leave it out, or name a space of your own`, s.Name)
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
	if d.moved && !d.acyclic(n, d.edges) {
		return false
	}
	d.topology.in.build(n, d.edges)
	if !ascending {
		d.edges = d.topology.merge(n, d.edges)
	}
	return true
}

// acyclic renumbers edges topologically, by d.topology.rank.
func (d *Decoder) acyclic(n int, edges []int32) bool {
	for e := 0; e < len(edges); e += 2 {
		if edges[e] == edges[e+1] {
			return d.fail(ClassSelfLoop, "edges: edge %d leads from node %d to itself; an architecture is a graph without cycles, remove it", e/2, edges[e])
		}
	}
	if cycle := d.topology.order(n, edges); cycle >= 0 {
		return d.fail(ClassCycle, "edges: node %d lies on a cycle; an architecture is a graph without cycles, remove one of its edges", cycle)
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
	d.failed = s.unknown(field, i, name)
	return false
}

// resolve returns the symbol of an operation, false if the space has none of
// that name.
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
		if op, ok = internForeign(full); !ok {
			return d.ownName(full), true
		}
	}
	known.add(full[len(full)-len(name):], op)
	return op, s.knows(op)
}

// symbol returns the symbol of any other name.
func (d *Decoder) symbol(name []byte) Symbol {
	if s, ok := d.names.find(name); ok {
		return s
	}
	s, ok := internForeign(string(name))
	if !ok {
		return d.ownName(string(name))
	}
	d.names.add(string(name), s)
	return s
}

// ownName returns the symbol of a name that stays with the message.
func (d *Decoder) ownName(name string) Symbol {
	if s, ok := d.ownSymbol[name]; ok {
		return s
	}
	if d.ownSymbol == nil {
		d.ownSymbol = map[string]Symbol{}
	}
	s := localSymbol(d.own.Len())
	d.ownSymbol[name] = s
	d.own.Append([]byte(name))
	d.ids.own = append(d.ids.own, operationOf(name))
	return s
}

func (d *Decoder) forgetOwn() {
	d.own.Start, d.own.Data, d.ids.own = d.own.Start[:0], d.own.Data[:0], d.ids.own[:0]
	clear(d.ownSymbol)
}

// settleAttributes brings the attributes of the message into order, under the
// numbers that the nodes have now.
func (d *Decoder) settleAttributes() bool {
	m := &d.m
	x := &m.extra
	for i := range x.attributes {
		raw := &x.attributes[i]
		a := Attribute{Node: raw.at, Name: d.symbol(raw.name), Kind: raw.kind, Text: NoSymbol, Number: raw.number}
		switch raw.of {
		case ofWhole:
			a.Node = WholeGraph
		case ofReduce:
			a.Node += int32(len(m.ops))
		case ofEdge, ofThird:
			a.Node = x.edgeNode[raw.at]
		}
		if a.Node >= 0 && d.moved {
			a.Node = d.topology.rank[a.Node]
		}
		if raw.kind == TextKind {
			a.Text = d.symbol(raw.text)
		}
		d.attributes = append(d.attributes, a)
	}
	sortAttributes(d.attributes, &d.own)
	for i := 1; i < len(d.attributes); i++ {
		if a, b := &d.attributes[i-1], &d.attributes[i]; a.Node == b.Node && a.Name == b.Name {
			return d.fail(ClassConflict, `field "hyperparameters": a list and another member both give %.60q; rename one of them`, nameIn(&d.own, 0, a.Name))
		}
	}
	return true
}
