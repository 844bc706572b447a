package schemas

import "math"

// edgesField reads a list of pairs of node numbers. The third element of an
// edge is its operation.
func (d *Decoder) edgesField(name string, dst []int32) (edges []int32, given, ok bool) {
	if d.null() {
		return dst, false, true
	}
	if d.peek() != '[' {
		return dst, false, d.wrongType(name, "a list of "+pairsOfNodes)
	}
	d.pos++
	for first := true; d.more(']', first); first = false {
		if len(dst) == 2*d.limits.Edges {
			return dst, false, d.tooMany("edges", name, d.limits.Edges)
		}
		// Nearly every pair is like [3,12].
		if from, to, n := shortPair(d.src[d.pos:]); n > 0 {
			dst = append(dst, from, to)
			d.pos += n
			continue
		}
		from, to, ok := d.longEdge(name, len(dst)/2)
		if !ok {
			return dst, false, false
		}
		dst = append(dst, from, to)
	}
	return dst, true, d.failed == nil
}

const pairsOfNodes = "pairs [from, to] of node numbers"

// longEdge reads an edge in any of its forms.
func (d *Decoder) longEdge(field string, number int) (from, to int32, ok bool) {
	if d.peek() != '[' {
		return 0, 0, d.wrongType(field, pairsOfNodes)
	}
	at, n := d.pos, 0
	var ends [2]int32
	d.pos++
	for first := true; d.more(']', first); first = false {
		c := d.peek()
		switch {
		case c == '-' || isDigit(c):
			v, ok := d.nodeNumber(field)
			if !ok {
				return 0, 0, false
			}
			if n < 2 {
				ends[n] = v
			}
		case n == 2 && (c == '"' || c == '{') && field == "edges":
			if !d.thirdOfEdge(field, number) {
				return 0, 0, false
			}
			n-- // an edge of two numbers
		default:
			return 0, 0, d.wrongType(field, pairsOfNodes)
		}
		n++
	}
	if d.failed != nil {
		return 0, 0, false
	}
	if n != 2 {
		return 0, 0, d.fail(ClassWrongType, "field %q at byte %d: an edge of %d numbers; want %s", field, at, n, pairsOfNodes)
	}
	return ends[0], ends[1], true
}

// thirdOfEdge reads the operation of an edge.
func (d *Decoder) thirdOfEdge(field string, number int) bool {
	op, ok := d.operationValue(field, ofThird, number)
	if !ok {
		return false
	}
	x := d.extra()
	for len(x.thirds) <= number {
		x.thirds = append(x.thirds, nil)
	}
	if x.thirds[number] != nil {
		return d.fail(ClassWrongType, "field %q: edge %d has two operations; want [from, to, operation]", field, number)
	}
	x.thirds[number] = op
	return true
}

// nodeNumber reads the number of a node: a whole number, however written.
func (d *Decoder) nodeNumber(field string) (int32, bool) {
	var n decimal
	if !d.number(&n) {
		return 0, false
	}
	if !n.whole {
		x, finite := d.float(&n)
		if !finite || x != math.Trunc(x) {
			return 0, d.fail(ClassWrongType, "field %q at byte %d: %s is no whole number; node numbers are like 0, 1, 2", field, n.at, clip(d.written(&n)))
		}
		if x >= 0 && x <= math.MaxInt32 {
			return int32(x), true
		}
	} else if v := n.node(); v >= 0 {
		return v, true
	}
	return 0, d.fail(ClassEdgeRange, "field %q at byte %d: there is no node %s; number the nodes from 0", field, n.at, clip(d.written(&n)))
}

// shortPair reads [a,b] with numbers of one or two digits and no spaces. It
// returns the bytes that this took, 0 for anything else.
func shortPair(b []byte) (from, to int32, n int) {
	if len(b) < 8 || b[0] != '[' || !isDigit(b[1]) {
		return 0, 0, 0
	}
	from, n = int32(b[1]-'0'), 2
	if isDigit(b[2]) && from > 0 {
		from, n = from*10+int32(b[2]-'0'), 3
	}
	if b[n] != ',' || !isDigit(b[n+1]) {
		return 0, 0, 0
	}
	to, n = int32(b[n+1]-'0'), n+2
	if isDigit(b[n]) && to > 0 {
		to, n = to*10+int32(b[n]-'0'), n+1
	}
	if b[n] != ']' {
		return 0, 0, 0
	}
	return from, to, n + 1
}
