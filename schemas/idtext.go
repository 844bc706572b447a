package schemas

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// IDText is AppendIDText as a string.
func IDText(id []byte) string { return string(AppendIDText(nil, id)) }

// AppendIDText appends the text by which an id, given as JSON text, is compared: the
// content of a string, a number in its shortest form, so that 7, 7.0, 7e0 and "7" are one
// id; any other JSON verbatim.
func AppendIDText(dst, id []byte) []byte {
	switch {
	case len(id) == 0:
		return dst
	case id[0] == '"':
		if inside := id[1 : len(id)-1]; bytes.IndexByte(inside, '\\') < 0 {
			return append(dst, inside...)
		}
		var s string
		if json.Unmarshal(id, &s) != nil {
			return append(dst, id...)
		}
		return append(dst, s...)
	case id[0] == '-' || isDigit(id[0]):
		return appendNumberText(dst, id)
	}
	return append(dst, id...)
}

// appendNumberText writes a JSON number in its shortest form. It moves digits,
// so that no number is too long for it.
func appendNumberText(dst, number []byte) []byte {
	given := number
	negative := number[0] == '-'
	if negative {
		number = number[1:]
	}
	exponent := 0
	if e := bytes.IndexAny(number, "eE"); e >= 0 {
		var err error
		if exponent, err = strconv.Atoi(string(bytes.TrimPrefix(number[e+1:], []byte("+")))); err != nil {
			return append(dst, given...) // beyond any use
		}
		number = number[:e]
	}
	digits := make([]byte, 0, 32)
	whole, fraction, _ := bytes.Cut(number, []byte("."))
	digits = append(append(digits, whole...), fraction...)
	exponent -= len(fraction)
	digits = bytes.TrimLeft(digits, "0")
	short := bytes.TrimRight(digits, "0")
	exponent += len(digits) - len(short)
	if len(short) == 0 {
		return append(dst, '0')
	}
	if negative {
		dst = append(dst, '-')
	}
	const largest = 40 // digits that are written out
	switch point := len(short) + exponent; {
	case exponent >= 0 && point <= largest:
		dst = append(dst, short...)
		return append(dst, bytes.Repeat([]byte("0"), exponent)...)
	case exponent < 0 && point > 0:
		dst = append(dst, short[:point]...)
		dst = append(dst, '.')
		return append(dst, short[point:]...)
	case exponent < 0 && point > -largest:
		dst = append(dst, "0."...)
		dst = append(dst, bytes.Repeat([]byte("0"), -point)...)
		return append(dst, short...)
	}
	dst = append(dst, short...)
	dst = append(dst, 'e')
	return strconv.AppendInt(dst, int64(exponent), 10)
}
