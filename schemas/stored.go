package schemas

// StoredGraph is an architecture as tables have it: decoded, in topological order.
type StoredGraph struct {
	Ops        []string
	Edges      []int32 // from, to, from, to, ...
	Attributes []StoredAttribute
}

// StoredAttribute is an attribute of a node, or of WholeGraph: a number, a text, or
// both, which is a boolean.
type StoredAttribute struct {
	Node   int32
	Name   string
	Number *float64
	Text   *string
}

// Stored appends a candidate of a space with no more than its graph, as Candidate
// appends one that came in a message: to the same identities and the same columns.
func (d *Decoder) Stored(dst *Candidates, space string, g *StoredGraph) *Rejection {
	d.start(nil, "the row")
	d.m.reset()
	d.m.space = []byte(space)
	s := d.spaceOf()
	if s == nil || !d.stored(s, g) {
		return d.failed
	}
	d.appendRow(dst, s)
	return nil
}

// stored is graph for a graph that was decoded before.
func (d *Decoder) stored(s *Space, g *StoredGraph) bool {
	d.attributes = d.attributes[:0]
	if len(d.own.Start) > 0 {
		d.forgetOwn()
	}
	n := len(g.Ops)
	if n == 0 {
		return d.fail(ClassEmpty, "the row has no nodes")
	}
	for _, v := range g.Edges {
		if v < 0 {
			return d.fail(ClassEdgeRange, "the row has an edge of node %d", v)
		}
	}
	if len(g.Edges)%2 != 0 || !d.inRange("edges", g.Edges, n) {
		return d.failed == nil && d.fail(ClassEdgeRange, "the row has half an edge")
	}
	d.ops, d.edges = sized(d.ops, n), append(d.edges[:0], g.Edges...)
	for i, name := range g.Ops {
		op, ok := d.resolve(s, []byte(name), false)
		if !ok {
			return d.unresolved(s, "ops", i, []byte(name))
		}
		d.ops[i] = op
	}
	if !d.sort(s) {
		return false
	}
	if d.moved {
		return d.fail(ClassRule, "the edges of the row are not in topological order")
	}
	for i := range g.Attributes {
		d.attributes = append(d.attributes, d.storedAttribute(&g.Attributes[i]))
	}
	sortAttributes(d.attributes, &d.own)
	d.failed = s.check(&d.ids, d.ops, d.edges)
	return d.failed == nil
}

func (d *Decoder) storedAttribute(x *StoredAttribute) Attribute {
	a := Attribute{Node: x.Node, Name: d.symbol([]byte(x.Name)), Kind: NumberKind, Text: NoSymbol}
	switch {
	case x.Number != nil && x.Text != nil:
		a.Kind, a.Number = BooleanKind, *x.Number
	case x.Number != nil:
		a.Number = *x.Number
	case x.Text != nil:
		a.Kind, a.Text = TextKind, d.symbol([]byte(*x.Text))
	}
	return a
}
