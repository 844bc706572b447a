package schemas

import "encoding/json"

// PlainID is a candidate's id as the tables show it: JSON strings without their
// quotes, everything else as it came.
func PlainID(id []byte) string {
	var text string
	if json.Unmarshal(id, &text) == nil {
		return text
	}
	return string(id)
}
