package kafka

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go/compress"

	"archflow/schemas"
)

// Record batches of format 2: places and flags in the header.
const (
	attributeAppendsAt = 1 << 3 // the broker's clock, not the producer's
	attributeControl   = 1 << 5
)

// recordStream walks over the record batches of one fetch answer and can stop
// anywhere between two records.
type recordStream struct {
	batches []byte // not begun
	aborted []abortedTransaction
	leave   map[int64]bool // producers whose records are of an aborted transaction

	// The batch that is being read.
	records      []byte
	left         int
	base, after  int64 // its offsets: base <= offset < after
	first, stamp int64 // time of its first record; time of all if not zero
	unpacked     bytes.Buffer

	budget *Budget
	held   int // of the budget: for the batch that is being read
	handed int // of the budget: for the messages of this read
}

func (s *recordStream) reset(batches []byte, aborted []abortedTransaction) {
	slices.SortFunc(aborted, func(a, b abortedTransaction) int { return cmp.Compare(a.first, b.first) })
	s.finish()
	s.batches, s.aborted = batches, aborted
	clear(s.leave)
}

// finish ends the batch that is being read.
func (s *recordStream) finish() {
	s.budget.Release(s.held)
	s.records, s.left, s.held = nil, 0, 0
	if s.unpacked.Cap() > keptBuffer {
		s.unpacked = bytes.Buffer{}
	}
}

// keptBuffer is how large a buffer may be that is kept for the next batch.
const keptBuffer = 4 << 20

// errFull says that the budget has no room for the next batch while messages
// before it wait to be handed on.
var errFull = errors.New("the budget of memory is used up")

// claim takes memory out of the budget for a batch. Who has messages in hand does
// not wait for it: they are to leave first.
func (s *recordStream) claim(ctx context.Context, wait bool, bytes int) error {
	if !wait {
		if !s.budget.TryAcquire(bytes) {
			return errFull
		}
		return nil
	}
	s.budget.Release(s.handed) // of messages that were read and are not wanted
	s.handed = 0
	return s.budget.Acquire(ctx, bytes)
}

func (s *recordStream) empty() bool { return s.left == 0 && len(s.batches) == 0 }

// read appends messages from offset next on to m until it has limits.Messages, or the
// answer is used up, and returns the offset after the last record that it has read.
func (s *recordStream) read(ctx context.Context, m *schemas.Messages, next int64, limits Limits) (int64, error) {
	room := 0
	s.handed = 0
	for m.Len() < limits.Messages {
		if s.left == 0 {
			after, more, err := s.begin(ctx, m.Len() == 0, next, limits)
			next = max(next, after)
			if errors.Is(err, errFull) {
				return next, nil
			}
			if err != nil || !more {
				return next, err
			}
			continue
		}
		if room == 0 { // once a batch: keys, headers and values take at most the bytes that are left
			n := min(s.left, limits.Messages-m.Len())
			room = len(s.records)
			if n < s.left { // about as many bytes as n records take
				room = min(room, room/s.left*n*5/4)
			}
			if limits.Value > 0 && n < room/limits.Value {
				room = n * limits.Value
			}
			if len(m.Value.Data)+room > math.MaxInt32/2 {
				return next, nil
			}
			m.Value.Data = grow(m.Value.Data, room)
			m.Offset, m.Time = grow(m.Offset, n), grow(m.Time, n)
			m.Key.Start, m.Value.Start = grow(m.Key.Start, n+1), grow(m.Value.Start, n+1)
			m.HeaderStart = grow(m.HeaderStart, n)
		}
		offset, err := s.record(m, next, limits.Value)
		if err != nil {
			poison := &PoisonError{First: s.base, Next: s.after, Reason: err.Error()}
			s.finish()
			return next, poison
		}
		next = max(next, offset+1)
		if s.left == 0 {
			next, room = max(next, s.after), 0
			s.finish()
		}
	}
	return next, nil
}

