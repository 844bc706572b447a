package schemas

import "bytes"

// tnb101 is TransNAS-Bench-101 (Duan et al. 2021). Its notation is the width of
// the stem, the modules of the skeleton as digits (1 plain, 2 twice as wide, 3
// half the resolution, 4 both), and the cell: the operations that lead to its
// second, third and fourth state, as in nb201 (0 none, 1 skip, 2 and 3
// convolutions of 1x1 and 3x3). Architectures of its macro space say "basic" in
// place of the cell.
//
// The cell is the graph; the skeleton, the same for all of a task in the micro
// space, is in hyperparameters. In the macro space the modules are the graph.
func tnb101() *Space {
	cell := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3"}
	modules := []string{"module", "module_wide", "module_half", "module_wide_half"}
	s := &Space{
		Name: "tnb101", K: 8, Std: 0.1, minNodes: 2, maxNodes: 10, oneEnd: true, cells: 1,
		Notation: `"64-41414-1_02_333"`,
	}
	s.Operations = append(append(append([]string{"input"}, cell...), modules...), "output")
	ops := internAll(cell)
	module := internAll(modules)
	s.parse = func(d *Decoder, arch []byte) bool {
		p := python{src: arch}
		width, ok := p.number()
		if !ok || !p.take("-") {
			return d.notation(s, p.pos, "want the width of the stem and '-'")
		}
		begin := p.pos
		skeleton, rest, ok := bytes.Cut(arch[begin:], []byte("-"))
		if !ok || len(skeleton) == 0 || len(skeleton) > 8 || len(bytes.Trim(skeleton, "1234")) > 0 {
			return d.notation(s, begin, "want 1 to 8 digits, 1 to 4, and '-'")
		}
		d.whole("width", float64(width))
		d.node(inputSymbol)
		if string(rest) == "basic" {
			for i, digit := range skeleton {
				d.node(module[digit-'1'])
				d.edge(i, i+1)
			}
			d.node(outputSymbol)
			d.edge(len(skeleton), len(skeleton)+1)
			return true
		}
		for i, digit := range skeleton {
			d.whole("skeleton."+string(rune('0'+i)), float64(digit-'0'))
		}
		at := begin + len(skeleton) + 1
		if len(rest) != len("1_02_333") || rest[1] != '_' || rest[4] != '_' {
			return d.notation(s, at, `want a cell such as 1_02_333, or "basic"`)
		}
		digits := append(append(append([]byte{}, rest[0]), rest[2:4]...), rest[5:]...)
		for _, digit := range digits {
			if int(digit-'0') >= len(ops) {
				return d.notation(s, at, "operation %q is not one of the digits 0 to %d", digit, len(ops)-1)
			}
			d.node(ops[digit-'0'])
		}
		d.node(outputSymbol)
		for _, e := range statesOfFour {
			d.edge(e[0], e[1])
		}
		return true
	}
	return s.closed()
}

// statesOfFour are the edges between the operations that join four states, each
// with all before it: nodes 1 to 6 between the input and the output.
var statesOfFour = [...][2]int{{0, 1}, {0, 2}, {0, 4}, {1, 3}, {1, 5}, {2, 6}, {3, 6}, {4, 7}, {5, 7}, {6, 7}}

// whole adds a hyperparameter that a notation gives.
func (d *Decoder) whole(name string, value float64) {
	x := d.extra()
	x.attributes = append(x.attributes, rawAttribute{of: ofWhole, name: []byte(name), number: value})
}

// nodeAttribute adds an attribute of the node that was added last.
func (d *Decoder) nodeAttribute(name string, value float64) {
	x := d.extra()
	x.attributes = append(x.attributes, rawAttribute{of: ofNode, at: int32(len(d.ops) - 1), name: []byte(name), number: value})
}
