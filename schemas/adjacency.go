package schemas

// readMatrix makes edges of an adjacency matrix, row by row from and column by
// column to, when the message has no edges; and operations of those that
// NAS-Bench-101 calls module_operations.
func (d *Decoder) readMatrix() bool {
	m, x := &d.m, &d.m.extra
	if m.hasEdges || x.matrix == nil || string(x.matrix) == "null" {
		return true
	}
	if !m.hasOps && x.matrixOps != nil {
		if !d.readMatrixOps() {
			return false
		}
	}
	in := &d.recipe.scanner
	in.start(x.matrix, "field \""+x.matrixName+"\"")
	n, columns := 0, -1
	if !in.opens('[') {
		return d.badMatrix("want a list of rows of 0 and 1")
	}
	for first := true; in.more(']', first); first = false {
		if n == d.limits.Nodes {
			return d.tooMany("nodes", x.matrixName, d.limits.Nodes)
		}
		if !in.opens('[') {
			return d.badMatrix("row %d is no list", n)
		}
		column := 0
		for first := true; in.more(']', first); first = false {
			one, ok := in.bit()
			if !ok {
				return d.badMatrix("row %d, column %d is neither 0 nor 1", n, column)
			}
			if one {
				if len(m.edges) == 2*d.limits.Edges {
					return d.tooMany("edges", x.matrixName, d.limits.Edges)
				}
				m.edges = append(m.edges, int32(n), int32(column))
			}
			column++
		}
		if columns >= 0 && column != columns {
			return d.badMatrix("row %d has %d columns, the one before %d", n, column, columns)
		}
		columns = column
		n++
	}
	if in.failed != nil || !in.end() {
		return d.badMatrix("%s", in.failed.Reason)
	}
	if columns >= 0 && columns != n {
		return d.badMatrix("%d rows of %d columns; want as many of both", n, columns)
	}
	if m.hasOps && n != len(m.ops) {
		return d.badMatrix("%d rows for %d operations; want one for each", n, len(m.ops))
	}
	m.hasEdges = true
	return true
}

func (d *Decoder) badMatrix(format string, args ...any) bool {
	return d.fail(ClassValue, "field %q: "+format, append([]any{d.m.extra.matrixName}, args...)...)
}

// opens goes into a list.
func (s *scanner) opens(bracket byte) bool {
	s.space()
	if s.peek() != bracket {
		return false
	}
	s.pos++
	return true
}

// bit reads 0 or 1, also as a fraction or as a boolean.
func (s *scanner) bit() (one, ok bool) {
	switch {
	case s.at("true"):
		s.pos += len("true")
		return true, true
	case s.at("false"):
		s.pos += len("false")
		return false, true
	}
	var n decimal
	if !s.number(&n) {
		return false, false
	}
	x, finite := s.float(&n)
	return x == 1, finite && (x == 0 || x == 1)
}

func (d *Decoder) readMatrixOps() bool {
	m := &d.m
	in := &d.recipe.scanner
	in.start(m.extra.matrixOps, `field "module_operations"`)
	in.text = in.text[:0]
	if !in.opens('[') {
		return d.fail(ClassWrongType, `field "module_operations": want a list of names of operations`)
	}
	for first := true; in.more(']', first); first = false {
		if len(m.ops) == d.limits.Nodes {
			return d.tooMany("nodes", "module_operations", d.limits.Nodes)
		}
		if in.peek() != '"' {
			return d.fail(ClassWrongType, `field "module_operations": operation %d is no name in quotes`, len(m.ops))
		}
		op, ok := in.str()
		if !ok {
			break
		}
		if len(op) == 0 || len(op) > d.limits.OpBytes {
			return d.fail(ClassValue, `field "module_operations": operation %d has a name of %d bytes; give it 1 to %d`, len(m.ops), len(op), d.limits.OpBytes)
		}
		m.ops = append(m.ops, op)
	}
	if in.failed != nil {
		d.failed = in.failed
		return false
	}
	m.hasOps = true
	return true
}
