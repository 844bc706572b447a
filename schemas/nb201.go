package schemas

import "bytes"

// nb201 is NAS-Bench-201 (Dong and Yang 2020): four states, an operation on
// each of the six edges between them. Here the operations are nodes: the one
// from state i to state j follows every operation that leads to state i.
func nb201() *Space {
	s := &Space{
		Name: "nb201", K: 7, Std: 0.1, minNodes: 2, maxNodes: 8, maxEdges: 10, oneEnd: true, cells: 1,
		Operations: []string{"input", "none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "output"},
		Notation:   `"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"`,
	}
	const states = 4
	s.parse = func(d *Decoder, arch []byte) bool {
		if len(arch) > 0 && (arch[0] == '(' || arch[0] == '[') {
			ops, ok := d.nb201Tuple(s, arch)
			return ok && d.nb201Ops(s, ops)
		}
		arch = nb201Text(arch)
		d.node(inputSymbol)
		first := [states + 1]int{0, 1, 2, 4, 7} // the first node that leads to each state
		at := 0
		for to := 1; to < states; to++ {
			if to > 1 {
				if at >= len(arch) || arch[at] != '+' {
					return d.notation(s, at, "want '+' before the operations that lead to state %d", to)
				}
				at++
			}
			for from := range to {
				if at >= len(arch) || arch[at] != '|' {
					return d.notation(s, at, "want '|' and the operation from state %d to state %d", from, to)
				}
				at++
				tilde := bytes.IndexByte(arch[at:], '~')
				if tilde < 0 {
					return d.notation(s, at, "want an operation and '~%d'", from)
				}
				op, ok := d.resolve(s, arch[at:at+tilde], false)
				if !ok || !s.inside(op) {
					d.failed = s.unknown("arch, operation ", len(d.ops)-1, arch[at:at+tilde])
					return false
				}
				at += tilde + 1
				if at >= len(arch) || arch[at] != byte('0'+from) {
					return d.notation(s, at, "want state %d behind '~'", from)
				}
				at++
				node := len(d.ops)
				d.node(op)
				for before := first[from]; before < first[from+1]; before++ {
					d.edge(before, node)
				}
			}
			if at >= len(arch) || arch[at] != '|' {
				return d.notation(s, at, "want '|' behind the operations that lead to state %d", to)
			}
			at++
		}
		if at != len(arch) {
			return d.notation(s, at, "%d bytes too many", len(arch)-at)
		}
		output := len(d.ops)
		d.node(outputSymbol)
		for before := first[states-1]; before < first[states]; before++ {
			d.edge(before, output)
		}
		return true
	}
	return s.closed()
}

// nb201Ops adds six operations, in the order of nodes, and their edges.
func (d *Decoder) nb201Ops(s *Space, ops [6][]byte) bool {
	d.node(inputSymbol)
	for i, name := range ops {
		op, ok := d.resolve(s, name, false)
		if !ok || !s.inside(op) {
			return d.unresolved(s, "arch, operation ", i, name)
		}
		d.node(op)
	}
	d.node(outputSymbol)
	for _, e := range statesOfFour {
		d.edge(e[0], e[1])
	}
	return true
}

// inside reports whether op is an operation of the space other than its ends.
func (s *Space) inside(op Symbol) bool {
	return s.knows(op) && roleOf(Name(op)) == roleOperation
}
