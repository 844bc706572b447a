package pipeline

import (
	"bytes"
	"testing"
)

// FuzzCheckpoint: bytes of the store are a checkpoint or refused. The test adds the
// checksum, because no mutation finds one.
func FuzzCheckpoint(f *testing.F) {
	whole, err := encodeCheckpoint(&saved{Positions: []savedPosition{{"topic", 3, 44}}})
	if err != nil {
		f.Fatal(err)
	}
	body, err := verifyChecksummed(checkpointFormat, whole)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(body))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decodeCheckpoint(body); err == nil && !bytes.HasPrefix(body, []byte(checkpointFormat)) {
			t.Error("taken without its seal")
		}
		s, err := decodeCheckpoint(encodeChecksummed(checkpointFormat, body))
		if (s == nil) != (err != nil) {
			t.Errorf("%v, %v", s, err)
		}
	})
}
