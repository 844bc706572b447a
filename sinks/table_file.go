package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

const (
	rowGroupRows = 128 << 10 // rows of a row group at most
	slabRows     = 512       // rows handed to parquet-go at a time
	openFiles    = 32        // files being written at once at most
	idleWriters  = 4         // whose memory is kept for the next files
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

// rowFacts is what the log says about the rows of a file, so that readers can
// leave files out.
type rowFacts struct {
	topic     string
	partition int32
	offset    int64
	times     [2]*int64 // microseconds since 1970, nil for null
}

// interval is a closed range of numbers, empty when n is 0.
type interval struct {
	low, high int64
	n         int
}

func (v *interval) see(x int64) {
	if v.n == 0 || x < v.low {
		v.low = x
	}
	if v.n == 0 || x > v.high {
		v.high = x
	}
	v.n++
}

// dataFile is a Parquet file that is being written.
type dataFile[R any] struct {
	values []partitionValue
	body   bytes.Buffer
	writer *parquet.GenericWriter[R]
	slab   []R // views of batches; written out before these go

	rows              int
	topics            [2]string // least and greatest
	partition, offset interval
	times             [2]interval
}

func (f *dataFile[R]) observe(r rowFacts) {
	if f.rows == 0 || r.topic < f.topics[0] {
		f.topics[0] = r.topic
	}
	if f.rows == 0 || r.topic > f.topics[1] {
		f.topics[1] = r.topic
	}
	f.rows++
	f.partition.see(int64(r.partition))
	f.offset.see(r.offset)
	for i, at := range r.times {
		if at != nil {
			f.times[i].see(*at)
		}
	}
}

// stats returns the statistics of the file as the log has them. Times are
// written to the microsecond: a maximum that is cut below a row's value loses
// the row in most readers.
func (f *dataFile[R]) stats(times [2]string) string {
	low := map[string]any{"topic": f.topics[0], "partition": f.partition.low, "offset": f.offset.low}
	high := map[string]any{"topic": f.topics[1], "partition": f.partition.high, "offset": f.offset.high}
	nulls := map[string]int64{"topic": 0, "partition": 0, "offset": 0}
	const layout = "2006-01-02T15:04:05.000000Z"
	for i, name := range times {
		if name == "" {
			continue
		}
		nulls[name] = int64(f.rows - f.times[i].n)
		if f.times[i].n > 0 {
			low[name] = time.UnixMicro(f.times[i].low).UTC().Format(layout)
			high[name] = time.UnixMicro(f.times[i].high).UTC().Format(layout)
		}
	}
	body, err := json.Marshal(fileStats{int64(f.rows), low, high, nulls})
	if err != nil {
		panic(fmt.Sprintf("statistics of a file: %v", err)) // made of numbers and texts
	}
	return string(body)
}

// dataFiles are the Parquet files of rows that are not committed, one a folder
// of the table at a time. The rows of a folder may end in several files.
type dataFiles[R any] struct {
	bucket Bucket
	table  string
	times  [2]string // columns of rowFacts.times

	open map[string]*dataFile[R]
	idle []*parquet.GenericWriter[R] // to be used again
	adds []deltaAction               // of the files that are stored
}

// tableCodec is of zstd's fastest level.
var tableCodec = zstd.Codec{Level: zstd.SpeedFastest}

// writerOptions are how data files are written.
func writerOptions(more ...parquet.WriterOption) []parquet.WriterOption {
	return append(more, parquet.Compression(&tableCodec), parquet.MaxRowsPerRowGroup(rowGroupRows), parquet.CreatedBy("archflow", "1", ""))
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

// put adds a row to the file; what it views must stay until flush.
func (f *dataFile[R]) put(row R, facts rowFacts) error {
	f.observe(facts)
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

// store ends the open files and stores them; nobody sees them before adds is
// committed.
func (d *dataFiles[R]) store(ctx context.Context) error {
	for _, folder := range slices.Sorted(maps.Keys(d.open)) {
		f := d.open[folder]
		if err := f.flush(); err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
		if err := f.writer.Close(); err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
		body, err := finishFile(f.body.Bytes())
		if err != nil {
			return err
		}
		add, err := storeFile(ctx, d.bucket, d.table, f.values, body, f.stats(d.times))
		if err != nil {
			return err
		}
		d.adds = append(d.adds, deltaAction{Add: add})
		if len(d.idle) < idleWriters {
			d.idle = append(d.idle, f.writer)
		}
		delete(d.open, folder)
	}
	return nil
}

// discard gives up everything. Deleting what is stored is a courtesy: the sweep
// finds what stays.
func (d *dataFiles[R]) discard(ctx context.Context) {
	for _, a := range d.adds {
		_ = d.bucket.Delete(ctx, d.table+"/"+filePath(a.Add.Path))
	}
	d.adds = nil
	d.open = nil
}

// newFile names a data file; names are never used again.
func newFile(folder string) string { return path.Join(folder, "part-"+uuid.NewString()+".parquet") }

// storeFile stores a data file under a new name and returns its entry.
func storeFile(ctx context.Context, bucket Bucket, table string, values []partitionValue, body []byte, stats string) (*addFile, error) {
	name := newFile(folderName(values))
	if err := checkFile(body); err != nil {
		return nil, fmt.Errorf("%s is not stored: %w", name, err)
	}
	if err := bucket.Write(ctx, table+"/"+name, body); err != nil {
		return nil, err
	}
	add := &addFile{
		Path: actionPath(name), PartitionValues: map[string]*string{}, Size: int64(len(body)),
		ModificationTime: time.Now().UnixMilli(), DataChange: true, Stats: stats,
	}
	for _, v := range values {
		if v.Value == "" {
			add.PartitionValues[v.Column] = nil
			continue
		}
		add.PartitionValues[v.Column] = &v.Value
	}
	return add, nil
}
