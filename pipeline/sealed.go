package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
)

// seal returns body as the store holds it: a line that names the format, a line
// with the SHA-256 of the rest, and the rest.
func seal(format string, body []byte) []byte {
	sum := sha256.Sum256(body)
	return slices.Concat([]byte(format), []byte(hex.EncodeToString(sum[:])+"\n"), body)
}

// unseal returns the body of what seal made, or what is wrong with data.
func unseal(format string, data []byte) ([]byte, error) {
	rest, ours := bytes.CutPrefix(data, []byte(format))
	if !ours {
		return nil, errors.New("it is of another format, or foreign")
	}
	written, body, _ := bytes.Cut(rest, []byte("\n"))
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != string(written) {
		return nil, errors.New("it is torn or damaged: its checksum does not match")
	}
	return body, nil
}
