package schemas

import (
	"encoding/binary"
	"math/bits"
)

// symbolsByName caches Intern. Of each kind of name the last lookup is found without the
// map.
type symbolsByName struct {
	recent [256]named // by kindOf
	all    map[string]named
}

// named is a symbol and its name.
type named struct {
	text   string
	symbol Symbol
}

// find returns the symbol of a name that was added.
func (s *symbolsByName) find(name []byte) (Symbol, bool) {
	recent := &s.recent[kindOf(name)]
	if len(name) > 0 && recent.text == string(name) {
		return recent.symbol, true
	}
	known, ok := s.all[string(name)]
	if ok {
		*recent = known
	}
	return known.symbol, ok
}

// add adds a name.
func (s *symbolsByName) add(name string, symbol Symbol) {
	if s.all == nil {
		s.all = map[string]named{}
	}
	s.all[name] = named{name, symbol}
}

// kindOf mixes the length of a name with its first and last bytes, which distinguish most
// neighbouring names.
func kindOf(name []byte) uint8 {
	n := len(name)
	h := uint64(n)
	switch {
	case n >= 8:
		h += bits.RotateLeft64(binary.LittleEndian.Uint64(name), 27) ^ binary.LittleEndian.Uint64(name[n-8:])
	case n >= 4:
		h += uint64(binary.LittleEndian.Uint32(name))<<32 ^ uint64(binary.LittleEndian.Uint32(name[n-4:]))
	case n > 0:
		h += uint64(name[0])<<16 | uint64(name[n/2])<<8 | uint64(name[n-1])
	}
	return uint8(h * a0 >> 56)
}
