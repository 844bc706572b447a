package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/parquet-go/parquet-go"

	"archflow/internal/input"
	"archflow/schemas"
)

// offsetSet holds offsets of partitions in a bit each.
type offsetSet map[schemas.TopicPartition]map[int64]*[64]uint64

// add says whether an offset was there already.
func (s offsetSet) add(p schemas.TopicPartition, offset int64) (twice bool) {
	blocks := s[p]
	if blocks == nil {
		blocks = map[int64]*[64]uint64{}
		s[p] = blocks
	}
	block := blocks[offset>>12]
	if block == nil {
		block = new([64]uint64)
		blocks[offset>>12] = block
	}
	word, bit := &block[offset>>6&63], uint64(1)<<(offset&63)
	twice = *word&bit != 0
	*word |= bit
	return twice
}

// rowOrigin is the source of a row's message.
type rowOrigin struct {
	Topic     string `parquet:"topic,optional"`
	Partition int32  `parquet:"partition,optional"`
	Offset    int64  `parquet:"offset,optional"`
}

// doubles counts the rows of the table whose (topic, partition, offset) an older file or
// row has: the result of two concurrent compactions by another program. When they are to
// be dropped, the files that hold them are replaced by ones without. A table whose rows
// do not come from messages has none.
func (l *deltaLog) doubles(ctx context.Context, drop bool) (rows int, err error) {
	schema, err := parseSchema(l.state.metaData)
	if err != nil || fieldNamed(schema, "offset") == nil {
		return 0, err
	}
	files := slices.SortedFunc(maps.Values(l.state.files), func(a, b *addFile) int {
		return int(a.ModificationTime - b.ModificationTime)
	})
	seen := offsetSet{}
	for _, f := range files {
		body, err := l.bucket.Read(ctx, l.key(filePath(f.Path)))
		if errors.Is(err, fs.ErrNotExist) {
			if err := l.replaced(ctx, f); err != nil {
				return rows, err
			}
			continue
		}
		if err != nil {
			return rows, err
		}
		twice, err := doubled(body, seen)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", f.Path, err)
		}
		rows += len(twice)
		if len(twice) == 0 || !drop {
			continue
		}
		if body, err = without(body, twice); err != nil {
			return rows, fmt.Errorf("%s: %w", f.Path, err)
		}
		if _, err := l.replace(ctx, f, body); err != nil {
			return rows, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return rows, nil
}

// doubled returns the rows of a file that seen has, in order, and adds the others.
func doubled(body []byte, seen offsetSet) (twice []int64, err error) {
	origins, err := originsOf(body)
	for i, o := range origins {
		if seen.add(schemas.TopicPartition{Topic: o.Topic, Number: o.Partition}, o.Offset) {
			twice = append(twice, int64(i))
		}
	}
	return twice, err
}

// without returns a Parquet file without some of its rows.
func without(body []byte, drop []int64) (_ []byte, err error) {
	defer input.Damaged(&err)
	file, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[any](&out, writerOptions(file.Schema())...)
	at := int64(0)
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		for page := make([]parquet.Row, 64); ; {
			n, err := rows.ReadRows(page)
			for _, row := range page[:n] {
				if len(drop) > 0 && drop[0] == at {
					drop = drop[1:]
				} else if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
					return nil, errors.Join(err, rows.Close())
				}
				at++
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, errors.Join(err, rows.Close())
			}
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
