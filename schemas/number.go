package schemas

import (
	"math"
	"strconv"
	"unsafe"
)

// powers are the powers of ten that a float64 holds exactly.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// decimal is a JSON number.
type decimal struct {
	at       int    // where it begins
	mantissa uint64 // the digits, when there are at most 19
	digits   int    // significant digits
	exponent int    // of ten
	negative bool
	whole    bool // no fraction and no exponent
}

// number reads the number at the scanner's place into n. It keeps its state in
// registers: a decimal that is returned by value would be copied while its parts
// are still being stored.
func (s *scanner) number(n *decimal) bool {
	src, i := s.src, s.pos
	var mantissa uint64
	exponent, whole := 0, true
	negative := i < len(src) && src[i] == '-'
	if negative {
		i++
	}
	first := i
	for ; i < len(src) && isDigit(src[i]); i++ {
		mantissa = mantissa*10 + uint64(src[i]-'0')
	}
	digits := i - first
	if digits == 0 {
		if i == s.pos || i == len(src) { // the text after a lone minus names the fault
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
		small := false
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			small = src[i] == '-'
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
		if small {
			e = -e
		}
		exponent += e
	}
	n.at, n.mantissa, n.digits, n.exponent, n.negative, n.whole = s.pos, mantissa, digits, exponent, negative, whole
	s.pos = i
	return true
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// written returns the text of the number that was just read.
func (s *scanner) written(n *decimal) []byte { return s.src[n.at:s.pos] }

// float returns the float64 nearest to the number that was just read, false
// beyond the largest.
func (s *scanner) float(n *decimal) (float64, bool) {
	// Clinger: a mantissa and a power of ten that are both exact need one
	// rounding.
	if n.digits <= 19 && n.mantissa < 1<<53 && n.exponent >= -22 && n.exponent <= 22 {
		x := float64(n.mantissa)
		if n.exponent < 0 {
			x /= powers[-n.exponent]
		} else {
			x *= powers[n.exponent]
		}
		if n.negative {
			x = -x
		}
		return x, true
	}
	text := s.written(n)
	x, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), 64)
	return x, err == nil && !math.IsInf(x, 0)
}

// node returns the number as a node's, -1 when it is whole and cannot be one.
func (n *decimal) node() int32 {
	if n.digits > 10 || n.mantissa > math.MaxInt32 || n.negative && n.mantissa != 0 {
		return -1
	}
	return int32(n.mantissa)
}
