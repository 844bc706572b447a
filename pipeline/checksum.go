package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
)

// encodeChecksummed returns body as the store holds it: a line that names the format, a line
// with the SHA-256 of the rest, and the rest.
func encodeChecksummed(format string, body []byte) []byte {
	sum := sha256.Sum256(body)
	return slices.Concat([]byte(format), []byte(hex.EncodeToString(sum[:])+"\n"), body)
}

// checksummed builds the result of encodeChecksummed while the body is written. A body
// that comes in one piece is copied once.
type checksummed struct {
	format string
	data   []byte
}

func newChecksummed(format string) *checksummed {
	return &checksummed{format, make([]byte, len(format)+hex.EncodedLen(sha256.Size)+1)}
}

// Write appends to the body.
func (s *checksummed) Write(p []byte) (int, error) {
	if need := len(s.data) + len(p); need > cap(s.data) {
		s.data = append(make([]byte, 0, max(need, 4096)), s.data...)
	}
	s.data = append(s.data, p...)
	return len(p), nil
}

// bytes returns format, checksum and body.
func (s *checksummed) bytes() []byte {
	at := copy(s.data, s.format)
	body := s.data[at+hex.EncodedLen(sha256.Size)+1:]
	sum := sha256.Sum256(body)
	at += hex.Encode(s.data[at:], sum[:])
	s.data[at] = '\n'
	return s.data
}

// verifyChecksummed returns the body inside data, or an error if data is of another
// format or its checksum does not match.
func verifyChecksummed(format string, data []byte) ([]byte, error) {
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
