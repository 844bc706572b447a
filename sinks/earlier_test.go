package sinks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// earlierTable copies the table of testdata, which was written before
// predictions had the field top, and before the columns attributes and
// hyperparameters: offsets 0 to 29 of partition one/0. It is opened
// as of today.
func earlierTable(t *testing.T) (dir string, b sinks.Bucket, s *sinks.PredictionsTable) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/earlier")); err != nil {
		t.Fatal(err)
	}
	b = openBucket(t, dir)
	s, err := sinks.NewPredictionsTable(t.Context(), b, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}, Surrogates: true})
	if err != nil {
		t.Fatal(err)
	}
	return dir, b, s
}

// appendPairs commits the offsets from first to next-1 of a partition, two a commit,
// and returns the rows that readers must see.
func appendPairs(t *testing.T, s *sinks.PredictionsTable, p schemas.TopicPartition, first, next int64) (rows []map[string]any) {
	t.Helper()
	for o := first; o < next; o += 2 {
		batch := sinktest.Batch(p, o, o+2)
		rows = append(rows, wantPredictions(batch)...)
		if err := s.Write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// nulledLater returns the rows of the earlier table as a table of now has them.
func nulledLater(rows []map[string]any) []map[string]any {
	for _, row := range rows {
		row["attributes"], row["hyperparameters"], row["unknown"] = nil, nil, nil
		for _, answer := range row["predictions"].(map[string]any) {
			for _, later := range []string{"top", "labels", "sd", "fails"} {
				answer.(map[string]any)[later] = nil
			}
		}
	}
	return rows
}

// Readers see a table that was begun before predictions had a field and goes on with it:
// null in the older rows, through compactions and a checkpoint of ours and of another
// program.
func TestReadersOfAnEarlierTable(t *testing.T) {
	dir, _, s := earlierTable(t)
	one := schemas.TopicPartition{Topic: "one"}
	want := nulledLater(wantPredictions(sinktest.Batch(one, 0, 30)))
	at, err := s.Positions(t.Context(), []schemas.TopicPartition{one})
	if err != nil || at[one] != 30 {
		t.Fatalf("the position is %v, %v", at, err)
	}
	table := filepath.Join(dir, "predictions")
	compareReaders(t, readEverywhere(t, table, "2026-01-02", 20), plainJSON(t, want), "2026-01-02", 20, predictionTypes)

	want = append(want, appendPairs(t, s, one, 30, 34)...)
	wantFilters(t, table) // while the files are few: a filter costs each reader a look at each
	want = append(want, appendPairs(t, s, one, 34, 60)...)
	want = append(want, appendPairs(t, s, schemas.TopicPartition{Topic: "two"}, 0, 180)...)
	if _, err := os.Stat(filepath.Join(table, "_delta_log", "_last_checkpoint")); err != nil {
		t.Fatal("no checkpoint: ", err)
	}
	compareReaders(t, readEverywhere(t, table, "2026-01-02", 20), plainJSON(t, want), "2026-01-02", 20, predictionTypes)

	// delta-rs compacts no files that lack a field inside a map: as
	// docs/operations.md says, the table is written anew first.
	for _, what := range []string{"checkpoint", "rewrite", "optimize"} {
		python(t, "write_table.py", table, what)
	}
	want = append(want, appendPairs(t, s, one, 60, 70)...)
	compareReaders(t, readEverywhere(t, table, "2026-01-02", 20), plainJSON(t, want), "2026-01-02", 20, predictionTypes)
}

// Files of the version before are compacted among themselves, and one that is
// alone with its columns does not keep the others of its folder apart.
func TestCompactionOfTwoVersions(t *testing.T) {
	for day, first := range map[string]int64{"date=2026-01-01": 0, "date=2026-01-02": 24} {
		_, b, s := earlierTable(t)
		before := filesOf(t, b, day)
		want := 26 // of testdata
		for number := range int32(4) {
			want += len(appendPairs(t, s, schemas.TopicPartition{Topic: "two", Number: number}, first, first+8))
		}
		if after := filesOf(t, b, day); len(after) >= len(before)+16 || len(after) < 2 {
			t.Errorf("%s: %d files of before and 16 more are %d", day, len(before), len(after))
		}
		rows := len(readTable[struct {
			Offset int64 `parquet:"offset"`
		}](t, b, "predictions"))
		if rows != want {
			t.Errorf("%s: %d rows, want %d", day, rows, want)
		}
	}
}

// filesOf returns the files of a day in the predictions table.
func filesOf(t *testing.T, b sinks.Bucket, day string) (files []string) {
	t.Helper()
	all, err := sinks.TableFiles(t.Context(), b, "predictions")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if strings.Contains(f, day) {
			files = append(files, f)
		}
	}
	return files
}
