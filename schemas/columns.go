package schemas

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// ID identifies a graph, independently of the order of its nodes.
type ID [16]byte

// String returns the 32 hexadecimal digits that topics and tables carry.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reverses String.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("architecture %.40q: want %d hexadecimal digits", s, 2*len(id))
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err
}

// Strings is a column of texts of any length, one after the other.
type Strings struct {
	Start []int32 // [n+1]
	Data  []byte
}

// Len returns the number of texts.
func (s *Strings) Len() int { return max(len(s.Start)-1, 0) }

// At returns a view of text i.
func (s *Strings) At(i int) []byte { return s.Data[s.Start[i]:s.Start[i+1]] }

// Append adds a text, copying it.
func (s *Strings) Append(text []byte) {
	if len(s.Start) == 0 {
		s.Start = append(s.Start, 0)
	}
	s.Data = append(s.Data, text...)
	s.Start = append(s.Start, int32(len(s.Data)))
}

// cut removes the texts from n on.
func (s *Strings) cut(n int) {
	if s.Len() > n {
		s.Data = s.Data[:s.Start[n]]
		s.Start = s.Start[:n+1]
	}
}

// The columns below wrap slices as Arrow arrays and back without copying. The
// memory stays the garbage collector's, so a record that is never released
// leaks nothing, and a view stays valid as long as somebody holds it.

func bytesOf[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}

func sliceOf[T any](b *memory.Buffer, n int) []T {
	if b == nil || b.Len() == 0 || n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b.Bytes()))), n)
}

func fixedData[T any](typ arrow.DataType, values []T) *array.Data {
	return array.NewData(typ, len(values), []*memory.Buffer{nil, memory.NewBufferBytes(bytesOf(values))}, nil, 0, 0)
}

func stringsData(typ arrow.DataType, s Strings) *array.Data {
	start := starts(s.Start)
	return array.NewData(typ, len(start)-1, []*memory.Buffer{nil, memory.NewBufferBytes(bytesOf(start)), memory.NewBufferBytes(s.Data)}, nil, 0, 0)
}

// nullableData wraps texts of which some, in ascending order, are null.
func nullableData(s Strings, null []int32) *array.Data {
	d := stringsData(arrow.BinaryTypes.Binary, s)
	if len(null) == 0 {
		return d
	}
	defer d.Release()
	valid := make([]byte, (d.Len()+7)/8)
	for i := range valid {
		valid[i] = 0xff
	}
	for _, i := range null {
		valid[i/8] &^= 1 << (i % 8)
	}
	return array.NewData(d.DataType(), d.Len(), append([]*memory.Buffer{memory.NewBufferBytes(valid)}, d.Buffers()[1:]...), nil, len(null), 0)
}

func listData(typ arrow.DataType, start []int32, child *array.Data) *array.Data {
	start = starts(start)
	return array.NewData(typ, len(start)-1, []*memory.Buffer{nil, memory.NewBufferBytes(bytesOf(start))}, []arrow.ArrayData{child}, 0, 0)
}

// starts returns the offsets of a column, which even an empty one has.
func starts(s []int32) []int32 {
	if len(s) == 0 {
		return []int32{0}
	}
	return s
}

func viewFixed[T any](d arrow.ArrayData) []T {
	return sliceOf[T](d.Buffers()[1], d.Len())
}

func viewStarts(d arrow.ArrayData) []int32 {
	return sliceOf[int32](d.Buffers()[1], d.Len()+1)
}

func viewStrings(d arrow.ArrayData) Strings {
	s := Strings{Start: viewStarts(d)}
	if b := d.Buffers()[2]; b != nil {
		s.Data = b.Bytes()
	}
	return s
}

// viewNulls lists which elements of a column are null.
func viewNulls(d arrow.ArrayData) (null []int32) {
	valid := d.Buffers()[0]
	if d.NullN() == 0 || valid == nil {
		return nil
	}
	for i, eight := range valid.Bytes()[:(d.Len()+7)/8] {
		for none := ^eight; none != 0; none &= none - 1 {
			if n := 8*i + bits.TrailingZeros8(none); n < d.Len() {
				null = append(null, int32(n))
			}
		}
	}
	return null
}

// columns collects the arrays of a record that is being made.
type columns struct {
	arrays []arrow.Array
	rows   int
}

func (c *columns) add(d *array.Data) {
	c.arrays = append(c.arrays, array.MakeFromData(d))
	d.Release()
}

func (c *columns) record(schema *arrow.Schema) arrow.Record {
	rec := array.NewRecord(schema, c.arrays, int64(c.rows))
	for _, a := range c.arrays {
		a.Release()
	}
	return rec
}

// RecordBytes returns the memory that the columns of a record view.
func RecordBytes(r arrow.Record) int {
	n := 0
	var add func(d arrow.ArrayData)
	add = func(d arrow.ArrayData) {
		for _, b := range d.Buffers() {
			if b != nil {
				n += b.Len()
			}
		}
		for _, c := range d.Children() {
			add(c)
		}
	}
	for _, c := range r.Columns() {
		add(c.Data())
	}
	return n
}
