package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/segmentio/kafka-go/compress"
)

// Places in a record batch of format 2, after the four bytes of its size.
const (
	batchHeader   = 61
	batchCRC      = 17
	batchAttrs    = 21
	transactional = 1 << 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// RecordBatch builds one Kafka record batch (format 2) in memory that it keeps. Append
// encodes the records; encode adds the header, compresses and adds the checksum.
type RecordBatch struct {
	records []byte
	count   int32
	first   int64 // milliseconds since 1970
	latest  int64
	encoded bytes.Buffer
}

// Record is one message to encode. An empty key is written as none.
type Record struct {
	Time        int64 // milliseconds since 1970
	Key, Value  []byte
	Headers     []byte // by AppendHeader
	HeaderCount int
}

// Reset empties the batch.
func (b *RecordBatch) Reset() {
	if cap(b.records) > keptBuffer {
		b.records = nil
	}
	if b.encoded.Cap() > keptBuffer {
		b.encoded = bytes.Buffer{}
	}
	b.records, b.count = b.records[:0], 0
}

// Count is the number of records.
func (b *RecordBatch) Count() int { return int(b.count) }

// Size bounds the bytes of the batch from above, but for compression that
// expands.
func (b *RecordBatch) Size() int { return batchHeader + len(b.records) }

// Append copies a record into the batch.
func (b *RecordBatch) Append(r *Record) {
	if b.count == 0 {
		b.first, b.latest = r.Time, r.Time
	}
	b.latest = max(b.latest, r.Time)
	since := r.Time - b.first
	length := 1 + varintLen(since) + varintLen(int64(b.count)) +
		bytesLen(r.Key, len(r.Key) == 0) + bytesLen(r.Value, r.Value == nil) +
		varintLen(int64(r.HeaderCount)) + len(r.Headers)

	dst := binary.AppendVarint(b.records, int64(length))
	dst = append(dst, 0)
	dst = binary.AppendVarint(dst, since)
	dst = binary.AppendVarint(dst, int64(b.count))
	dst = appendBytes(dst, r.Key, len(r.Key) == 0)
	dst = appendBytes(dst, r.Value, r.Value == nil)
	dst = binary.AppendVarint(dst, int64(r.HeaderCount))
	b.records = append(dst, r.Headers...)
	b.count++
}

// AppendHeader encodes one header for Record.Headers.
func AppendHeader(dst []byte, name, value []byte) []byte {
	dst = appendBytes(dst, name, false)
	return appendBytes(dst, value, value == nil)
}

func appendBytes(dst, b []byte, null bool) []byte {
	if null {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func bytesLen(b []byte, null bool) int {
	if null {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func varintLen(v int64) int {
	n := 1
	for u := uint64(v<<1) ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// Size bounds the bytes that the record takes in a batch.
func (r *Record) Size() int { return 40 + len(r.Key) + len(r.Value) + len(r.Headers) }

// identity makes a batch idempotent; noIdentity marks one that is not.
type identity struct {
	producer int64
	epoch    int16
	sequence int32
}

var noIdentity = identity{-1, -1, -1}

// encode returns the batch as a Produce request carries it, its size in front. The bytes
// are valid until the next Reset or encode.
func (b *RecordBatch) encode(codec compress.Compression, id identity, inTransaction bool) ([]byte, error) {
	out := &b.encoded
	out.Reset()
	out.Write(make([]byte, 4+batchHeader))
	if c := codec.Codec(); c == nil {
		out.Write(b.records)
	} else {
		w := c.NewWriter(out)
		if _, err := w.Write(b.records); err != nil {
			return nil, fmt.Errorf("compress %d records with %s: %w", b.count, codec, err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("compress %d records with %s: %w", b.count, codec, err)
		}
	}
	whole := out.Bytes()
	batch := whole[4:]
	be := binary.BigEndian
	attributes := uint16(codec)
	if inTransaction {
		attributes |= transactional
	}
	be.PutUint32(whole, uint32(len(batch)))
	be.PutUint64(batch[0:], 0)
	be.PutUint32(batch[8:], uint32(len(batch)-12))
	be.PutUint32(batch[12:], 1<<32-1) // leader epoch: unknown
	batch[16] = 2
	be.PutUint16(batch[batchAttrs:], attributes)
	be.PutUint32(batch[23:], uint32(b.count-1))
	be.PutUint64(batch[27:], uint64(b.first))
	be.PutUint64(batch[35:], uint64(b.latest))
	be.PutUint64(batch[43:], uint64(id.producer))
	be.PutUint16(batch[51:], uint16(id.epoch))
	be.PutUint32(batch[53:], uint32(id.sequence))
	be.PutUint32(batch[57:], uint32(b.count))
	be.PutUint32(batch[batchCRC:], crc32.Checksum(batch[batchAttrs:], castagnoli))
	return whole, nil
}
