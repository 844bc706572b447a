package sinks

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
)

const (
	sortedBy     = "network" // rows of one network side by side take half of the room
	sortedValues = 1 << 20   // values that are held to be sorted at most, of 24 bytes each
)

// merger appends Parquet files of one schema to one file in memory.
type merger struct {
	schema *parquet.Schema
	body   bytes.Buffer
	writer *parquet.GenericWriter[any]
	rows   int64 // in the row group that is being gathered
	column int   // that rows are sorted by, -1 for none
	held   []keyedRow
	values int
}

// keyedRow is a row with the value that it is sorted by.
type keyedRow struct {
	key []byte
	row parquet.Row
}

// add appends a file, or leaves it alone when another program wrote it in a
// form of its own. Row groups that are large enough are copied as they are; the
// rows of the others are sorted in runs.
func (m *merger) add(body []byte) (taken bool, err error) {
	defer Damaged(&err)
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
	for _, group := range file.RowGroups() {
		if group.NumRows() >= smallGroup {
			if err := m.endGroup(); err != nil {
				return false, err
			}
			if _, err := m.writer.WriteRowGroup(group); err != nil {
				return false, err
			}
			continue
		}
		rows := group.Rows()
		if err := errors.Join(m.hold(rows), rows.Close()); err != nil {
			return false, err
		}
	}
	return true, nil
}

// hold keeps rows until there are enough to be sorted and written.
func (m *merger) hold(rows parquet.RowReader) error {
	for page := make([]parquet.Row, 64); ; {
		n, err := rows.ReadRows(page)
		for _, row := range page[:n] {
			kept := keyedRow{row: row.Clone()}
			for _, v := range kept.row {
				if v.Column() == m.column && !v.IsNull() {
					kept.key = v.ByteArray()
				}
			}
			m.held = append(m.held, kept)
			m.values += len(row)
		}
		if m.values >= sortedValues {
			if err := m.release(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// release sorts and writes what is held.
func (m *merger) release() error {
	slices.SortStableFunc(m.held, func(a, b keyedRow) int { return bytes.Compare(a.key, b.key) })
	rows := make([]parquet.Row, len(m.held))
	for i := range m.held {
		rows[i] = m.held[i].row
	}
	n, err := m.writer.WriteRows(rows)
	m.rows += int64(n)
	clear(m.held)
	m.held, m.values = m.held[:0], 0
	return err
}

func (m *merger) endGroup() error {
	if err := m.release(); err != nil || m.rows == 0 {
		return err
	}
	m.rows = 0
	return m.writer.Flush()
}

func (m *merger) close() ([]byte, error) {
	if err := m.endGroup(); err != nil {
		return nil, err
	}
	if err := m.writer.Close(); err != nil {
		return nil, err
	}
	return m.body.Bytes(), nil
}
