package sinks_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// wantFilters asks every reader for the rows of a filter of each kind on each
// column and compares with a scan.
func wantFilters(t *testing.T, table string, storage ...string) (files int) {
	t.Helper()
	var got struct {
		Asked, Touched, Files int
		Wrong                 [][]any
	}
	if err := json.Unmarshal(python(t, "filter_tables.py", append([]string{table}, storage...)...), &got); err != nil {
		t.Fatal(err)
	}
	for _, w := range got.Wrong {
		t.Errorf("%v: %v gives %v rows, a scan %v", w...)
	}
	if got.Touched != 0 {
		t.Errorf("an id outside every range makes readers open %d of %d files", got.Touched, got.Files)
	}
	t.Logf("%d questions, %d files", got.Asked, got.Files)
	return got.Files
}

// TestFiltersOfPredictions: filters of each kind on every column give the rows
// of a scan, in all readers; on a live table, after a compaction, and from a
// checkpoint.
func TestFiltersOfPredictions(t *testing.T) {
	dir := t.TempDir()
	s, err := sinks.NewPredictionsTable(t.Context(), openBucket(t, dir), sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}, Surrogates: true})
	if err != nil {
		t.Fatal(err)
	}
	p := schemas.TopicPartition{Topic: "one"}
	for o := int64(0); o < 12*6; o += 12 {
		if err := s.Write(t.Context(), sinktest.Batch(p, o, o+12)); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantFilters(t, filepath.Join(dir, "predictions"))
}

func TestFiltersOfLabels(t *testing.T) {
	dir := t.TempDir()
	s, err := sinks.NewLabelsTable(t.Context(), openBucket(t, dir), sinks.TableConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(110) {
		v := 90 + float64(i)/8
		row := sinks.LabelRow{Space: "s", CandidateID: fmt.Sprintf("a long name of a candidate, number %04d", i), Task: "cifar10", Goal: "max", Offset: i}
		row.Failed = i > 70 // whole files of one value, and one of both
		if i%3 > 0 {
			row.Value, row.Time, row.Model, row.Score = &v, time.UnixMicro(1_767_229_200_123_000+i*1_000_000), "s/1", &v
		}
		if err := s.Append(t.Context(), schemas.TopicPartition{Topic: "labels"}, i, i+1, []sinks.LabelRow{row}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantFilters(t, filepath.Join(dir, "labels"))
}
