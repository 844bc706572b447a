package schemas

import "bytes"

// nb301 is the DARTS space of NAS-Bench-301 (Zela et al. 2022): a normal and a
// reduction cell of eight operations each, two for each of four states, that
// read the outputs of the two cells before (0 and 1) or an earlier state
// (2, 3, 4). All operations lead to the output.
//
// Its notation lists both cells as pairs (from, operation).
func nb301() *Space {
	cell := []string{"c_k-2", "c_k-1", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "output"}
	s := &Space{
		Name: "nb301", K: 12, Std: 0.1, minNodes: 2, maxNodes: 22, maxEdges: 48, cells: 2,
		Notation: `"[[(0,4),(1,5),(2,1),(1,3),(1,0),(0,4),(2,5),(4,0)],[(0,0),(1,3),(1,5),(0,2),(0,2),(2,1),(3,1),(1,4)]]"`,
	}
	s.Operations = append(s.Operations, cell...)
	for _, op := range cell {
		s.Operations = append(s.Operations, reducePrefix+op)
	}
	symbols := internAll(s.Operations)
	s.parse = func(d *Decoder, arch []byte) bool {
		if bytes.HasPrefix(arch, []byte("Genotype")) {
			return d.nb301Genotype(s, arch)
		}
		p := &python{src: arch}
		if !p.open() {
			return d.notation(s, p.pos, "want two cells in brackets")
		}
		for c := range 2 {
			if !p.next(c == 0) || !d.nb301Cell(s, p, symbols[c*len(cell):(c+1)*len(cell)]) {
				return d.failed == nil && d.notation(s, p.pos, "want two cells of eight pairs")
			}
		}
		if p.next(false) || !p.end() {
			return d.notation(s, p.pos, "want the end after two cells")
		}
		return true
	}
	return s.closed()
}

// nb301Cell reads eight pairs (from, operation) and adds their cell. ops are its
// operations: two inputs, those of the digits, the output.
func (d *Decoder) nb301Cell(s *Space, p *python, ops []Symbol) bool {
	start := len(d.ops)
	d.node(ops[0])
	d.node(ops[1])
	if !p.open() {
		return d.notation(s, p.pos, "want a cell in brackets")
	}
	for i := range 8 {
		if !p.next(i == 0) || !p.open() {
			return d.notation(s, p.pos, "want a pair (from, operation), eight a cell")
		}
		from, ok := p.number()
		if states := 2 + i/2; !ok || from >= states {
			return d.notation(s, p.pos, "want where the operation reads from, 0 to %d", states-1)
		}
		if !p.take(",") {
			return d.notation(s, p.pos, "want ','")
		}
		op, ok := p.number()
		if !ok || op >= len(ops)-3 {
			return d.notation(s, p.pos, "want an operation, 0 to %d", len(ops)-4)
		}
		if p.next(false) {
			return d.notation(s, p.pos, "want the end of the pair")
		}
		node := len(d.ops)
		d.node(ops[2+op])
		if from < 2 {
			d.edge(start+from, node)
		} else { // a state is the sum of its two operations
			d.edge(start+2*from-2, node)
			d.edge(start+2*from-1, node)
		}
	}
	if p.next(false) {
		return d.notation(s, p.pos, "want the end of the cell after eight pairs")
	}
	output := len(d.ops)
	d.node(ops[len(ops)-1])
	for node := start + 2; node < output; node++ {
		d.edge(node, output)
	}
	return true
}
