package schemas

// nbgraph is NAS-Bench-Graph (Qin et al. 2022): four operations of graph networks, each
// behind the input (0) or an earlier operation (1, 2, 3). Operations that no other reads
// lead to the output.
//
// Its notation is JSON: where each operation reads from, then the operations.
func nbgraph() *Space {
	s := &Space{
		Name: "nbgraph", K: 8, Std: 0.1, minNodes: 2, maxNodes: 6, oneEnd: true, cells: 1,
		Operations: []string{"input", "gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip", "output"},
		Notation:   `"[[0,0,1,3],[\"gat\",\"gcn\",\"fc\",\"skip\"]]"`,
	}
	const operations = 4
	s.parse = func(d *Decoder, arch []byte) bool {
		in := &d.recipe
		in.start(arch, "arch")
		var from [operations]int32
		read := [operations + 1]bool{}
		d.node(inputSymbol)
		ok := in.list(2, func(part int) bool {
			return in.list(operations, func(i int) bool {
				if part == 0 {
					var n decimal
					ok := in.number(&n)
					if !ok {
						return false
					}
					from[i] = n.node()
					if !n.whole || from[i] < 0 || int(from[i]) > i {
						return d.notation(s, in.pos, "operation %d reads from 0 to %d", i+1, i)
					}
					read[from[i]] = true
					return true
				}
				if in.peek() != '"' {
					return in.syntax("an operation in quotes")
				}
				name, ok := in.str()
				if !ok {
					return false
				}
				op, ok := d.resolve(s, name, false)
				if !ok || !s.inside(op) {
					d.failed = s.unknown("arch, operation ", i, name)
					return false
				}
				d.node(op)
				return true
			})
		})
		if !ok || !in.end() {
			return d.recipeFailed(s)
		}
		for i, u := range from {
			d.edge(int(u), i+1)
		}
		d.node(outputSymbol)
		for v := 1; v <= operations; v++ {
			if !read[v] {
				d.edge(v, operations+1)
			}
		}
		return true
	}
	return s.closed()
}

// list reads a list of exactly n elements.
func (s *scanner) list(n int, element func(i int) bool) bool {
	s.space()
	if s.peek() != '[' {
		return s.syntax("'['")
	}
	s.pos++
	i := 0
	for ; s.more(']', i == 0); i++ {
		if i == n {
			return s.syntax("']'")
		}
		if !element(i) {
			return false
		}
	}
	if s.failed == nil && i < n {
		s.pos--
		return s.syntax("',' and another element")
	}
	return s.failed == nil
}

// recipeFailed makes a fault in a notation that is JSON one of the notation.
func (d *Decoder) recipeFailed(s *Space) bool {
	if d.failed == nil {
		d.failed = reject(ClassNotation, "%s; the notation of space %q is like %s", d.recipe.failed.Reason, s.Name, s.Notation)
	}
	return false
}
