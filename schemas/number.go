package schemas

import (
	"math"
	"strconv"
	"unsafe"
)

// powers are the powers of ten that a float64 holds exactly.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// decimal is a JSON number as written.
type decimal struct {
	text     []byte
	mantissa uint64 // the digits, when there are at most 19
	digits   int    // significant digits
	exponent int    // of ten
	whole    bool   // no fraction and no exponent
}

// number reads the number at the scanner's place into n. It keeps its state in
// registers: a decimal that is returned by value would be copied while its parts
// are still being stored.
func (s *scanner) number(n *decimal) bool {
	src, i := s.src, s.pos
	var mantissa uint64
	exponent, whole := 0, true
	if i < len(src) && src[i] == '-' {
		i++
	}
	first := i
	for ; i < len(src) && isDigit(src[i]); i++ {
		mantissa = mantissa*10 + uint64(src[i]-'0')
	}
	digits := i - first
	if digits == 0 {
		if i == s.pos || i == len(src) { // a lone minus is named by what follows it
			s.pos = i
		}
		return s.syntax("a number with digits")
	}
	if digits > 1 && src[first] == '0' {
		s.pos = first + 1
		return s.fail(ClassJSON, "%s is not JSON: a number begins with a zero at byte %d; write it without", s.what, first)
	}
	if i < len(src) && src[i] == '.' {
		whole = false
		point := i + 1
		for i = point; i < len(src) && isDigit(src[i]); i++ {
			mantissa = mantissa*10 + uint64(src[i]-'0')
		}
		if i == point {
			s.pos = i
			return s.syntax("a digit")
		}
		digits += i - point
		exponent = point - i
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		whole = false
		i++
		negative := false
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			negative = src[i] == '-'
			i++
		}
		from, e := i, 0
		for ; i < len(src) && isDigit(src[i]); i++ {
			e = min(e*10+int(src[i]-'0'), 1<<20)
		}
		if i == from {
			s.pos = i
			return s.syntax("a digit")
		}
		if negative {
			e = -e
		}
		exponent += e
	}
	n.text, n.mantissa, n.digits, n.exponent, n.whole = src[s.pos:i], mantissa, digits, exponent, whole
	s.pos = i
	return true
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// float returns the nearest float64, false beyond the largest.
func (n *decimal) float() (float64, bool) {
	// Clinger: a mantissa and a power of ten that are both exact need one
	// rounding.
	if n.digits <= 19 && n.mantissa < 1<<53 && n.exponent >= -22 && n.exponent <= 22 {
		x := float64(n.mantissa)
		if n.exponent < 0 {
			x /= powers[-n.exponent]
		} else {
			x *= powers[n.exponent]
		}
		if n.text[0] == '-' {
			x = -x
		}
		return x, true
	}
	x, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(n.text), len(n.text)), 64)
	return x, err == nil && !math.IsInf(x, 0)
}

// node returns the number as a node's, -1 when it is whole and cannot be one.
func (n *decimal) node() int32 {
	if n.digits > 10 || n.mantissa > math.MaxInt32 || n.text[0] == '-' && n.mantissa != 0 {
		return -1
	}
	return int32(n.mantissa)
}
