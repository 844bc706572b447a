package pipeline

import (
	"bytes"
	"testing"
)

func TestChecksummedInPieces(t *testing.T) {
	out := newChecksummed(checkpointFormat)
	var body []byte
	for _, piece := range [][]byte{[]byte("abc"), nil, bytes.Repeat([]byte("0123456789"), 1000), []byte("z")} {
		body = append(body, piece...)
		if n, err := out.Write(piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if !bytes.Equal(out.bytes(), encodeChecksummed(checkpointFormat, body)) {
		t.Error("written in pieces it is something else")
	}
	if got, err := verifyChecksummed(checkpointFormat, out.bytes()); err != nil || !bytes.Equal(got, body) {
		t.Error(err)
	}
}
