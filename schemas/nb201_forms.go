package schemas

import "bytes"

// nb201 is also written as its API prints it, Structure(4 nodes with ...), as
// that class holds it, ((('OPERATION', FROM),), ...), and as NASLib does: the
// operations of the edges (0,1) (0,2) (0,3) (1,2) (1,3) (2,3) as six numbers.

// naslibOperations are those of NASLib's numbers.
var naslibOperations = [...]string{"skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3"}

// naslibPlace is the place among NASLib's six of each edge in the order of our
// nodes.
var naslibPlace = [...]int{0, 1, 3, 2, 4, 5}

// nb201Text returns the notation of a Structure's text, arch when it is none.
func nb201Text(arch []byte) []byte {
	if rest, ok := bytes.CutPrefix(arch, []byte("Structure(")); ok {
		if _, rest, ok = bytes.Cut(rest, []byte(" with ")); ok {
			return bytes.TrimSuffix(rest, []byte(")"))
		}
	}
	return arch
}

// nb201Tuple reads the forms that begin with a bracket and returns the
// operations of the six edges in the order of our nodes.
func (d *Decoder) nb201Tuple(s *Space, arch []byte) (ops [6][]byte, ok bool) {
	p := python{src: arch}
	if !p.open() {
		return ops, false
	}
	if at := p.pos; p.open() {
		p.pos = at
		return d.nb201Structure(s, &p)
	}
	const want = "six numbers in NASLib's order, such as (4, 0, 3, 1, 4, 3)"
	var codes [6]int
	n := 0
	for first := true; p.next(first); first = false {
		code, ok := p.number()
		if !ok || n == len(codes) || code >= len(naslibOperations) {
			return ops, d.notation(s, p.pos, "want %s, each 0 to %d", want, len(naslibOperations)-1)
		}
		codes[n] = code
		n++
	}
	if n != len(codes) || !p.end() {
		return ops, d.notation(s, p.pos, "want %s", want)
	}
	for i, place := range naslibPlace {
		ops[i] = []byte(naslibOperations[codes[place]])
	}
	return ops, true
}

// nb201Structure reads the content of the outer brackets.
func (d *Decoder) nb201Structure(s *Space, p *python) (ops [6][]byte, ok bool) {
	const want = "((('OPERATION', 0),), (('OPERATION', 0), ('OPERATION', 1)), ...)"
	at, states := 0, 0
	for first := true; p.next(first) && states < 3; first = false {
		if !p.open() {
			return ops, d.notation(s, p.pos, "want %s", want)
		}
		states++
		from := 0
		for first := true; p.next(first); first = false {
			open := p.open()
			op, text := p.text()
			comma := p.take(",")
			state, number := p.number()
			if !open || !text || !comma || !number || p.next(false) || from == states || state != from {
				return ops, d.notation(s, p.pos, "want %s", want)
			}
			ops[at] = op
			at++
			from++
		}
		if from != states {
			return ops, d.notation(s, p.pos, "want %s", want)
		}
	}
	if at != len(ops) || !p.end() {
		return ops, d.notation(s, p.pos, "want %s", want)
	}
	return ops, true
}
