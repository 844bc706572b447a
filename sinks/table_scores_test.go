package sinks_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"archflow/schemas"
	"archflow/sinks"
)

// scoresOf are a model's scores of the networks first to next-1, for two tasks.
func scoresOf(first, next int) (rows []sinks.ScoreRow) {
	for n := first; n < next; n++ {
		v := float64(n)
		for _, task := range []string{"acc", "latency"} {
			row := sinks.ScoreRow{Network: schemas.ID{byte(n), 1}, Task: task, Score: v}
			if n%3 > 0 {
				row.Value, row.Low, row.High, row.SD = &v, &v, &v, &v
			}
			rows = append(rows, row)
		}
	}
	return rows
}

var scoredAt = time.UnixMicro(1_770_000_000_123_456)

type scoreKey struct {
	Network string `parquet:"network,optional"`
	Task    string `parquet:"task,optional"`
	Model   string `parquet:"model,optional"`
}

func openScores(t *testing.T, b sinks.Bucket, model string) *sinks.ScoresTable {
	t.Helper()
	s, err := sinks.NewScoresTable(t.Context(), b, sinks.TableConfig{Group: "g"})
	if err == nil {
		err = s.Of(t.Context(), "nb201", model)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestScoresOnce: a network is scored once by a model, by any number of writers, inside
// any step of another, whose storage fails then or does not; in memory and on S3.
func TestScoresOnce(t *testing.T) {
	onS3 := sinks.S3Server(t)
	for _, c := range []struct {
		name string
		open func() sinks.Bucket
		dies bool
	}{
		{"memory", sinks.NewMemory, false}, {"memory that fails", sinks.NewMemory, true},
		{"S3", func() sinks.Bucket { return openBucket(t, onS3()) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for at, met := 1, true; met; at++ {
				met = scoresRace(t, c.open(), at, c.dies)
			}
		})
	}
}

func scoresRace(t *testing.T, b sinks.Bucket, at int, dies bool) (met bool) {
	t.Helper()
	failing := &faults{Bucket: b}
	meddled := &meddling{Bucket: failing}
	one, two := openScores(t, meddled, "nb201/2"), openScores(t, b, "nb201/2")
	other := openScores(t, b, "nb201/1")
	if n, err := other.Insert(t.Context(), scoresOf(0, 30), scoredAt); err != nil || n != 30 {
		t.Fatal(n, err)
	}
	meddled.n, meddled.meddle = at, func() {
		met = true
		if _, err := two.Insert(t.Context(), scoresOf(5, 20), scoredAt); err != nil {
			t.Error(err)
		}
		if dies {
			failing.fail(1, at%2 == 0)
		}
	}
	_, err := one.Insert(t.Context(), scoresOf(0, 10), scoredAt)
	if err == nil {
		_, err = one.Insert(t.Context(), scoresOf(0, 30), scoredAt)
	}
	if err != nil && (!dies || !errors.Is(err, errInjected)) {
		t.Fatal(err)
	}
	for _, again := range []*sinks.ScoresTable{two, openScores(t, b, "nb201/2")} {
		if _, err := again.Insert(t.Context(), scoresOf(0, 30), scoredAt); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[scoreKey]int{}
	for _, k := range readTable[scoreKey](t, b, "scores") {
		if seen[k]++; seen[k] > 1 {
			t.Errorf("operation %d: %+v is there twice", at, k)
		}
	}
	if len(seen) != 2*2*30 {
		t.Errorf("operation %d: %d rows, want %d", at, len(seen), 2*2*30)
	}
	return met
}

// modelsOf are the models of the versions first to next-1 of a registry.
func modelsOf(first, next int64) (rows []sinks.ModelRow) {
	for v := first; v < next; v++ {
		row := sinks.ModelRow{Space: "nb201", Model: fmt.Sprint("nb201/", v), Version: v, Registry: v, Time: time.UnixMilli(1_770_000_000_000 + v), Tasks: map[string]sinks.ModelTask{"old": {}}}
		if v > 1 { // the first is of a version that noted nothing
			labels, tau, student := 10*v, .5, v%2 == 0
			row.Tasks = map[string]sinks.ModelTask{"acc": {Labels: &labels, Decision: "promoted", Why: "it ranks better", Tau: &tau}}
			row.Learnt, row.Student, row.Settings = map[string]int64{"archflow.labels/0": 10 * v}, &student, "seed=1"
		}
		rows = append(rows, row)
	}
	return rows
}

// TestModelsOnce: each version of the registry is in the table models once, with any
// number of writers, on a folder and on S3.
func TestModelsOnce(t *testing.T) {
	onS3 := sinks.S3Server(t)
	for name, location := range map[string]func() string{"a folder": t.TempDir, "S3": onS3} {
		t.Run(name, func(t *testing.T) {
			b := openBucket(t, location())
			for _, next := range []int64{4, 7, 6, 9} {
				s, err := sinks.NewModelsTable(t.Context(), b, sinks.TableConfig{Group: "g"})
				if err == nil {
					err = s.Append(t.Context(), 1, next, modelsOf(1, next))
				}
				if err == nil {
					err = s.Commit(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, r := range readTable[struct {
				Model string `parquet:"model,optional"`
			}](t, b, "models") {
				got = append(got, r.Model)
			}
			if len(got) != 8 {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestRewriteKeepsScoresAndModels: rows that come from no message are not taken for
// the rows of one.
func TestRewriteKeepsScoresAndModels(t *testing.T) {
	dir := t.TempDir()
	scores, models := writeScoresAndModels(t, dir)
	b := openBucket(t, dir)
	for table, want := range map[string]int{"scores": len(scores), "models": len(models)} {
		done, err := sinks.Maintain(t.Context(), b, table, sinks.Upkeep{Rewrite: true, Now: time.Now})
		if err != nil || done.Doubled != 0 {
			t.Errorf("%s: %+v, %v", table, done, err)
		}
		if n := len(readTable[struct {
			Model string `parquet:"model,optional"`
		}](t, b, table)); n != want {
			t.Errorf("%s: %d of %d rows", table, n, want)
		}
	}
}

// TestReadersOfScoresAndModels: every reader sees the rows of both tables, their
// types and the answers to a filter.
func TestReadersOfScoresAndModels(t *testing.T) {
	dir := t.TempDir()
	wantScores, wantModels := writeScoresAndModels(t, dir)
	for _, c := range []struct {
		table, column string
		least         int64
		want          []map[string]any
		types         map[string]map[string]string
	}{
		{"scores", "score", 15, wantScores, map[string]map[string]string{
			"deltalake": {"time": "timestamp[us, tz=UTC]", "score": "double"}, "duckdb": {"time": "TIMESTAMP WITH TIME ZONE", "space": "VARCHAR", "sd": "DOUBLE"},
			"polars": {"low": "Float64", "task": "String"},
		}},
		{"models", "version", 5, wantModels, map[string]map[string]string{
			"pyarrow": {"learnt": "map<string, int64>", "tasks": "map<string, struct<labels: int64, decision: string, why: string, tau: double>>"},
			"duckdb":  {"learnt": "MAP(VARCHAR, BIGINT)", "student": "BOOLEAN"}, "polars": {"learnt": "Map(String, Int64)", "version": "Int64"},
		}},
	} {
		var all map[string]seen
		if err := json.Unmarshal(python(t, "read_tables.py", filepath.Join(dir, c.table), "", fmt.Sprint(c.least), "null", c.column), &all); err != nil {
			t.Fatal(err)
		}
		if len(all) != 4 {
			t.Fatalf("%d readers answered", len(all))
		}
		want := map[string]map[string]any{}
		filtered := 0
		for _, r := range c.want {
			want[rowName(r)] = r
			if r[c.column].(float64) >= float64(c.least) {
				filtered++
			}
		}
		for reader, s := range all {
			if len(s.Rows) != len(want) || len(s.Filtered) != filtered {
				t.Errorf("%s of %s: %d rows, %d filtered, want %d and %d", reader, c.table, len(s.Rows), len(s.Filtered), len(want), filtered)
			}
			for _, r := range s.Rows {
				if !reflect.DeepEqual(r, want[rowName(r)]) {
					t.Errorf("%s of %s:\n%v\nwant\n%v", reader, c.table, r, want[rowName(r)])
					break
				}
			}
			for column, typ := range c.types[reader] {
				if s.Types[column] != typ {
					t.Errorf("%s: %s is %s, want %s", reader, column, s.Types[column], typ)
				}
			}
		}
	}
}

func rowName(r map[string]any) string { return fmt.Sprint(r["network"], r["task"], r["model"]) }

// writeScoresAndModels makes both tables and returns their rows.
func writeScoresAndModels(t *testing.T, dir string) (scores, models []map[string]any) {
	t.Helper()
	b := openBucket(t, dir)
	for _, model := range []string{"nb201/1", "nb201/2"} {
		s := openScores(t, b, model)
		for n := 0; n < 30; n += 10 {
			if _, err := s.Insert(t.Context(), scoresOf(n, n+10), scoredAt); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range scoresOf(0, 30) {
			row := map[string]any{"network": r.Network.String(), "space": "nb201", "task": r.Task, "model": model, "score": r.Score,
				"value": nil, "low": nil, "high": nil, "sd": nil, "time": scoredAt.UnixMicro()}
			if r.Value != nil {
				row["value"], row["low"], row["high"], row["sd"] = *r.Value, *r.Low, *r.High, *r.SD
			}
			scores = append(scores, row)
		}
	}
	m, err := sinks.NewModelsTable(t.Context(), b, sinks.TableConfig{Group: "g"})
	if err == nil {
		err = m.Append(t.Context(), 1, 9, modelsOf(1, 9))
	}
	if err == nil {
		err = m.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range modelsOf(1, 9) {
		row := map[string]any{"model": r.Model, "space": r.Space, "version": r.Version, "registry": r.Registry, "student": nil, "configuration": nil,
			"learnt": map[string]any{}, "tasks": map[string]any{"old": map[string]any{"labels": nil, "decision": nil, "why": nil, "tau": nil}}, "time": r.Time.UnixMicro()}
		if r.Version > 1 {
			row["student"], row["configuration"], row["learnt"] = *r.Student, r.Settings, r.Learnt
			row["tasks"] = map[string]any{"acc": map[string]any{"labels": *r.Tasks["acc"].Labels, "decision": "promoted", "why": "it ranks better", "tau": .5}}
		}
		models = append(models, row)
	}
	return plainJSON(t, scores), plainJSON(t, models)
}
