package sinks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"

	"github.com/parquet-go/parquet-go"
)

// faults is a bucket that goes away at the n-th operation.
type faults struct {
	sinks.Bucket
	mu    sync.Mutex
	left  int  // operations until the failure; 0 for none
	late  bool // the failing operation takes effect all the same
	once  bool // the operations after it succeed
	fired bool
}

var errInjected = errors.New("injected: the storage has gone")

func (f *faults) fail(n int, late bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.late, f.fired = n, late, false
}

// meet says whether an operation fails, and whether it takes effect then.
func (f *faults) meet() (failed, effect bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return false, true
	}
	if f.left > 1 {
		f.left--
		return false, true
	}
	first := !f.fired
	f.fired = true
	if f.once {
		f.left = 0
	}
	return true, first && f.late
}

func (f *faults) change(do func() error) error {
	failed, effect := f.meet()
	var err error
	if effect {
		err = do()
	}
	if failed {
		return errInjected
	}
	return err
}

func (f *faults) Read(ctx context.Context, key string) ([]byte, error) {
	if failed, _ := f.meet(); failed {
		return nil, errInjected
	}
	return f.Bucket.Read(ctx, key)
}

func (f *faults) Stat(ctx context.Context, key string) (sinks.Object, error) {
	if failed, _ := f.meet(); failed {
		return sinks.Object{}, errInjected
	}
	return f.Bucket.Stat(ctx, key)
}

func (f *faults) List(ctx context.Context, prefix, after string) iter.Seq2[sinks.Object, error] {
	if failed, _ := f.meet(); failed {
		return func(yield func(sinks.Object, error) bool) { yield(sinks.Object{}, errInjected) }
	}
	return f.Bucket.List(ctx, prefix, after)
}

func (f *faults) Write(ctx context.Context, key string, data []byte) error {
	return f.change(func() error { return f.Bucket.Write(ctx, key, data) })
}

func (f *faults) Create(ctx context.Context, key string, data []byte) error {
	return f.change(func() error { return f.Bucket.Create(ctx, key, data) })
}

func (f *faults) Delete(ctx context.Context, key string) error {
	return f.change(func() error { return f.Bucket.Delete(ctx, key) })
}

func openBucket(t testing.TB, location string) sinks.Bucket {
	t.Helper()
	b, err := sinks.OpenBucket(context.Background(), location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// readTable returns the rows of a table, each file in the log once.
func readTable[R any](t testing.TB, b sinks.Bucket, table string) []R {
	t.Helper()
	var rows []R
	files, err := sinks.TableFiles(t.Context(), b, table)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		body, err := b.Read(t.Context(), table+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		part, err := parquet.Read[R](bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rows = append(rows, part...)
	}
	return rows
}

func newBucketPlace(t *testing.T, late bool, location string) (*sinktest.Place, *faults) {
	f := &faults{Bucket: openBucket(t, location)}
	return &sinktest.Place{Fail: func(n int) { f.fail(n, late) }}, f
}

func predictionsPlace(late bool, location func(t *testing.T) string) func(*testing.T) *sinktest.Place {
	return func(t *testing.T) *sinktest.Place {
		place, f := newBucketPlace(t, late, location(t))
		place.Open = func(ctx context.Context) (sinks.Sink, error) {
			return sinks.NewPredictionsTable(ctx, f, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}, Surrogates: true})
		}
		place.Read = func(t testing.TB) (rows []sinktest.Row) {
			type row struct {
				Topic        string `parquet:"topic,optional"`
				Partition    int32  `parquet:"partition,optional"`
				Offset       int64  `parquet:"offset,optional"`
				Architecture string `parquet:"architecture,optional"`
			}
			for _, r := range readTable[row](t, f.Bucket, "predictions") {
				rows = append(rows, sinktest.Row{TopicPartition: schemas.TopicPartition{Topic: r.Topic, Number: r.Partition}, Offset: r.Offset, Content: r.Architecture})
			}
			return rows
		}
		return place
	}
}

func deadLettersPlace(late bool) func(*testing.T) *sinktest.Place {
	return func(t *testing.T) *sinktest.Place {
		place, f := newBucketPlace(t, late, t.TempDir())
		place.Rejects = true
		place.Open = func(ctx context.Context) (sinks.Sink, error) {
			return sinks.NewDeadLettersTable(ctx, f, sinks.TableConfig{Group: "g"})
		}
		place.Read = func(t testing.TB) (rows []sinktest.Row) {
			type row struct {
				Topic     string `parquet:"topic,optional"`
				Partition int32  `parquet:"partition,optional"`
				Offset    int64  `parquet:"offset,optional"`
				Key       []byte `parquet:"key,optional"`
			}
			for _, r := range readTable[row](t, f.Bucket, "dead_letters") {
				rows = append(rows, sinktest.Row{TopicPartition: schemas.TopicPartition{Topic: r.Topic, Number: r.Partition}, Offset: r.Offset, Content: string(r.Key)})
			}
			return rows
		}
		return place
	}
}

func TestTablesConform(t *testing.T) {
	for _, late := range []bool{false, true} {
		when := map[bool]string{false: "failing operations do nothing", true: "failing operations take effect"}[late]
		t.Run("predictions, "+when, func(t *testing.T) { sinktest.Run(t, predictionsPlace(late, (*testing.T).TempDir)) })
		t.Run("dead letters, "+when, func(t *testing.T) { sinktest.Run(t, deadLettersPlace(late)) })
	}
}

// The same guarantees hold in an object store.
func TestTableOnS3Conforms(t *testing.T) {
	bucket := sinks.S3Server(t)
	sinktest.Run(t, predictionsPlace(true, func(*testing.T) string { return bucket() }))
}

// BenchmarkPredictionsTable writes and commits 64 batches of 1,170 messages of
// one day.
func BenchmarkPredictionsTable(b *testing.B) {
	bucket := openBucket(b, b.TempDir())
	p := schemas.TopicPartition{Topic: "t"}
	const messages, batches = 1170, 64
	rows, size, group := 0, 0, 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		group++
		s, err := sinks.NewPredictionsTable(b.Context(), bucket, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: fmt.Sprint(group)}, Surrogates: true})
		if err != nil {
			b.Fatal(err)
		}
		var in []*schemas.Batch
		for i := range int64(batches) {
			batch := sinktest.Batch(p, i*messages, (i+1)*messages)
			c := schemas.ViewCandidates(batch.Rows)
			for j := range c.Time {
				c.Time[j] = 1_767_225_600_000 + c.Offset[j]
			}
			in = append(in, batch)
		}
		b.StartTimer()
		for _, batch := range in {
			if err := s.Write(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		n, bytes := s.Pending()
		rows, size = rows+n, bytes/n
		if err := s.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(size), "B/row")
}
