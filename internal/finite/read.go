package finite

import (
	"bytes"
	"slices"
)

// notJSON are the numbers that JSON does not have, as Python's json writes them.
var notJSON = [][]byte{[]byte("NaN"), []byte("-Infinity"), []byte("Infinity")}

// AsNull makes JSON of text in which some numbers are NaN or infinite: null in their
// place. Strings stay as they are, and so does text without such a number.
func AsNull(text []byte) []byte {
	if !slices.ContainsFunc(notJSON, func(word []byte) bool { return bytes.Contains(text, word) }) {
		return text
	}
	var out []byte
	copied, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case quoted && text[i] == '\\':
			i++ // what follows ends no string
		case !quoted:
			for _, word := range notJSON {
				if bytes.HasPrefix(text[i:], word) {
					out = append(append(out, text[copied:i]...), "null"...)
					copied = i + len(word)
					i = copied - 1
					break
				}
			}
		}
	}
	if copied == 0 {
		return text
	}
	return append(out, text[copied:]...)
}
