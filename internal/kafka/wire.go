package kafka

import "encoding/binary"

// wireReader reads Kafka's encodings, the plain one and the compact one of the
// flexible versions; short says that it ran out.
type wireReader struct {
	b     []byte
	short bool
}

func (r *wireReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.short = nil, true
		return make([]byte, 8)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *wireReader) int16() int16 { return int16(binary.BigEndian.Uint16(r.take(2))) }
func (r *wireReader) int32() int32 { return int32(binary.BigEndian.Uint32(r.take(4))) }
func (r *wireReader) int64() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }

// count reads the length of an array whose elements take at least least bytes.
func (r *wireReader) count(size int) int {
	n := int(r.int32())
	if n > len(r.b)/size {
		r.b, r.short = nil, true
		return 0
	}
	return max(n, 0)
}

// compactCount reads a compact length; an absent array or text has none.
func (r *wireReader) compactCount() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(len(r.b))+1 {
		r.b, r.short = nil, true
		return 0
	}
	r.b = r.b[n:]
	return max(int(v)-1, 0)
}

func (r *wireReader) text() string {
	n := r.compactCount()
	if n > len(r.b) {
		r.b, r.short = nil, true
		return ""
	}
	return string(r.take(n))
}

// tags skips the tagged fields that end a structure.
func (r *wireReader) tags() {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.short = nil, true
		return
	}
	r.b = r.b[n:]
	for ; v > 0 && !r.short; v-- {
		_, n := binary.Uvarint(r.b)
		r.take(max(n, 0))
		size, n := binary.Uvarint(r.b)
		r.take(max(n, 0))
		r.take(int(min(size, 1<<31)))
	}
}
