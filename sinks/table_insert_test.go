package sinks_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// openInsert opens the table whose rows are lost.
func openInsert(t *testing.T, b sinks.Bucket) *sinks.PredictionsTable {
	t.Helper()
	s, err := sinks.NewPredictionsTable(t.Context(), b, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}, Surrogates: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func appendBatch(t *testing.T, s *sinks.PredictionsTable, p schemas.TopicPartition, first, next int64) {
	t.Helper()
	if err := s.Write(t.Context(), sinktest.Batch(p, first, next)); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// insertRow is a row to be compared.
type insertRow struct {
	CandidateID   string    `parquet:"candidate_id,optional"`
	Network       string    `parquet:"network,optional"`
	Surrogate     []float32 `parquet:"surrogate,optional,list"`
	Model         string    `parquet:"model,optional"`
	PredictedTime int64     `parquet:"predicted_time,optional,timestamp(microsecond)"`
	Partition     int32     `parquet:"partition,optional"`
	Offset        int64     `parquet:"offset,optional"`
}

func rowsByOffset(t *testing.T, b sinks.Bucket) map[string]insertRow {
	t.Helper()
	rows := map[string]insertRow{}
	for _, r := range readTable[insertRow](t, b, "predictions") {
		at := fmt.Sprint(r.Partition, "/", r.Offset)
		if _, twice := rows[at]; twice {
			t.Errorf("%s is there twice", at)
		}
		rows[at] = r
	}
	return rows
}

// TestRowsComeBack: rows that a RESTORE removed come back once, with their values, from
// files that are left or from the batches, while a writer goes on above, in a folder and
// on S3; a second time there is nothing to do.
func TestRowsComeBack(t *testing.T) {
	one, two := schemas.TopicPartition{Topic: "one"}, schemas.TopicPartition{Topic: "one", Number: 1}
	onS3 := sinks.S3Server(t)
	for place, location := range map[string]func() string{"a folder": t.TempDir, "S3": onS3} {
		for _, destroy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, files deleted %v", place, destroy), func(t *testing.T) {
				b := openBucket(t, location())
				writer := openInsert(t, b)
				for i := range int64(5) {
					appendBatch(t, writer, one, 20*i, 20*i+20)
					appendBatch(t, writer, two, 20*i, 20*i+20)
				}
				want := rowsByOffset(t, b)
				if n := sinktest.Restore(t, b, "predictions", 5, destroy); n == 0 {
					t.Fatal("nothing was removed")
				}
				appendBatch(t, writer, one, 100, 120) // the writer goes on
				comesBack(t, b, writer, want, one, two, destroy)
			})
		}
	}
}

func comesBack(t *testing.T, b sinks.Bucket, writer *sinks.PredictionsTable, want map[string]insertRow, one, two schemas.TopicPartition, destroy bool) {
	s := openInsert(t, b)
	if lost, err := s.Survey(t.Context()); err != nil || lost != 0 {
		t.Fatalf("%d files lost, %v", lost, err)
	}
	if !s.Lacks(one, 99) || s.Lacks(one, 0) || s.Lacks(one, 119) || s.Lacks(one, 120) || s.Holds(one, 99) || !s.Holds(one, 0) {
		t.Error("the survey is wrong about the missing rows")
	}
	back, err := s.Reclaim(t.Context())
	if err != nil || (back == 0) != destroy {
		t.Fatalf("%d rows reclaimed, %v", back, err)
	}
	appendBatch(t, writer, two, 100, 120)
	for range 2 {
		for _, p := range []schemas.TopicPartition{one, two} {
			n, err := s.Insert(t.Context(), sinktest.Batch(p, 0, 130))
			if err != nil {
				t.Fatal(err)
			}
			back += n
		}
	}
	got := rowsByOffset(t, b)
	for at, row := range want {
		if !reflect.DeepEqual(got[at], row) {
			t.Errorf("%s: %+v, want %+v", at, got[at], row)
		}
	}
	above := 0
	for o := int64(100); o < 120; o++ {
		if o%7 != 3 {
			above += 2
		}
	}
	if len(got) != len(want)+above || back == 0 {
		t.Errorf("%d rows, want %d and %d above; %d came back", len(got), len(want), above, back)
	}
	appendBatch(t, writer, one, 120, 125)
}

// meddling is a bucket in which something happens just before the n-th change.
type meddling struct {
	sinks.Bucket
	n      int
	meddle func()
}

func (m *meddling) count() {
	if m.n--; m.n == 0 {
		m.meddle()
	}
}

func (m *meddling) Write(ctx context.Context, key string, data []byte) error {
	m.count()
	return m.Bucket.Write(ctx, key, data)
}

func (m *meddling) Create(ctx context.Context, key string, data []byte) error {
	m.count()
	return m.Bucket.Create(ctx, key, data)
}

