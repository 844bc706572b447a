package sinks_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// TestClockGoesBack: a clock that is set back by days between commits changes neither the
// rows of the table nor its positions, and no file that is needed is vacuumed.
func TestClockGoesBack(t *testing.T) {
	dir := t.TempDir()
	bucket := openBucket(t, dir)
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	partition := schemas.TopicPartition{Topic: "t"}
	open := func() *sinks.PredictionsTable {
		s, err := sinks.NewPredictionsTable(t.Context(), bucket, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g", Now: func() time.Time { return now }}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	const commits, each = 40, 10
	want := int64(0)
	for i := range int64(commits) {
		batch := sinktest.Batch(partition, each*i, each*(i+1))
		want += batch.Rows.NumRows()
		if err := s.Write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(-36 * time.Hour)
		if i%10 == 9 { // opening reads the log anew
			_ = s.Close()
			s = open()
		}
	}
	at, err := s.Positions(t.Context(), []schemas.TopicPartition{partition})
	if err != nil || at[partition] != commits*each {
		t.Errorf("position %v, %v", at, err)
	}
	if rows := rowsOfLog(t, filepath.Join(dir, "predictions")); rows != want {
		t.Errorf("%d rows, want %d", rows, want)
	}
}

// rowsOfLog counts the rows of a table from its log alone, and that its files
// are there.
func rowsOfLog(t *testing.T, table string) (rows int64) {
	t.Helper()
	commits, err := filepath.Glob(filepath.Join(table, "_delta_log", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range commits {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			var action struct {
				Add    *struct{ Path, Stats string }
				Remove *struct{ Path string }
			}
			if err := json.Unmarshal(lines.Bytes(), &action); err != nil {
				t.Fatal(err)
			}
			if action.Add != nil && action.Remove == nil {
				var stats struct{ NumRecords int64 }
				if err := json.Unmarshal([]byte(action.Add.Stats), &stats); err != nil {
					t.Fatal(err)
				}
				rows += stats.NumRecords
			}
			if action.Remove != nil { // compaction: added files count there
				rows -= removed(t, commits, action.Remove.Path)
			}
		}
	}
	return rows
}

// removed returns the rows of a file that a commit has removed.
func removed(t *testing.T, commits []string, path string) int64 {
	t.Helper()
	for _, commit := range commits {
		text, err := os.ReadFile(commit)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var action struct {
				Add *struct{ Path, Stats string }
			}
			var stats struct{ NumRecords int64 }
			if json.Unmarshal(line, &action) == nil && action.Add != nil && action.Add.Path == path {
				if err := json.Unmarshal([]byte(action.Add.Stats), &stats); err != nil {
					t.Fatal(err)
				}
				return stats.NumRecords
			}
		}
	}
	t.Fatalf("%s is removed and was never added", path)
	return 0
}
