package sinks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// footerTail is the length of the footer and the magic, at the end of a file.
const footerTail = 8

// errNameless says that a Parquet file lacks the names of its columns, which
// parquet-java looks columns up by and other readers do not look at.
var errNameless = errors.New("its footer does not name the columns as its schema does")

// readFooter decodes the footer of a Parquet file and returns where it starts.
func readFooter(file []byte) (footer *parquetformat.FileMetaData, start int, err error) {
	if len(file) < footerTail {
		return nil, 0, fmt.Errorf("a Parquet file of %d bytes", len(file))
	}
	size := int(binary.LittleEndian.Uint32(file[len(file)-footerTail:]))
	start = len(file) - footerTail - size
	if start < 0 {
		return nil, 0, fmt.Errorf("a Parquet file of %d bytes with a footer of %d", len(file), size)
	}
	footer = new(parquetformat.FileMetaData)
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), file[start:len(file)-footerTail], footer); err != nil {
		return nil, 0, fmt.Errorf("footer: %w", err)
	}
	return footer, start, nil
}

// finishFile returns the Parquet file with a footer that every reader takes: the
// groups of mapOf columns are marked as maps, which parquet-go would do itself
// but then leaves the fast way of writing structs; and each column chunk has
// the path of its column, which parquet-go blanks in a writer that is reset.
func finishFile(file []byte) ([]byte, error) {
	footer, start, err := readFooter(file)
	if err != nil {
		return nil, err
	}
	for i := range footer.Schema[1:] {
		if footer.Schema[i+1].Name == "key_value" {
			footer.Schema[i].LogicalType.Value = new(parquetformat.MapType)
			footer.Schema[i].ConvertedType.Set(deprecated.Map)
		}
	}
	paths := leafPaths(footer.Schema)
	for g := range footer.RowGroups {
		columns := footer.RowGroups[g].Columns
		if len(columns) != len(paths) {
			return nil, fmt.Errorf("footer: %d column chunks of %d columns", len(columns), len(paths))
		}
		for i := range columns {
			columns[i].MetaData.PathInSchema = paths[i]
		}
	}
	marked, err := thrift.Marshal(new(thrift.CompactProtocol), footer)
	if err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	magic := bytes.Clone(file[len(file)-4:])
	file = append(file[:start], marked...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(marked)))
	return append(file, magic...), nil
}

// checkFile reads back the footer of a Parquet file that is about to be stored:
// every column chunk must carry the name of its column.
func checkFile(file []byte) error {
	footer, _, err := readFooter(file)
	if err != nil {
		return err
	}
	if !named(footer) {
		return errNameless
	}
	return nil
}

// named says whether every column chunk has the path of its column.
func named(footer *parquetformat.FileMetaData) bool {
	paths := leafPaths(footer.Schema)
	for g := range footer.RowGroups {
		columns := footer.RowGroups[g].Columns
		if len(columns) != len(paths) {
			return false
		}
		for i := range columns {
			if !slices.Equal(columns[i].MetaData.PathInSchema, paths[i]) {
				return false
			}
		}
	}
	return true
}

// leafPaths returns the paths of the columns of a schema, which is a tree
// written depth first.
func leafPaths(schema []parquetformat.SchemaElement) (paths [][]string) {
	var walk func(i int, path []string) int
	walk = func(i int, path []string) int {
		children := int(schema[i].NumChildren.V)
		if children == 0 {
			paths = append(paths, slices.Clone(path))
		}
		next := i + 1
		for range children {
			if next >= len(schema) {
				return next
			}
			next = walk(next, append(path, schema[next].Name))
		}
		return next
	}
	if len(schema) > 0 {
		walk(0, nil)
	}
	return paths
}
