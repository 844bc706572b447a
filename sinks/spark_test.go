package sinks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// sparkAnswer is what the readers on the JVM saw of a table.
type sparkAnswer struct {
	Rows            []map[string]any
	Filtered        []int
	Kernel, Parquet int
	Error           string
}

// askSpark gives requests to testdata/spark.py. It runs where
// CI=true or SPARK is set, and without Spark fails in CI.
func askSpark(t *testing.T, requests ...any) []sparkAnswer {
	t.Helper()
	ci := os.Getenv("CI") == "true"
	if !ci && os.Getenv("SPARK") == "" {
		t.Skip("left out: it takes a minute; make spark runs it, and CI")
	}
	if _, err := os.Stat("../.tools/spark/complete"); err != nil {
		if ci {
			t.Fatal("Spark is missing; sh .ci/spark.sh gets it")
		}
		t.Skip("left out: Spark is missing; make spark gets it (330 MB), given Java and Maven")
	}
	answers := make([]sparkAnswer, len(requests))
	for i, r := range requests {
		sparkServant.ask(t, r, &answers[i])
	}
	return answers
}

// TestSparkReads: Spark with Delta Lake, Delta's own kernel and parquet-java read
// the tables: live, compacted and from a checkpoint, and one of the first version
// after its repair, before which Spark fails. The rows, their values and the
// answers to filters are those that were written.
func TestSparkReads(t *testing.T) {
	dir := t.TempDir()
	b := openBucket(t, dir)
	s, err := sinks.NewPredictionsTable(t.Context(), b, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}, Surrogates: true})
	if err != nil {
		t.Fatal(err)
	}
	var want []map[string]any
	commit := func(first, next, step int64) {
		for o := first; o < next; o += step {
			batch := sinktest.Batch(schemas.Partition{Topic: "one"}, o, o+step)
			want = append(want, wantPredictions(batch)...)
			if err := s.Write(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	commit(0, 60, 12)
	live := t.TempDir()
	if err := os.CopyFS(live, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	rows := len(want)
	commit(60, 170, 1)

	upgraded := t.TempDir()
	if err := os.CopyFS(upgraded, os.DirFS("testdata/earlier")); err != nil {
		t.Fatal(err)
	}
	if _, err := sinks.Maintain(t.Context(), openBucket(t, upgraded), "predictions", sinks.Upkeep{Rewrite: true}); err != nil {
		t.Fatal(err)
	}
	earlier := wantPredictions(sinktest.Batch(schemas.Partition{Topic: "one"}, 0, 30))

	filters, counts := sparkFilters(want)
	table := func(dir string) map[string]any {
		return map[string]any{"table": filepath.Join(dir, "predictions"), "filters": filters}
	}
	old, err := filepath.Abs("testdata/earlier/predictions")
	if err != nil {
		t.Fatal(err)
	}
	answers := askSpark(t, table(live), table(dir), table(upgraded), map[string]any{"table": old})
	all := plainJSON(t, want)
	for i, c := range []struct {
		name string
		want []map[string]any
	}{{"live", all[:rows]}, {"compacted", all}, {"upgraded", plainJSON(t, ofEarlier(earlier))}} {
		got := answers[i]
		if got.Error != "" {
			t.Errorf("%s: %s", c.name, got.Error)
			continue
		}
		compareReaders(t, map[string]seen{c.name + " in Spark": {Rows: inOrder(got.Rows), Filtered: make([][]any, 1)}}, c.want, "", c.want[len(c.want)-1]["offset"].(float64), nil)
		if got.Kernel != len(c.want) || got.Parquet != len(c.want) {
			t.Errorf("%s: the kernel reads %d rows, parquet-java %d, want %d", c.name, got.Kernel, got.Parquet, len(c.want))
		}
	}
	if fmt.Sprint(answers[1].Filtered) != fmt.Sprint(counts) {
		t.Errorf("filters %q give %v, want %v", filters, answers[1].Filtered, counts)
	}
	if answers[3].Error == "" {
		t.Error("Spark reads the files without names, so that this test shows nothing")
	}
}

// ofEarlier is what the rows of a table of the first version are.
func ofEarlier(rows []map[string]any) []map[string]any {
	for _, row := range rows {
		for _, later := range []string{"attributes", "hyperparameters", "unknown"} {
			delete(row, later)
		}
		for _, answer := range row["predictions"].(map[string]any) {
			for _, later := range []string{"top", "labels", "sd", "fails"} {
				delete(answer.(map[string]any), later)
			}
		}
	}
	return rows
}

// sparkFilters returns conditions and how many of the rows meet them.
func sparkFilters(rows []map[string]any) (filters []string, counts []int) {
	middle := rows[len(rows)/2]
	for filter, meets := range map[string]func(map[string]any) bool{
		fmt.Sprintf("candidate_id = '%s'", middle["candidate_id"]):  func(r map[string]any) bool { return r["candidate_id"] == middle["candidate_id"] },
		fmt.Sprintf("architecture >= '%s'", middle["architecture"]): func(r map[string]any) bool { return r["architecture"].(string) >= middle["architecture"].(string) },
		"candidate_id = 'zzzz'":    func(map[string]any) bool { return false },
		"model IS NULL":            func(r map[string]any) bool { return r["model"] == nil },
		"model IS NOT NULL":        func(r map[string]any) bool { return r["model"] != nil },
		"`offset` IN (5, 6, 9999)": func(r map[string]any) bool { return r["offset"].(int64) == 5 || r["offset"].(int64) == 6 },
		"date = DATE '2026-01-02'": func(r map[string]any) bool { return r["date"] == "2026-01-02" },
		"embedding IS NULL":        func(map[string]any) bool { return true },
		"predictions['cifar10_test'].value > 95": func(r map[string]any) bool {
			a, ok := r["predictions"].(map[string]any)["cifar10_test"].(map[string]any)
			return ok && a["value"].(float64) > 95
		},
		fmt.Sprintf("predicted_time < timestamp_micros(%d)", middle["predicted_time"]): func(r map[string]any) bool {
			return r["predicted_time"].(int64) < middle["predicted_time"].(int64)
		},
	} {
		n := 0
		for _, r := range rows {
			if meets(r) {
				n++
			}
		}
		filters, counts = append(filters, filter), append(counts, n)
	}
	return filters, counts
}
