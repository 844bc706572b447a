package schemas

// nbmacro is NAS-Bench-Macro (Su et al. 2021): eight layers, each the identity
// or an inverted bottleneck of one of two sizes. Its notation is a digit a
// layer.
func nbmacro() *Space {
	s := &Space{
		Name: "nbmacro", K: 8, Std: 0.1, minNodes: 10, maxNodes: 10, oneEnd: true, cells: 1,
		Operations: []string{"input", "identity", "mb3_k3", "mb6_k5", "output"},
		Notation:   `"02012100"`,
	}
	const layers = 8
	ops := internAll(s.Operations[1:4])
	kernel, expansion := [...]float64{0, 3, 5}, [...]float64{0, 3, 6}
	s.parse = func(d *Decoder, arch []byte) bool {
		if len(arch) != layers {
			return d.notation(s, 0, "want %d digits, found %d bytes", layers, len(arch))
		}
		d.node(inputSymbol)
		for i, c := range arch {
			if int(c-'0') >= len(ops) {
				return d.notation(s, i, "operation %q is not one of the digits 0 to %d", c, len(ops)-1)
			}
			d.node(ops[c-'0'])
			if k := c - '0'; k > 0 {
				d.nodeAttribute("kernel", kernel[k])
				d.nodeAttribute("expansion", expansion[k])
			}
			d.edge(i, i+1)
		}
		d.node(outputSymbol)
		d.edge(layers, layers+1)
		return true
	}
	return s.closed()
}
