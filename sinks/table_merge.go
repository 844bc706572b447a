package sinks

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"archflow/internal/input"

	"github.com/parquet-go/parquet-go"
)

const (
	sortedBy     = "network" // rows of one network side by side take half of the room
	sortedValues = 1 << 20   // values of a column that are held to be sorted at most, of 24 bytes each
	sortedBytes  = 32 << 20  // of rows that are held to be sorted at most, as their files count them before compression
	sortedRows   = 1024      // rows whose values are handed to a column writer at a time
)

// merger appends Parquet files of one schema to one file in memory.
type merger struct {
	schema *parquet.Schema
	body   bytes.Buffer
	writer *parquet.GenericWriter[any]
	column int // that rows are sorted by, -1 for none
	held   []parquet.RowGroup
	rows   int64 // of those held
	values int64 // of the longest column of those held
	bytes  int64 // of those held, before compression
}

// add appends a file, or leaves it alone when another program wrote it in a
// form of its own. Row groups that are large enough are copied as they are; the
// rows of the others are sorted in runs, a row group each.
func (m *merger) add(body []byte) (taken bool, err error) {
	defer input.Damaged(&err)
	file, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return false, err
	}
	if m.writer == nil {
		m.schema, m.column = file.Schema(), -1
		m.writer = parquet.NewGenericWriter[any](&m.body, writerOptions(m.schema)...)
		if leaf, ok := m.schema.Lookup(sortedBy); ok {
			m.column = leaf.ColumnIndex
		}
	} else if !parquet.EqualNodes(m.schema, file.Schema()) {
		return false, nil
	}
	for i, group := range file.RowGroups() {
		if err := m.addGroup(group, file.Metadata().RowGroups[i].TotalByteSize); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (m *merger) addGroup(group parquet.RowGroup, size int64) error {
	if group.NumRows() >= smallGroup {
		if err := m.release(); err != nil {
			return err
		}
		_, err := m.writer.WriteRowGroup(group)
		return err
	}
	longest := int64(0)
	for _, c := range group.ColumnChunks() {
		longest = max(longest, c.NumValues())
	}
	if m.rows+group.NumRows() > rowGroupRows || m.values+longest > sortedValues || m.bytes+size > min(sortedBytes, targetSize()) {
		if err := m.release(); err != nil {
			return err
		}
	}
	m.held = append(m.held, group)
	m.rows += group.NumRows()
	m.values += longest
	m.bytes += size
	return nil
}

// release writes the rows that are held as a row group, in their order.
func (m *merger) release() error {
	if m.rows == 0 {
		return nil
	}
	order, err := m.order()
	for i, column := range m.writer.ColumnWriters() {
		if err != nil {
			return err
		}
		err = m.write(column, i, order)
	}
	m.held, m.rows, m.values, m.bytes = nil, 0, 0, 0
	return errors.Join(err, m.writer.Flush())
}

// order returns the numbers of the rows that are held as they are to be written.
func (m *merger) order() ([]int32, error) {
	order := make([]int32, m.rows)
	for i := range order {
		order[i] = int32(i)
	}
	if m.column < 0 {
		return order, nil
	}
	keys, starts, err := m.read(m.column)
	if err != nil {
		return nil, err
	}
	key := func(row int32) []byte {
		if v := keys[starts[row]]; !v.IsNull() {
			return v.ByteArray()
		}
		return nil
	}
	slices.SortStableFunc(order, func(a, b int32) int { return bytes.Compare(key(a), key(b)) })
	return order, nil
}

// write gives a column of the rows that are held to its writer.
func (m *merger) write(to *parquet.ColumnWriter, column int, order []int32) error {
	values, starts, err := m.read(column)
	if err != nil {
		return err
	}
	var some []parquet.Value
	for rows := range slices.Chunk(order, sortedRows) {
		some = some[:0]
		for _, row := range rows {
			some = append(some, values[starts[row]:starts[row+1]]...)
		}
		if _, err := to.WriteRowValues(some); err != nil {
			return err
		}
	}
	return nil
}

// read returns the values of a column of the rows that are held, and where each
// row's begin, with the end of the last. Texts lie in the pages, which are left
// to the collector.
func (m *merger) read(column int) (values []parquet.Value, starts []int32, err error) {
	count := int64(0)
	for _, group := range m.held {
		count += group.ColumnChunks()[column].NumValues()
	}
	values, starts = make([]parquet.Value, 0, count+1), make([]int32, 0, m.rows+1)
	for _, group := range m.held {
		if values, err = appendValues(values, group.ColumnChunks()[column]); err != nil {
			return nil, nil, err
		}
	}
	for i := range values {
		if values[i].RepetitionLevel() == 0 {
			starts = append(starts, int32(i))
		}
	}
	if int64(len(starts)) != m.rows {
		return nil, nil, errDamagedColumn
	}
	return values, append(starts, int32(len(values))), nil
}

var errDamagedColumn = errors.New("a column has not as many values as its file has rows")

// appendValues appends the values of a column chunk.
func appendValues(values []parquet.Value, chunk parquet.ColumnChunk) (_ []parquet.Value, err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		reader := page.Values()
		for left := page.NumValues(); left > 0; {
			begin := len(values)
			values = slices.Grow(values, int(left))[:begin+int(left)]
			n, err := reader.ReadValues(values[begin:])
			values, left = values[:begin+n], left-int64(n)
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			if n == 0 && left > 0 {
				return nil, io.ErrUnexpectedEOF
			}
		}
	}
}

func (m *merger) close() ([]byte, error) {
	if err := m.release(); err != nil {
		return nil, err
	}
	if err := m.writer.Close(); err != nil {
		return nil, err
	}
	return m.body.Bytes(), nil
}
