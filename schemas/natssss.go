package schemas

// natsSSS is the size space of NATS-Bench (Dong et al. 2021): the widths of five
// layers. Its notation is the widths with ':' between them.
func natsSSS() *Space {
	s := &Space{
		Name: "nats-sss", K: 8, Std: 0.1, minNodes: 3, maxNodes: 12, oneEnd: true, cells: 1,
		Operations: []string{"input", "layer", "output"},
		Notation:   `"16:40:56:24:40"`,
	}
	layer := MustIntern("layer")
	s.parse = func(d *Decoder, arch []byte) bool {
		p := python{src: arch}
		d.node(inputSymbol)
		for n := 0; n == 0 || p.take(":"); n++ {
			width, ok := p.number()
			if !ok || width == 0 || n == s.maxNodes-2 {
				return d.notation(s, p.pos, "want 1 to %d widths with ':' between them", s.maxNodes-2)
			}
			d.node(layer)
			d.nodeAttribute("width", float64(width))
			d.edge(n, n+1)
		}
		if !p.end() {
			return d.notation(s, p.pos, "want ':' or the end")
		}
		d.node(outputSymbol)
		d.edge(len(d.ops)-2, len(d.ops)-1)
		return true
	}
	return s.closed()
}
