package schemas

import "slices"

// nb301 is also written as the text of a DARTS Genotype, and as NASLib's compact
// tuples, which are the benchmark's own pairs in round brackets.

// nb301Genotype reads a Genotype that lies in the space.
func (d *Decoder) nb301Genotype(s *Space, arch []byte) bool {
	const other = "; name a space of your own, which takes any Genotype"
	g, err := ParseGenotype(arch)
	if err != nil {
		return d.notation(s, 0, "%s", err)
	}
	for _, c := range g.Cells {
		for i, op := range c.Ops {
			if symbol, ok := Lookup(op); !ok || !s.inside(symbol) {
				return d.fail(ClassUnknownOperation, "arch: operation %d of %s, %.60q, is none of space %q%s", i, c.Name, op, s.Name, other)
			}
		}
	}
	for _, c := range g.Cells {
		concat := slices.Clone(c.Concat)
		slices.Sort(concat)
		if len(c.Ops) != 8 {
			return d.fail(ClassNotation, "arch: %s has %d operations, where space %q has 8 a cell%s", c.Name, len(c.Ops), s.Name, other)
		}
		if len(concat) > 0 && !slices.Equal(concat, []int{2, 3, 4, 5}) {
			return d.fail(ClassNotation, "arch: %s_concat is %v, where space %q has 2, 3, 4 and 5%s", c.Name, concat, s.Name, other)
		}
	}
	if len(g.Cells) != 2 {
		return d.fail(ClassNotation, "arch: a Genotype without a reduction cell, which space %q has%s", s.Name, other)
	}
	return d.genotype(s, g)
}

// genotype adds the cells of a Genotype to the graph.
func (d *Decoder) genotype(s *Space, g *Genotype) bool {
	for i, c := range g.Cells {
		ops, edges := c.Graph()
		first := len(d.ops)
		if first+len(ops) > d.limits.Nodes {
			return d.tooMany("nodes", "arch", d.limits.Nodes)
		}
		for k, op := range ops {
			if len(op) == 0 || len(op) > d.limits.OpBytes {
				return d.fail(ClassValue, "arch: operation %d of %s has a name of %d bytes; give it 1 to %d", k, c.Name, len(op), d.limits.OpBytes)
			}
			symbol, ok := d.resolve(s, []byte(op), i == 1)
			if !ok {
				return d.unresolved(s, "arch, "+c.Name, k, []byte(op))
			}
			d.node(symbol)
		}
		for e := 0; e < len(edges); e += 2 {
			d.edge(first+int(edges[e]), first+int(edges[e+1]))
		}
	}
	return true
}

// openNotation reads the notation of every space: a Genotype.
func (d *Decoder) openNotation(s *Space, arch []byte) bool {
	g, err := ParseGenotype(arch)
	if err != nil {
		return d.fail(ClassNotation, "arch: %s", err)
	}
	return d.genotype(s, g)
}
