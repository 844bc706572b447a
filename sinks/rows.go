package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"archflow/internal/input"

	"github.com/parquet-go/parquet-go"
)

// EachFile calls f with the Parquet files of a table that lie in a folder of it. A table
// that is not there has none.
func EachFile(ctx context.Context, b Bucket, table, folder string, f func(name string, file *parquet.File) error) error {
	files, err := TableFiles(ctx, b, table)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range files {
		if !strings.HasPrefix(name, folder) {
			continue
		}
		data, err := b.Read(ctx, table+"/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted meanwhile
		}
		if err != nil {
			return err
		}
		if err := ReadParquet(data, func(file *parquet.File) error { return f(name, file) }); err != nil {
			return fmt.Errorf("%s/%s: %w", table, name, err)
		}
	}
	return nil
}

// ReadParquet calls f with the file in data. A damaged file is an error.
func ReadParquet(data []byte, f func(*parquet.File) error) (err error) {
	defer input.Damaged(&err)
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)), parquet.SkipBloomFilters(true))
	if err != nil {
		return err
	}
	return f(file)
}

// EachRow calls f with the rows of those files, the columns that R names. f must not
// keep a row.
func EachRow[R any](ctx context.Context, b Bucket, table, folder string, f func(row *R)) error {
	return EachFile(ctx, b, table, folder, func(_ string, file *parquet.File) error {
		reader := parquet.NewGenericReader[R](file)
		defer reader.Close()
		rows := make([]R, file.NumRows())
		n, err := reader.Read(rows)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i := range rows[:n] {
			f(&rows[i])
		}
		return nil
	})
}
