package schemas

// python reads the texts that Python programs print of tuples, lists, strings,
// numbers, ranges and named tuples.
type python struct {
	src []byte
	pos int
	cut bool // a tuple or list ended without its bracket
}

func (p *python) space() {
	for p.pos < len(p.src) && (p.src[p.pos] == ' ' || p.src[p.pos] == '\n' || p.src[p.pos] == '\t' || p.src[p.pos] == '\r') {
		p.pos++
	}
}

// take goes behind a token if it is there.
func (p *python) take(token string) bool {
	p.space()
	if len(p.src)-p.pos < len(token) || string(p.src[p.pos:p.pos+len(token)]) != token {
		return false
	}
	p.pos += len(token)
	return true
}

// open goes into a tuple or list.
func (p *python) open() bool { return p.take("(") || p.take("[") }

// next goes to the next element of a tuple or list; false at its end, or when it
// has none.
func (p *python) next(first bool) bool {
	switch {
	case p.take(")") || p.take("]"):
		return false
	case first:
		return true
	case !p.take(","):
		p.cut = true
		return false
	}
	return !p.take(")") && !p.take("]")
}

// number reads a whole number of at most nine digits.
func (p *python) number() (n int, ok bool) {
	p.space()
	at := p.pos
	for ; p.pos < len(p.src) && isDigit(p.src[p.pos]) && p.pos < at+9; p.pos++ {
		n = n*10 + int(p.src[p.pos]-'0')
	}
	return n, p.pos > at
}

// text reads a string in quotes of either kind, without escapes.
func (p *python) text() (s []byte, ok bool) {
	p.space()
	if p.pos >= len(p.src) || p.src[p.pos] != '\'' && p.src[p.pos] != '"' {
		return nil, false
	}
	quote, at := p.src[p.pos], p.pos+1
	for p.pos = at; p.pos < len(p.src); p.pos++ {
		switch p.src[p.pos] {
		case '\\':
			return nil, false
		case quote:
			p.pos++
			return p.src[at : p.pos-1], true
		}
	}
	return nil, false
}

// end says whether all that was open is closed and nothing follows.
func (p *python) end() bool {
	p.space()
	return p.pos == len(p.src) && !p.cut
}
