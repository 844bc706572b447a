package schemas

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON once, front to back. It accepts and returns the same as
// encoding/json, with two exceptions: text that is not UTF-8 is refused where
// encoding/json would replace it, and nesting is bounded.
//
// Every method that returns a bool returns false after setting failed.
type scanner struct {
	src    []byte
	pos    int
	what   string // name of src, for reasons
	depth  int    // nesting allowed
	loose  bool   // NaN and the infinities, as Python writes them, pass
	text   []byte // unescaped strings
	failed *Rejection

	skipped decimal // a number that nothing uses
}

func (s *scanner) start(src []byte, what string) {
	s.src, s.pos, s.what, s.failed = src, 0, what, nil
}

func (s *scanner) fail(class, format string, args ...any) bool {
	s.failed = reject(class, format, args...)
	return false
}

// found names the value or byte at the scanner's place.
func (s *scanner) found() string {
	if s.pos >= len(s.src) {
		return "the end"
	}
	switch c := s.src[s.pos]; {
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "a list"
	case c == 't' || c == 'f':
		return "true or false"
	case c == 'n' && s.at("null"):
		return "null"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	case c < utf8.RuneSelf:
		return fmt.Sprintf("%q", rune(c))
	default:
		return fmt.Sprintf("byte 0x%02x", c)
	}
}

func (s *scanner) at(word string) bool {
	return len(s.src)-s.pos >= len(word) && string(s.src[s.pos:s.pos+len(word)]) == word
}

// syntax fails because the text at the scanner's place is not want.
func (s *scanner) syntax(want string) bool {
	if s.pos >= len(s.src) {
		return s.fail(ClassJSON, "%s is not JSON: it ends at byte %d where %s should follow; it was probably cut, publish it whole", s.what, s.pos, want)
	}
	for _, word := range []string{"NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", "-NaN", "-nan"} {
		if s.at(word) {
			return s.fail(ClassJSON, "%s is not JSON: %s at byte %d; JSON has no such number, write null or leave it out", s.what, word, s.pos)
		}
	}
	return s.fail(ClassJSON, "%s is not JSON: %s at byte %d where %s should be; publish valid JSON", s.what, s.found(), s.pos, want)
}

// wrongType fails because field holds something else than want. Text that is no value at
// all is a syntax error.
func (s *scanner) wrongType(field, want string) bool {
	at, found := s.pos, s.found()
	if !s.skip(s.depth - 1) {
		return false
	}
	return s.fail(ClassWrongType, "%s: field %q at byte %d: want %s, found %s", s.what, field, at, want, found)
}

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\n', '\t', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

// more goes to the next element of the list or object that ends with closing.
// It returns false at the end and on failure.
func (s *scanner) more(closing byte, first bool) bool {
	if i := s.pos + 1; !first && i < len(s.src) && s.src[i-1] == ',' && s.src[i] > ' ' {
		s.pos = i // nearly always
		return true
	}
	return s.seekMore(closing, first)
}

// seekMore is more with white space.
func (s *scanner) seekMore(closing byte, first bool) bool {
	s.space()
	switch c := s.peek(); {
	case c == closing:
		s.pos++
		return false
	case first:
	case c == ',':
		s.pos++
		s.space()
	default:
		return s.syntax("',' or '" + string(rune(closing)) + "'")
	}
	return true
}

// key reads a member's name and the colon, and goes to its value.
func (s *scanner) key() ([]byte, bool) {
	if s.peek() != '"' {
		return nil, s.syntax("a name in quotes")
	}
	name, ok := s.str()
	if !ok {
		return nil, false
	}
	s.space()
	if s.peek() != ':' {
		return nil, s.syntax("':'")
	}
	s.pos++
	s.space()
	return name, true
}

// null reads null if it is there. It does not fail.
func (s *scanner) null() bool {
	if s.peek() == 'n' && s.at("null") {
		s.pos += len("null")
		return true
	}
	return false
}

