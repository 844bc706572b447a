package schemas

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
		at := 0
		want := func(token string) bool {
			for i := range len(token) {
				for at < len(arch) && arch[at] == ' ' {
					at++
				}
				if at >= len(arch) || arch[at] != token[i] {
					return d.notation(s, at, "want %q", token)
				}
				at++
			}
			return true
		}
		digit := func(below int, what string) (int, bool) {
			for at < len(arch) && arch[at] == ' ' {
				at++
			}
			if at >= len(arch) || int(arch[at]-'0') >= below {
				return 0, d.notation(s, at, "want %s, 0 to %d", what, below-1)
			}
			at++
			return int(arch[at-1] - '0'), true
		}
		if !want("[") {
			return false
		}
		for c := range 2 {
			ops := symbols[c*len(cell) : (c+1)*len(cell)]
			start := len(d.ops)
			d.node(ops[0])
			d.node(ops[1])
			opening := "["
			if c == 1 {
				opening = ",["
			}
			if !want(opening) {
				return false
			}
			for i := range 8 {
				opening := "("
				if i > 0 {
					opening = ",("
				}
				if !want(opening) {
					return false
				}
				from, ok := digit(2+i/2, "where the operation reads from")
				if !ok || !want(",") {
					return false
				}
				op, ok := digit(len(cell)-3, "an operation")
				if !ok || !want(")") {
					return false
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
			if !want("]") {
				return false
			}
			output := len(d.ops)
			d.node(ops[len(ops)-1])
			for node := start + 2; node < output; node++ {
				d.edge(node, output)
			}
		}
		if !want("]") {
			return false
		}
		if at != len(arch) {
			return d.notation(s, at, "%d bytes too many", len(arch)-at)
		}
		return true
	}
	return s.closed()
}
