package schemas

import "bytes"

// matrixNotation reads "n|bits|digits": n nodes, of which the first is the input and the
// last the output, an adjacency matrix row by row, and the operation of each node between
// as a digit. upper says that bits hold only the part above the diagonal.
func matrixNotation(s *Space, digits []Symbol, upper bool) func(*Decoder, []byte) bool {
	return func(d *Decoder, arch []byte) bool {
		if len(arch) < 3 || !isDigit(arch[0]) || arch[1] != '|' {
			return d.notation(s, 0, "it begins with the number of nodes, one digit, and '|'")
		}
		n := int(arch[0] - '0')
		if n < s.minNodes || n > s.maxNodes {
			return d.notation(s, 0, "%d nodes, where the space has %d to %d", n, s.minNodes, s.maxNodes)
		}
		rest := arch[2:]
		bar := bytes.IndexByte(rest, '|')
		want := n * n
		if upper {
			want = n * (n - 1) / 2
		}
		if bar != want {
			return d.notation(s, 2, "%d nodes need %d bits and then '|'", n, want)
		}
		bits, ops := rest[:bar], rest[bar+1:]
		if len(ops) != n-2 {
			return d.notation(s, bar+3, "%d nodes need %d operations after the bits, found %d", n, n-2, len(ops))
		}
		d.node(inputSymbol)
		for i, c := range ops {
			if int(c-'0') >= len(digits) {
				return d.notation(s, bar+3+i, "operation %q is not one of the digits 0 to %d", c, len(digits)-1)
			}
			d.node(digits[c-'0'])
		}
		d.node(outputSymbol)
		from, to := 0, 0
		if upper {
			to = 1
		}
		for i, c := range bits {
			switch c {
			case '1':
				d.edge(from, to)
			case '0':
			default:
				return d.notation(s, 2+i, "%q is neither 0 nor 1", c)
			}
			if to++; to == n {
				from++
				to = 0
				if upper {
					to = from + 1
				}
			}
		}
		return true
	}
}