// str reads the string at the scanner's place. The result is a view of the
// message, or of text.
func (s *scanner) str() ([]byte, bool) {
	start := s.pos + 1
	escaped, ok := s.span()
	if !ok {
		return nil, false
	}
	raw := s.src[start : s.pos-1]
	if escaped {
		raw = s.unescape(raw)
	}
	return raw, true
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// span goes behind the string at the scanner's place, checking it.
func (s *scanner) span() (escaped, ok bool) {
	src, i := s.src, s.pos+1
	for {
		// Eight bytes at a time as long as none is a quote, a backslash, a control
		// character or outside ASCII. A borrow, or a byte outside ASCII, can only raise a
		// false alarm above a true one or at it, and only the lowest is used.
		for i+8 <= len(src) {
			w := binary.LittleEndian.Uint64(src[i:])
			quote, slash := w^'"'*ones, w^'\\'*ones
			special := (quote - ones | (slash - ones) | (w - ' '*ones) | w) & tops
			if special != 0 {
				i += bits.TrailingZeros64(special) >> 3
				break
			}
			i += 8
		}
		if i >= len(src) {
			s.pos = i
			return false, s.syntax("a closing quote")
		}
		switch c := src[i]; {
		case c == '"':
			s.pos = i + 1
			return escaped, true
		case c == '\\':
			escaped = true
			n := escapeLen(src[i:])
			if n == 0 {
				s.pos = i
				return false, s.syntax("an escape such as \\n or \\u00e9")
			}
			i += n
		case c < ' ':
			s.pos = i
			return false, s.syntax("an escaped control character")
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(src[i:])
			if r == utf8.RuneError && n == 1 {
				return false, s.fail(ClassUTF8, "%s is not UTF-8: byte 0x%02x at byte %d belongs to no character; encode it as UTF-8 and do not cut it in the middle of a character", s.what, c, i)
			}
			i += n
		}
	}
}

// escapeLen returns the length of the escape that b begins with, 0 for none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(b) >= 0 {
			return 6
		}
	}
	return 0
}

// hex4 returns the code of an escape such as \u00e9, -1 if b begins with none.
func hex4(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape returns the meaning of raw, a checked string, as a view of text.
func (s *scanner) unescape(raw []byte) []byte {
	start := len(s.text)
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			s.text = append(s.text, raw[i])
			i++
			continue
		}
		switch c := raw[i+1]; c {
		case 'b':
			s.text = append(s.text, '\b')
		case 'f':
			s.text = append(s.text, '\f')
		case 'n':
			s.text = append(s.text, '\n')
		case 'r':
			s.text = append(s.text, '\r')
		case 't':
			s.text = append(s.text, '\t')
		case 'u':
			r := hex4(raw[i:])
			i += 4
			if utf16.IsSurrogate(r) {
				pair := utf16.DecodeRune(r, hex4(raw[i+2:]))
				if pair != unicode.ReplacementChar {
					i += 6
				}
				r = pair
			}
			s.text = utf8.AppendRune(s.text, r)
		default:
			s.text = append(s.text, c)
		}
		i += 2
	}
	return s.text[start:len(s.text):len(s.text)]
}

// skip goes behind the value at the scanner's place, checking it; depth is the
// nesting that it may have.
func (s *scanner) skip(depth int) bool {
	switch c := s.peek(); {
	case c == '"':
		_, ok := s.span()
		return ok
	case c == '{':
		if depth <= 0 {
			return s.tooDeep()
		}
		s.pos++
		for first := true; s.more('}', first); first = false {
			if s.peek() != '"' {
				return s.syntax("a name in quotes")
			}
			if _, ok := s.span(); !ok {
				return false
			}
			s.space()
			if s.peek() != ':' {
				return s.syntax("':'")
			}
			s.pos++
			s.space()
			if !s.skip(depth - 1) {
				return false
			}
		}
		return s.failed == nil
	case c == '[':
		if depth <= 0 {
			return s.tooDeep()
		}
		s.pos++
		for first := true; s.more(']', first); first = false {
			if !s.skip(depth - 1) {
				return false
			}
		}
		return s.failed == nil
	case s.loose && (c == 'N' || c == 'I' || c == '-'):
		for _, word := range [...]string{"NaN", "Infinity", "-Infinity"} {
			if s.at(word) {
				s.pos += len(word)
				return true
			}
		}
	}
	if c := s.peek(); c == '-' || isDigit(c) {
		return s.number(&s.skipped)
	}
	for _, word := range [...]string{"null", "true", "false"} {
		if s.at(word) {
			s.pos += len(word)
			return true
		}
	}
	return s.syntax("a value")
}

func (s *scanner) tooDeep() bool {
	return s.fail(ClassTooDeep, "%s: lists and objects are nested deeper than %d at byte %d; flatten it", s.what, s.depth, s.pos)
}

// ignore goes behind a value that nothing uses. NaN and the infinities, which
// JSON does not have but Python writes, do no harm there: tables of benchmark
// results hold them among their labels.
func (s *scanner) ignore() bool {
	s.loose = true
	ok := s.skip(s.depth - 1)
	s.loose = false
	return ok
}

// raw goes behind the value at the scanner's place and returns its bytes.
func (s *scanner) raw() ([]byte, bool) {
	start := s.pos
	if !s.skip(s.depth - 1) {
		return nil, false
	}
	return s.src[start:s.pos], true
}

// end checks that nothing follows.
func (s *scanner) end() bool {
	s.space()
	if s.pos < len(s.src) {
		return s.fail(ClassJSON, "%s: %s at byte %d after the end of the JSON value; publish one value a message", s.what, s.found(), s.pos)
	}
	return true
}
