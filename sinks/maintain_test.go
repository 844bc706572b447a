package sinks_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// TestMaintain: a table of an earlier version, whose columns have no names and
// whose statistics are of some columns only, is repaired, keeps its rows and its
// position, and a second time there is nothing to do.
func TestMaintain(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/earlier")); err != nil {
		t.Fatal(err)
	}
	b := openBucket(t, dir)
	if _, err := sinks.Maintain(t.Context(), b, "labels", sinks.Upkeep{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no table: %v", err)
	}
	before := readTable[struct {
		Offset int64 `parquet:"offset"`
	}](t, b, "predictions")
	nameless := sinks.Nameless(t, b, "predictions")
	if nameless == 0 {
		t.Fatal("the earlier table has names already")
	}
	done, err := sinks.Maintain(t.Context(), b, "predictions", sinks.Upkeep{Rewrite: true})
	if err != nil || done.Rewritten != nameless || sinks.Nameless(t, b, "predictions") != 0 {
		t.Fatalf("%+v, %v: %d files without names before", done, err, nameless)
	}
	after := readTable[struct {
		Offset int64 `parquet:"offset"`
	}](t, b, "predictions")
	if len(after) != len(before) {
		t.Errorf("%d rows, %d before", len(after), len(before))
	}
	at, err := sinks.TablePositions(t.Context(), b, "predictions", "g", []schemas.TopicPartition{{Topic: "one"}})
	if err != nil || at[schemas.TopicPartition{Topic: "one"}] != 30 {
		t.Errorf("position %v, %v", at, err)
	}
	wantFilters(t, filepath.Join(dir, "predictions"))
	again, err := sinks.Maintain(t.Context(), b, "predictions", sinks.Upkeep{Rewrite: true})
	if err != nil || again.Rewritten+again.Stated+again.Merged != 0 || again.Files != done.Files {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// TestTableProperties: a writer obeys the table's properties, and refuses with one
// sentence those that it cannot satisfy.
func TestTableProperties(t *testing.T) {
	commit := func(t *testing.T, s *sinks.PredictionsTable, first, next int64) error {
		t.Helper()
		for o := first; o < next; o++ {
			if err := s.Write(t.Context(), sinktest.Batch(schemas.TopicPartition{Topic: "one"}, o, o+1)); err != nil {
				return err
			}
			if err := s.Commit(t.Context()); err != nil {
				return err
			}
		}
		return nil
	}
	now := time.Now()
	open := func(t *testing.T, b sinks.Bucket) (*sinks.PredictionsTable, error) {
		t.Helper()
		return sinks.NewPredictionsTable(t.Context(), b, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g", Now: func() time.Time { return now }}})
	}
	set := func(t *testing.T, b sinks.Bucket, reader, writer int32, properties map[string]string, features ...string) {
		t.Helper()
		if err := sinks.SetProperties(t.Context(), b, "predictions", reader, writer, properties, features...); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("obeyed", func(t *testing.T) {
		dir := t.TempDir()
		b := openBucket(t, dir)
		s, err := open(t, b)
		if err != nil {
			t.Fatal(err)
		}
		set(t, b, 1, 4, map[string]string{
			"delta.checkpointInterval": "10", "delta.deletedFileRetentionDuration": "interval 2 hours", "delta.logRetentionDuration": "interval 1 hour",
			"delta.dataSkippingNumIndexedCols": "2", "delta.appendOnly": "true", "delta.enableChangeDataFeed": "true",
		})
		if err := commit(t, s, 0, 40); err != nil {
			t.Fatal(err)
		}
		checkpoints := glob(t, dir, "_delta_log/*.checkpoint.parquet")
		if len(checkpoints) < 4 {
			t.Errorf("%d checkpoints of 40 commits, one each 10", len(checkpoints))
		}
		log, err := os.ReadFile(filepath.Join(dir, "predictions", "_delta_log", fmt.Sprintf("%020d.json", 30)))
		if err != nil || strings.Contains(string(log), `network\"`) || !strings.Contains(string(log), `architecture\"`) {
			t.Errorf("statistics of the first two columns: %v %s", err, log)
		}
		data := len(glob(t, dir, "space=*/date=*/*.parquet"))
		now = now.Add(3 * time.Hour)
		done, err := sinks.Maintain(t.Context(), b, "predictions", sinks.Upkeep{Now: func() time.Time { return now }})
		if err != nil || done.Vacuumed == 0 || done.Cleaned == 0 || len(glob(t, dir, "space=*/date=*/*.parquet")) != data-done.Vacuumed+done.Files {
			t.Errorf("after three hours: %+v, %v", done, err)
		}
		if len(readTable[struct{}](t, b, "predictions")) != 40-6 {
			t.Errorf("%d rows", len(readTable[struct{}](t, b, "predictions")))
		}
	})
	for name, c := range map[string]struct {
		reader, writer int32
		properties     map[string]string
		features       []string
		want           string
	}{
		"constraint":      {1, 3, map[string]string{"delta.constraints.good": "offset > 0"}, nil, "DROP CONSTRAINT good"},
		"deletionVectors": {3, 7, nil, []string{"deletionVectors"}, "DROP FEATURE deletionVectors"},
		"mapping":         {2, 5, map[string]string{"delta.columnMapping.mode": "name"}, nil, "mapped by name"},
		"version":         {4, 8, nil, nil, "protocol 4/8"},
	} {
		t.Run(name, func(t *testing.T) {
			b := openBucket(t, t.TempDir())
			s, err := open(t, b)
			if err != nil {
				t.Fatal(err)
			}
			if err := commit(t, s, 0, 1); err != nil {
				t.Fatal(err)
			}
			set(t, b, c.reader, c.writer, c.properties, c.features...)
			err = commit(t, s, 1, 2)
			if !errors.Is(err, sinks.ErrRefused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("while it is written: %v", err)
			}
			if _, err := open(t, b); !errors.Is(err, sinks.ErrRefused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("opened again: %v", err)
			}
		})
	}
	t.Run("features that are met", func(t *testing.T) {
		b := openBucket(t, t.TempDir())
		s, err := open(t, b)
		if err != nil {
			t.Fatal(err)
		}
		set(t, b, 1, 7, nil, "appendOnly", "changeDataFeed", "checkConstraints", "invariants")
		if err := commit(t, s, 0, 101); err != nil {
			t.Fatal(err)
		}
		if s, err = open(t, b); err != nil { // from a checkpoint, which keeps the features
			t.Fatal(err)
		}
		if err := commit(t, s, 101, 102); err != nil {
			t.Fatal(err)
		}
	})
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "predictions", pattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}
