package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"golang.org/x/sync/errgroup"
)

const (
	rowGroupRows = 128 << 10 // rows of a row group at most
	slabRows     = 512       // rows handed to parquet-go at a time
	openFiles    = 32        // files being written at once at most
	storeAtOnce  = 16        // files being stored at once at most
	idleWriters  = 4         // whose memory is kept for the next files
	createdBy    = "archflow"
)

// partitionValue is one level of a table's folders.
type partitionValue struct{ Column, Value string }

// folderName names a folder in the Hive way, as some readers take the value
// from it.
func folderName(values []partitionValue) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(v.Column)
		b.WriteByte('=')
		if v.Value == "" {
			b.WriteString("__HIVE_DEFAULT_PARTITION__")
		}
		for _, c := range []byte(v.Value) {
			plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
			if plain {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
	}
	return b.String()
}

// Folder names the folder of a table in which a column has a value.
func Folder(column, value string) string { return folderName([]partitionValue{{column, value}}) }

// dataFile is a Parquet file that is being written.
type dataFile[R any] struct {
	values []partitionValue
	body   bytes.Buffer
	writer *parquet.GenericWriter[R]
	slab   []R // views of batches; written out before these go
}

// dataFiles are the Parquet files of rows that are not committed, one a folder
// of the table at a time. The rows of a folder may end in several files.
type dataFiles[R any] struct {
	log  *deltaLog
	open map[string]*dataFile[R]
	idle []*parquet.GenericWriter[R] // to be used again
	adds []deltaAction               // of the files that are stored
}

// tableCodec is of zstd's fastest level, which leaves digits in hexadecimal as they
// are; the columns of hashes have the default level by their tags.
var tableCodec = zstd.Codec{Level: zstd.SpeedFastest}

// writerOptions are how data files are written. Headers of pages are without bounds, which the
// index of columns has: with those of values of megabytes readers on Arrow refuse a file.
func writerOptions(more ...parquet.WriterOption) []parquet.WriterOption {
	return append(more, parquet.Compression(&tableCodec), parquet.DataPageStatistics(false), parquet.MaxRowsPerRowGroup(rowGroupRows), parquet.CreatedBy(createdBy, "1", ""))
}

// file returns the file being written in a folder of the table.
func (d *dataFiles[R]) file(ctx context.Context, folder string, values []partitionValue) (*dataFile[R], error) {
	if f := d.open[folder]; f != nil {
		return f, nil
	}
	if len(d.open) == openFiles {
		if err := d.store(ctx); err != nil {
			return nil, err
		}
	}
	f := &dataFile[R]{values: values, slab: make([]R, 0, slabRows)}
	if n := len(d.idle); n > 0 {
		f.writer, d.idle = d.idle[n-1], d.idle[:n-1]
		f.writer.Reset(&f.body)
	} else {
		f.writer = parquet.NewGenericWriter[R](&f.body, writerOptions()...)
	}
	if d.open == nil {
		d.open = map[string]*dataFile[R]{}
	}
	d.open[folder] = f
	return f, nil
}

// put adds a row to the file; the memory that it views must stay until flush.
func (f *dataFile[R]) put(row R) error {
	f.slab = append(f.slab, row)
	if len(f.slab) == cap(f.slab) {
		return f.flush()
	}
	return nil
}

func (f *dataFile[R]) flush() error {
	_, err := f.writer.Write(f.slab)
	clear(f.slab)
	f.slab = f.slab[:0]
	return err
}

// flush lets go of everything that rows view.
func (d *dataFiles[R]) flush() error {
	for _, f := range d.open {
		if err := f.flush(); err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
	}
	return nil
}

// store ends the open files and stores them, several at a time, because storing is mostly
// waiting; nobody sees them before adds is committed.
func (d *dataFiles[R]) store(ctx context.Context) error {
	folders := slices.Sorted(maps.Keys(d.open))
	adds := make([]*addFile, len(folders))
	all, storing := errgroup.WithContext(ctx)
	all.SetLimit(storeAtOnce)
	for i, folder := range folders {
		f := d.open[folder]
		if err := f.flush(); err != nil {
			return errors.Join(fmt.Errorf("parquet: %w", err), all.Wait())
		}
		if err := f.writer.Close(); err != nil {
			return errors.Join(fmt.Errorf("parquet: %w", err), all.Wait())
		}
		all.Go(func() (err error) {
			body, err := finishFile(f.body.Bytes())
			if err == nil {
				adds[i], err = storeFile(storing, d.log, folder, actionValues(f.values), body)
			}
			return err
		})
	}
	err := all.Wait()
	for i, folder := range folders {
		if adds[i] == nil {
			continue
		}
		d.adds = append(d.adds, deltaAction{Add: adds[i]})
		if len(d.idle) < idleWriters {
			d.idle = append(d.idle, d.open[folder].writer)
		}
		delete(d.open, folder)
	}
	return err
}

// discard gives up everything. Deleting stored files is best effort: the next vacuum
// deletes the rest.
func (d *dataFiles[R]) discard(ctx context.Context) {
	for _, a := range d.adds {
		_ = d.log.bucket.Delete(ctx, d.log.key(filePath(a.Add.Path)))
	}
	d.adds = nil
	d.open = nil
}

// newFile names a data file; names are never used again.
func newFile(folder string) string { return path.Join(folder, "part-"+uuid.NewString()+".parquet") }

// storeFile stores a data file in a folder of the table under a new name and
// returns its entry.
func storeFile(ctx context.Context, l *deltaLog, folder string, values map[string]*string, body []byte) (*addFile, error) {
	name := newFile(folder)
	footer, _, err := readFooter(body)
	if err == nil && !named(footer) {
		err = errNameless
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not stored: %w", name, err)
	}
	columns, err := scalars(l.state.metaData)
	if err != nil {
		return nil, err
	}
	if err := l.bucket.Write(ctx, l.key(name), body); err != nil {
		return nil, err
	}
	return &addFile{
		Path: actionPath(name), PartitionValues: values, Size: int64(len(body)),
		ModificationTime: l.now().UnixMilli(), DataChange: true, Stats: footerStats(footer, columns).text(),
	}, nil
}

// actionValues returns the values of a folder as the log has them.
func actionValues(values []partitionValue) map[string]*string {
	m := map[string]*string{}
	for _, v := range values {
		if v.Value == "" {
			m[v.Column] = nil
			continue
		}
		m[v.Column] = &v.Value
	}
	return m
}