// TestInsertersRace: two processes insert the same rows, the second inside any step
// of the first, which dies at the next operation or lives; each row is there once.
func TestInsertersRace(t *testing.T) {
	p := schemas.TopicPartition{Topic: "one"}
	for _, dies := range []bool{false, true} {
		met := false
		for at := 1; at == 1 || met; at++ {
			b := sinks.NewMemory()
			writer := openInsert(t, b)
			for i := range int64(6) {
				appendBatch(t, writer, p, 5*i, 5*i+5)
			}
			want := rowsByOffset(t, b)
			sinktest.Restore(t, b, "predictions", 1, false)
			failing := &faults{Bucket: b}
			first := &meddling{Bucket: failing}
			one, two := openInsert(t, first), openInsert(t, b)
			for _, s := range []*sinks.PredictionsTable{one, two} {
				if _, err := s.Survey(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			insert := func(s *sinks.PredictionsTable, next int64) error {
				_, err := s.Insert(t.Context(), sinktest.Batch(p, 0, next))
				return err
			}
			met = false
			first.n, first.meddle = at, func() {
				met = true
				if err := insert(two, 12); err != nil {
					t.Error(err)
				}
				appendBatch(t, writer, p, 30, 31)
				if dies {
					failing.fail(1, at%2 == 0)
				}
			}
			err := insert(one, 8)
			if err == nil {
				_, err = one.Reclaim(t.Context())
			}
			if err == nil {
				err = insert(one, 30)
			}
			if err != nil && (!dies || !errors.Is(err, errInjected)) {
				t.Fatal(err)
			}
			if err := insert(two, 30); err != nil {
				t.Fatal(err)
			}
			got := rowsByOffset(t, b)
			delete(got, "0/30")
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("operation %d, dies %v: %d rows, want %d", at, dies, len(got), len(want))
			}
			if !met && at < 6 {
				t.Fatalf("there are only %d operations", at)
			}
		}
	}
}

// TestLostFiles: data files that are gone are taken out of the log, and their rows
// come back.
func TestLostFiles(t *testing.T) {
	p := schemas.TopicPartition{Topic: "one"}
	b := openBucket(t, t.TempDir())
	writer := openInsert(t, b)
	for i := range int64(6) {
		appendBatch(t, writer, p, 5*i, 5*i+5)
	}
	want := rowsByOffset(t, b)
	files, err := sinks.TableFiles(t.Context(), b, "predictions")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files[:3] {
		if err := b.Delete(t.Context(), "predictions/"+f); err != nil {
			t.Fatal(err)
		}
	}
	s := openInsert(t, b)
	if lost, err := s.Survey(t.Context()); err != nil || lost != 3 {
		t.Fatalf("%d files lost, %v", lost, err)
	}
	if _, err := s.Insert(t.Context(), sinktest.Batch(p, 0, 30)); err != nil {
		t.Fatal(err)
	}
	if got := rowsByOffset(t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
}

// TestRestoreOfOthers: after a RESTORE by delta-rs 2,500 rows are there again.
func TestRestoreOfOthers(t *testing.T) {
	p := schemas.TopicPartition{Topic: "one"}
	dir := t.TempDir()
	b := openBucket(t, dir)
	writer := openInsert(t, b)
	const next = 2916 // of which 2,500 are rows
	for o := int64(0); o < next; o += 243 {
		appendBatch(t, writer, p, o, o+243)
	}
	want := rowsByOffset(t, b)
	if len(want) < 2499 {
		t.Fatalf("%d rows", len(want))
	}
	python(t, "restore_table.py", filepath.Join(dir, "predictions"), "9")
	if before := len(rowsByOffset(t, b)); before >= len(want) {
		t.Fatalf("%d rows after the RESTORE", before)
	}
	s := openInsert(t, b)
	if _, err := s.Survey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Insert(t.Context(), sinktest.Batch(p, 0, next)); err != nil {
		t.Fatal(err)
	}
	if got := rowsByOffset(t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
}

// TestAnswersOfEarlierTables: the answers in files of the first version are read.
func TestAnswersOfEarlierTables(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/earlier")); err != nil {
		t.Fatal(err)
	}
	b := openBucket(t, dir)
	files, err := sinks.TableFilesFrom(t.Context(), b, "predictions", "offset", 0)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	answered := 0
	for _, f := range files {
		body, err := b.Read(t.Context(), "predictions/"+f)
		if err != nil {
			t.Fatal(err)
		}
		answers, err := sinks.ReadAnswers(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range answers {
			if said := a["cifar10_test"]; said != nil && said.Value != nil && said.Top == nil && *said.Value == 90+said.Score {
				answered++
			}
		}
	}
	if answered == 0 {
		t.Error("no answer was read")
	}
}