// grow makes room for n more, and for as much again when there were batches
// before, so that an answer of many small ones is not copied for each of them.
func grow[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	out := make([]T, len(s), max(len(s)+n, 2*len(s)))
	copy(out, s)
	return out
}

// begin enters the next batch that has something for us. It returns the offset
// after the batches it went past and whether there is one to read.
func (s *recordStream) begin(ctx context.Context, wait bool, next int64, limits Limits) (after int64, more bool, err error) {
	be := binary.BigEndian
	for len(s.batches) >= 17 {
		base := int64(be.Uint64(s.batches))
		size := int(int32(be.Uint32(s.batches[8:]))) + 12
		magic := s.batches[16]
		if size > len(s.batches) && size > 12 {
			break // the last batch may be cut off
		}
		if magic != 2 || size < batchHeader {
			return after, false, &PoisonError{First: base, Next: base + 1,
				Reason: fmt.Sprintf("record format %d of %d bytes; format 2 is what Kafka has written since 0.11", magic, size)}
		}
		before, batch := s.batches, s.batches[:size]
		s.batches = s.batches[size:]
		end := base + int64(int32(be.Uint32(batch[23:]))) + 1
		if end <= next {
			continue
		}
		poison := func(reason string) (int64, bool, error) {
			return after, false, &PoisonError{First: max(base, next), Next: end, Reason: reason}
		}
		if be.Uint32(batch[17:]) != crc32.Checksum(batch[21:], castagnoli) {
			return poison("its checksum is wrong: the data is damaged on the broker or on the way")
		}
		attributes := be.Uint16(batch[21:])
		producer := int64(be.Uint64(batch[43:]))
		if attributes&attributeControl != 0 {
			s.abandoned(producer, base) // of which no record may be left before the marker
			delete(s.leave, producer)   // whatever it says, records behind it are of another transaction
			after = end
			continue
		}
		if attributes&transactional != 0 && s.abandoned(producer, base) {
			after = end
			continue
		}
		count := int(int32(be.Uint32(batch[57:])))
		if count <= 0 {
			after = end
			continue
		}
		records, err := s.unpack(ctx, wait, compress.Compression(attributes&7), batch[batchHeader:], limits.Expanded)
		if errors.Is(err, errFull) || err != nil && ctx.Err() != nil {
			s.batches = before
			return after, false, err
		}
		if err != nil {
			return poison(err.Error())
		}
		if count > len(records)/7 { // a record takes at least seven bytes
			s.finish()
			return poison(fmt.Sprintf("%d records are said to be in %d bytes", count, len(records)))
		}
		s.records, s.left, s.base, s.after = records, count, base, end
		s.first, s.stamp = int64(be.Uint64(batch[27:])), 0
		if attributes&attributeAppendsAt != 0 {
			s.stamp = int64(be.Uint64(batch[35:]))
		}
		return after, true, nil
	}
	s.batches = nil
	return after, false, nil
}

// abandoned reports whether a producer's batch at an offset was aborted.
func (s *recordStream) abandoned(producer, base int64) bool {
	for len(s.aborted) > 0 && s.aborted[0].first <= base {
		if s.leave == nil {
			s.leave = map[int64]bool{}
		}
		s.leave[s.aborted[0].producer] = true
		s.aborted = s.aborted[1:]
	}
	return s.leave[producer]
}

var errExpands = errors.New("too large when unpacked")

