package sinks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// sparkAnswer is the table as the readers on the JVM return it.
type sparkAnswer struct {
	Rows            []map[string]any
	Filtered        []int
	Kernel, Parquet [][]any // offset, candidate_id, architecture and model of each row
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
			batch := sinktest.Batch(schemas.TopicPartition{Topic: "one"}, o, o+step)
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
	earlier := wantPredictions(sinktest.Batch(schemas.TopicPartition{Topic: "one"}, 0, 30))

	old, err := filepath.Abs("testdata/earlier/predictions")
	if err != nil {
		t.Fatal(err)
	}
	all := plainJSON(t, want)
	cases := []struct {
		name, dir string
		want      []map[string]any
	}{{"live", live, all[:rows]}, {"compacted", dir, all}, {"upgraded", upgraded, plainJSON(t, ofEarlier(earlier))}}
	var requests []any
	for _, c := range cases {
		var filters []string
		for _, f := range sparkFilters(c.want) {
			filters = append(filters, f.sql)
		}
		requests = append(requests, map[string]any{"table": filepath.Join(c.dir, "predictions"), "filters": filters})
	}
	others := t.TempDir()
	wantScores, wantModels := writeScoresAndModels(t, others)
	answers := askSpark(t, append(requests, map[string]any{"table": old},
		map[string]any{"table": filepath.Join(others, "scores"), "told": []string{"time", "network", "task", "model"}}, map[string]any{"table": filepath.Join(others, "models"), "told": []string{"registry", "model"}})...)
	sameRowsInSpark(t, "scores", answers[len(cases)+1], wantScores)
	sameRowsInSpark(t, "models", answers[len(cases)+2], wantModels)
	for i, c := range cases {
		got := answers[i]
		if got.Error != "" {
			t.Errorf("%s: %s", c.name, got.Error)
			continue
		}
		compareReaders(t, map[string]seen{c.name + " in Spark": {Rows: inOrder(got.Rows), Filtered: make([][]any, 1)}}, c.want, "", c.want[len(c.want)-1]["offset"].(float64), nil)
		var some [][]any
		for _, r := range inOrder(c.want) {
			some = append(some, []any{r["offset"], r["candidate_id"], r["architecture"], r["model"]})
		}
		if !reflect.DeepEqual(got.Kernel, some) || !reflect.DeepEqual(got.Parquet, some) {
			t.Errorf("%s: the kernel reads %v, parquet-java %v, want %v", c.name, got.Kernel, got.Parquet, some)
		}
		for k, f := range sparkFilters(c.want) {
			if n := count(c.want, f.meets); got.Filtered[k] != n {
				t.Errorf("%s: %s gives %d rows, want %d", c.name, f.sql, got.Filtered[k], n)
			}
		}
	}
	if answers[3].Error == "" {
		t.Error("Spark reads the files without names, so that this test shows nothing")
	}
}

// sameRowsInSpark compares the rows of a table that has no offsets.
func sameRowsInSpark(t *testing.T, table string, got sparkAnswer, rows []map[string]any) {
	t.Helper()
	want := map[string]map[string]any{}
	for _, r := range rows {
		want[rowName(r)] = r
	}
	if got.Error != "" || len(got.Rows) != len(rows) || len(got.Kernel) != len(rows) || len(got.Parquet) != len(rows) {
		t.Errorf("%s: %d rows, %d in the kernel, %d in parquet-java, want %d; %s", table, len(got.Rows), len(got.Kernel), len(got.Parquet), len(rows), got.Error)
	}
	for _, r := range got.Rows {
		if !reflect.DeepEqual(r, want[rowName(r)]) {
			t.Errorf("%s in Spark:\n%v\nwant\n%v", table, r, want[rowName(r)])
			return
		}
	}
}

// ofEarlier returns the rows of a table of the first version.
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

// sparkFilter is a condition and which rows meet it.
type sparkFilter struct {
	sql   string
	meets func(row map[string]any) bool
}

// sparkFilters returns conditions of every kind, about the row in the middle where
// they need one.
func sparkFilters(rows []map[string]any) []sparkFilter {
	middle := rows[len(rows)/2]
	text := func(r map[string]any, column string) string { s, _ := r[column].(string); return s }
	number := func(r map[string]any, column string) int64 { v, _ := r[column].(float64); return int64(v) }
	of := func(column string) string { return text(middle, column) }
	like := func(column, sql string, meets func(v string) bool) sparkFilter {
		return sparkFilter{column + " " + sql, func(r map[string]any) bool { return r[column] != nil && meets(text(r, column)) }}
	}
	null := func(column string, is bool) sparkFilter {
		if is {
			return sparkFilter{column + " IS NULL", func(r map[string]any) bool { return r[column] == nil }}
		}
		return sparkFilter{column + " IS NOT NULL", func(r map[string]any) bool { return r[column] != nil }}
	}
	return []sparkFilter{
		like("candidate_id", "= '"+of("candidate_id")+"'", func(v string) bool { return v == of("candidate_id") }),
		like("candidate_id", "< '"+of("candidate_id")+"'", func(v string) bool { return v < of("candidate_id") }),
		like("candidate_id", "LIKE 'candidate 1%'", func(v string) bool { return strings.HasPrefix(v, "candidate 1") }),
		like("candidate_id", "= 'zzzz'", func(string) bool { return false }),
		like("architecture", ">= '"+of("architecture")+"'", func(v string) bool { return v >= of("architecture") }),
		like("network", "IN ('"+of("network")+"', 'x')", func(v string) bool { return v == of("network") }),
		like("trace_id", "= '"+of("trace_id")+"'", func(v string) bool { return v == of("trace_id") }),
		like("space", "= 'nb201'", func(v string) bool { return v == "nb201" }),
		like("space", "<> 'nb201'", func(v string) bool { return v != "nb201" }),
		like("model", "= 'nb201/17'", func(v string) bool { return v == "nb201/17" }),
		like("topic", "> 'one'", func(v string) bool { return v > "one" }),
		like("date", "= DATE '2026-01-02'", func(v string) bool { return v == "2026-01-02" }),
		like("date", "> DATE '2026-01-01'", func(v string) bool { return v > "2026-01-01" }),
		null("model", true), null("model", false), null("arch", true), null("embedding", true), null("meta", false),
		{"`offset` IN (5, 6, 9999)", func(r map[string]any) bool { return number(r, "offset") == 5 || number(r, "offset") == 6 }},
		{"`offset` BETWEEN 10 AND 20 AND partition = 0", func(r map[string]any) bool {
			return number(r, "offset") >= 10 && number(r, "offset") <= 20 && number(r, "partition") == 0
		}},
		{fmt.Sprintf("predicted_time < timestamp_micros(%d)", number(middle, "predicted_time")), func(r map[string]any) bool {
			return number(r, "predicted_time") < number(middle, "predicted_time")
		}},
		{fmt.Sprintf("candidate_time >= timestamp_micros(%d)", number(middle, "candidate_time")), func(r map[string]any) bool {
			return number(r, "candidate_time") >= number(middle, "candidate_time")
		}},
		{"predictions['cifar10_test'].value > 91", func(r map[string]any) bool {
			a, ok := r["predictions"].(map[string]any)["cifar10_test"].(map[string]any)
			return ok && a["value"].(float64) > 91
		}},
		{"proxies['synflow'] <= 10", func(r map[string]any) bool { return r["proxies"].(map[string]any)["synflow"].(float64) <= 10 }},
	}
}

func count(rows []map[string]any, meets func(map[string]any) bool) (n int) {
	for _, r := range rows {
		if meets(r) {
			n++
		}
	}
	return n
}
