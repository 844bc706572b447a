package schemas

// lexicon maps the names of the members of an object to numbers. Objects of one publisher
// name the same members in the same order, or in one of a few, so the two names that
// followed a name last are tried first.
type lexicon struct {
	known []member // known[0] is the beginning of the object
	index map[string]int32
	at    int32 // the member that was read last
	round int   // the number of the object
}

// member is a name of a lexicon.
type member struct {
	text  string // in quotes, with the colon; "" when it is written otherwise
	value int32  // the number of the name
	next  [2]int32
	round int // the last object that held it
}

func newLexicon() lexicon {
	return lexicon{known: make([]member, 1), index: map[string]int32{}}
}

// begin goes to the beginning of an object.
func (l *lexicon) begin() {
	l.at = 0
	l.round++
}

// learn adds a name and returns its member.
func (l *lexicon) learn(name string, value int32) *member {
	i := int32(len(l.known))
	m := member{value: value}
	if isPlain(name) {
		m.text = `"` + name + `":`
	}
	l.known = append(l.known, m)
	l.index[name] = i
	return &l.known[i]
}

// isPlain reports whether a name needs no escape in JSON.
func isPlain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c == '"' || c == '\\' || c < ' ' {
			return false
		}
	}
	return true
}

// member reads a member's name and the colon, and goes to its value. A name
// that l does not know comes as text, and nil as the member.
func (s *scanner) member(l *lexicon) (m *member, name []byte, ok bool) {
	here := &l.known[l.at]
	rest := s.src[s.pos:]
	for i, next := range here.next {
		m = &l.known[next]
		n := len(m.text)
		if n == 0 || n >= len(rest) || string(rest[:n]) != m.text {
			continue
		}
		s.pos += n
		if rest[n] <= ' ' {
			s.space()
		}
		if i == 1 {
			here.next[0], here.next[1] = next, here.next[0]
		}
		l.at = next
		return m, nil, true
	}
	if name, ok = s.key(); !ok {
		return nil, nil, false
	}
	next, known := l.index[string(name)]
	if !known {
		return nil, name, true
	}
	here.next[0], here.next[1] = next, here.next[0]
	l.at = next
	return &l.known[next], name, true
}