// unpack returns the records of a batch, valid until the next call, and counts them
// in held: once for the columns and, where they are unpacked, once for the buffer.
func (s *recordStream) unpack(ctx context.Context, wait bool, codec compress.Compression, packed []byte, limit int) ([]byte, error) {
	if codec == compress.None {
		if err := s.claim(ctx, wait, len(packed)); err != nil {
			return nil, err
		}
		s.held = len(packed)
		return packed, nil
	}
	if codec > compress.Zstd || codec.Codec() == nil {
		return nil, fmt.Errorf("compression %d is not known", codec)
	}
	// Most batches unpack to a few times their size. Others are measured first: their
	// memory has to be free before it is taken.
	guess := min(limit, 1<<20+16*len(packed))
	if err := s.claim(ctx, wait, 2*guess); err != nil {
		return nil, err
	}
	n, err := s.expand(codec, packed, guess)
	if n > guess && guess < limit && err == nil {
		s.budget.Release(2 * guess)
		if n, err = copyUnpacked(io.Discard, codec, packed, limit); err == nil && n <= limit {
			if err := s.claim(ctx, wait, 2*n); err != nil {
				return nil, err
			}
			guess = n
			n, err = s.expand(codec, packed, n)
		} else {
			guess = 0
		}
	}
	if err == nil && n > limit {
		err = fmt.Errorf("%w: %d bytes of %s hold more than %d", errExpands, len(packed), codec, limit)
	}
	if err != nil {
		s.budget.Release(2 * guess)
		return nil, err
	}
	s.budget.Release(2 * (guess - n))
	s.held = 2 * n
	return s.unpacked.Bytes(), nil
}

// expand unpacks into the buffer, at most limit bytes and one.
func (s *recordStream) expand(codec compress.Compression, packed []byte, limit int) (int, error) {
	s.unpacked.Reset()
	if limit > keptBuffer {
		s.unpacked.Grow(limit + bytes.MinRead)
	}
	return copyUnpacked(&s.unpacked, codec, packed, limit)
}

// copyUnpacked unpacks to w, at most limit bytes and one, and counts them.
func copyUnpacked(w io.Writer, codec compress.Compression, packed []byte, limit int) (int, error) {
	r := codec.Codec().NewReader(bytes.NewReader(packed))
	defer r.Close()
	n, err := io.Copy(w, io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return int(n), fmt.Errorf("unpack %s: %w", codec, err)
	}
	return int(n), nil
}

var errRecord = errors.New("a record does not fit its batch")

// record appends the next record to m unless its offset is below next, with at most
// longest bytes of its value if longest is not 0, and returns its offset.
func (s *recordStream) record(m *schemas.Messages, next int64, longest int) (int64, error) {
	size, n := binary.Varint(s.records)
	if n <= 0 || size < 6 || size > int64(len(s.records)-n) {
		return 0, errRecord
	}
	r := recordReader{b: s.records[n+1 : n+int(size)]} // without the attributes, which are unused
	s.records = s.records[n+int(size):]
	s.left--
	s.handed, s.held = s.handed+n+int(size), s.held-n-int(size)
	time := s.first + r.varint()
	offset := s.base + r.varint()
	key, value := r.bytes(), r.bytes()
	headers := r.varint()
	if r.short || headers < 0 || headers > int64(len(r.b)/2) || offset >= s.after || offset < s.base {
		return 0, errRecord
	}
	if offset < next {
		return offset, nil
	}
	if s.stamp != 0 {
		time = s.stamp
	}
	names := m.HeaderNames.Len()
	for range headers {
		name, value := r.bytes(), r.bytes()
		if r.short {
			m.CutHeaders(names)
			return 0, errRecord
		}
		m.AppendHeader(name, value)
	}
	if missing := len(value) - longest; longest > 0 && missing > 0 {
		value = value[:longest]
		s.handed, s.held = s.handed-missing, s.held+missing // which ends with the batch
		m.AppendHeader([]byte(schemas.HeaderCut), strconv.AppendInt(nil, int64(missing), 10))
	}
	m.Offset = append(m.Offset, offset)
	m.Time = append(m.Time, time)
	m.Key.Append(key)
	m.Value.Append(value)
	if value == nil {
		m.Null = append(m.Null, offset)
	}
	m.HeaderStart = append(m.HeaderStart, int32(m.HeaderNames.Len()))
	return offset, nil
}

// recordReader reads the fields of a record; short says that it ran out.
type recordReader struct {
	b     []byte
	short bool
}

func (r *recordReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b, r.short = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *recordReader) bytes() []byte {
	n := r.varint()
	if n < 0 {
		return nil
	}
	if n > int64(len(r.b)) {
		r.b, r.short = nil, true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}
