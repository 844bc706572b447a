package sinks_test

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// seen is the view of one reader.
type seen struct {
	Types    map[string]string
	Rows     []map[string]any
	Filtered [][]any
	Version  int
	Files    int
}

// readEverywhere has every reader read a table, on an object store with delta-rs's
// options for it.
func readEverywhere(t *testing.T, table, date string, offset int64, storage ...string) map[string]seen {
	t.Helper()
	var all map[string]seen
	if err := json.Unmarshal(python(t, "read_tables.py", append([]string{table, date, fmt.Sprint(offset)}, storage...)...), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 4 {
		t.Fatalf("%d readers answered", len(all))
	}
	return all
}

// plainJSON gives rows made here the form in which readers' rows come.
func plainJSON(t *testing.T, v any) (out []map[string]any) {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func compareReaders(t *testing.T, got map[string]seen, want []map[string]any, date string, offset float64, types map[string]map[string]string) {
	t.Helper()
	want = inOrder(want)
	filtered := 0
	for _, r := range want {
		if (date == "" || r["date"] == date) && r["offset"].(float64) >= offset {
			filtered++
		}
	}
	for reader, s := range got {
		if len(s.Rows) != len(want) {
			t.Errorf("%s: %d rows, want %d", reader, len(s.Rows), len(want))
			continue
		}
		for i := range want {
			if !reflect.DeepEqual(s.Rows[i], want[i]) {
				t.Errorf("%s row %d:\n%v\nwant\n%v", reader, i, s.Rows[i], want[i])
				break
			}
		}
		if len(s.Filtered) != filtered || filtered == 0 || filtered == len(want) {
			t.Errorf("%s: %d rows on %q from offset %v, want %d of %d", reader, len(s.Filtered), date, offset, filtered, len(want))
		}
		for column, typ := range types[reader] {
			if s.Types[column] != typ {
				t.Errorf("%s: %s is %s, want %s", reader, column, s.Types[column], typ)
			}
		}
	}
}

// inOrder sorts rows by the source of their candidates.
func inOrder(rows []map[string]any) []map[string]any {
	slices.SortFunc(rows, func(a, b map[string]any) int {
		return cmp.Or(cmp.Compare(a["topic"].(string), b["topic"].(string)), cmp.Compare(a["partition"].(float64), b["partition"].(float64)), cmp.Compare(a["offset"].(float64), b["offset"].(float64)))
	})
	return rows
}

func micros(milliseconds int64) int64 { return 1000 * milliseconds }

func date(milliseconds int64) string {
	return time.UnixMilli(milliseconds).UTC().Format(time.DateOnly)
}

// wantPrediction returns the row that the table must have of a test batch.
func wantPredictions(b *schemas.Batch) (rows []map[string]any) {
	c, s, y := schemas.ViewCandidates(b.Rows), schemas.ViewSurrogates(b.Rows), schemas.ViewPredictions(b.Rows)
	for i := range c.Len() {
		var surrogate []float64 // readers print a float32 exactly
		for _, v := range s.Values[s.Start[i]:s.Start[i+1]] {
			surrogate = append(surrogate, float64(v))
		}
		row := map[string]any{
			"candidate_id": fmt.Sprintf("candidate %d", c.Offset[i]), "architecture": c.Architecture[i].String(), "network": c.Network[i].String(),
			"space": "nb201", "arch": "|nor_conv_3x3~0|", "ops": []string{"nor_conv_3x3", "nor_conv_3x3"}, "edges": []int{0, 1},
			"surrogate": surrogate, "embedding": nil, "proxies": map[string]any{"synflow": float64(c.Offset[i]) / 2},
			"predictions": map[string]any{}, "model": nil, "topic": b.Topic, "partition": b.Number, "offset": c.Offset[i],
			"candidate_time": micros(c.Time[i]), "predicted_time": y.Time[i], "trace_id": c.Architecture[i].String(), "meta": `{"round":1}`, "date": date(c.Time[i]),
			"attributes": nil, "hyperparameters": map[string]any{}, "unknown": nil,
		}
		if c.Offset[i]%3 == 0 {
			row["attributes"] = []any{map[string]any{"node": 1, "name": "act", "number": nil, "text": "gelu"}, map[string]any{"node": 1, "name": "kernel", "number": 3, "text": nil}}
			row["hyperparameters"] = map[string]any{"ema": map[string]any{"number": 1, "text": "true"}, "width": map[string]any{"number": float64(c.Offset[i]) / 4, "text": nil}}
		}
		if y.Model[i] != schemas.NoSymbol {
			k := y.TaskStart[i]
			row["model"] = schemas.Name(y.Model[i])
			row["predictions"] = map[string]any{"cifar10_test": map[string]any{
				"score": y.Score[k], "value": y.Value[k], "low": y.Low[k], "high": y.High[k], "percentile": y.Percentile[k], "top": y.Top[k],
				"labels": int64(y.Labels[k]), "sd": y.SD[k], "fails": y.Fails[k]}}
		}
		rows = append(rows, row)
	}
	return rows
}

var predictionTypes = map[string]map[string]string{
	"deltalake": {"candidate_time": "timestamp[us, tz=UTC]", "date": "date32[day]", "ops": "list<element: string>", "edges": "list<element: int32>", "offset": "int64", "partition": "int32", "proxies": "map<string, double>"},
	"pyarrow":   {"predicted_time": "timestamp[us, tz=UTC]", "surrogate": "list<element: float>", "predictions": "map<string, struct<score: double, value: double, low: double, high: double, percentile: double, top: double, labels: int64, sd: double, fails: double>>"},
	"polars":    {"candidate_time": "Datetime(time_unit='us', time_zone='UTC')", "edges": "List(Int32)", "surrogate": "List(Float32)", "proxies": "Map(String, Float64)"},
	"duckdb":    {"candidate_time": "TIMESTAMP WITH TIME ZONE", "date": "DATE", "ops": "VARCHAR[]", "surrogate": "FLOAT[]", "proxies": "MAP(VARCHAR, DOUBLE)", "attributes": `STRUCT(node INTEGER, "name" VARCHAR, number DOUBLE, "text" VARCHAR)[]`, "hyperparameters": `MAP(VARCHAR, STRUCT(number DOUBLE, "text" VARCHAR))`, "predictions": `MAP(VARCHAR, STRUCT(score DOUBLE, "value" DOUBLE, low DOUBLE, high DOUBLE, percentile DOUBLE, top DOUBLE, labels BIGINT, sd DOUBLE, fails DOUBLE))`},
}

// Readers see exactly the rows, through commits, compaction, a checkpoint of
// ours, and with the first commits gone.
func TestReadersOfPredictions(t *testing.T) {
	dir := t.TempDir()
	b := openBucket(t, dir)
	s, err := sinks.NewPredictionsTable(t.Context(), b, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}, Surrogates: true})
	if err != nil {
		t.Fatal(err)
	}
	var want []map[string]any
	for i := range int64(103) {
		p := schemas.TopicPartition{Topic: "one", Number: int32(i % 2)}
		batch := sinktest.Batch(p, i/2*2, i/2*2+2)
		want = append(want, wantPredictions(batch)...)
		if err := s.Write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	table := filepath.Join(dir, "predictions")
	if _, err := os.Stat(filepath.Join(table, "_delta_log", "_last_checkpoint")); err != nil {
		t.Fatal("no checkpoint: ", err)
	}
	for v := range 90 {
		if err := os.Remove(filepath.Join(table, "_delta_log", fmt.Sprintf("%020d.json", v))); err != nil {
			t.Fatal(err)
		}
	}
	compareReaders(t, readEverywhere(t, table, "2026-01-02", 30), plainJSON(t, want), "2026-01-02", 30, predictionTypes)
}

func TestReadersOfDeadLetters(t *testing.T) {
	dir := t.TempDir()
	now := time.UnixMicro(1_770_000_000_123_456)
	s, err := sinks.NewDeadLettersTable(t.Context(), openBucket(t, dir), sinks.TableConfig{Group: "g", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	batch := sinktest.Batch(schemas.TopicPartition{Topic: "one"}, 0, 70)
	batch.Rejects[0].Headers = append(batch.Rejects[0].Headers, schemas.Header{Name: "traceparent", Value: []byte{0xff}}, schemas.Header{Name: "\xff", Value: nil})
	batch.Rejects[1].Time = -1
	batch.Rejects[1].Key, batch.Rejects[1].Value = nil, []byte{0xff, 0}
	batch.Rejects[1].Headers = nil
	for i := 3; i < 6; i++ { // a file of a null, a text and a null
		batch.Rejects[i].Time = batch.Rejects[0].Time + 400*86_400_000
		if i != 4 {
			batch.Rejects[i].Key, batch.Rejects[i].Value = nil, nil
		}
	}
	batch.Rejects[2].Time = 1 << 62
	batch.Rejects[2].Reason = "cut off here: \xe2\x82"
	var want []map[string]any
	bytesText := func(b []byte) any {
		if b == nil {
			return nil
		}
		return hex.EncodeToString(b)
	}
	for i, l := range batch.Rejects {
		row := map[string]any{"key": bytesText(l.Key), "value": bytesText(l.Value), "error": strings.ToValidUTF8(l.Reason, "\ufffd"), "error_class": l.Class,
			"topic": l.Topic, "partition": l.Number, "offset": l.Offset, "message_time": micros(l.Time), "recorded_time": now.UnixMicro(), "date": date(l.Time)}
		headers := []map[string]any{}
		for _, h := range l.Headers {
			headers = append(headers, map[string]any{"key": strings.ToValidUTF8(h.Name, "\ufffd"), "value": bytesText(h.Value)})
		}
		row["headers"] = headers
		switch i {
		case 1:
			row["message_time"], row["date"], row["headers"] = nil, "1970-01-01", nil
		case 2:
			row["message_time"], row["date"] = int64(253_402_300_799_999_000), "9999-12-31"
		}
		want = append(want, row)
	}
	if err := s.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	compareReaders(t, readEverywhere(t, filepath.Join(dir, "dead_letters"), "", 30), plainJSON(t, want), "", 30, map[string]map[string]string{
		"deltalake": {"key": "binary", "headers": "list<element: struct<key: string, value: binary>>", "recorded_time": "timestamp[us, tz=UTC]"},
		"duckdb":    {"value": "BLOB", "headers": `STRUCT("key" VARCHAR, "value" BLOB)[]`, "message_time": "TIMESTAMP WITH TIME ZONE"},
	})
}

func TestReadersOfLabels(t *testing.T) {
	dir := t.TempDir()
	s, err := sinks.NewLabelsTable(t.Context(), openBucket(t, dir), sinks.TableConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	v, score, high, percentile := 93.1, 0.25, 95.5, 99.0
	at := time.UnixMilli(1_767_229_200_123)
	rows := []sinks.LabelRow{
		{Space: "nb201", CandidateID: "a", Architecture: "0a", Network: "0b", Task: "cifar10_test", Value: &v, Goal: "max", Offset: 0, Time: at,
			Model: "nb201/3", Score: &score, PredictedValue: &v, Low: &score, High: &high, Percentile: &percentile, TraceID: "0c", Seed: "3", Fidelity: &high, Suspect: "why?"},
		{Space: "a space/ä", Task: "latency", Goal: "min", Offset: 2, Failed: true},
	}
	if err := s.Append(t.Context(), schemas.TopicPartition{Topic: "labels"}, 0, 4, rows); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"space": "nb201", "candidate_id": "a", "architecture": "0a", "network": "0b", "task": "cifar10_test", "value": v, "goal": "max", "topic": "labels", "partition": 0, "offset": 0,
			"label_time": at.UnixMicro(), "model": "nb201/3", "score": score, "predicted_value": v, "low": score, "high": high, "percentile": percentile, "trace_id": "0c",
			"failed": false, "seed": "3", "fidelity": high, "suspect": "why?"},
		{"space": "a space/ä", "candidate_id": nil, "architecture": nil, "network": nil, "task": "latency", "value": nil, "goal": "min", "topic": "labels", "partition": 0, "offset": 2,
			"label_time": nil, "model": nil, "score": nil, "predicted_value": nil, "low": nil, "high": nil, "percentile": nil, "trace_id": nil,
			"failed": true, "seed": nil, "fidelity": nil, "suspect": nil},
	}
	compareReaders(t, readEverywhere(t, filepath.Join(dir, "labels"), "", 1), plainJSON(t, want), "", 1, nil)
}

// Another program compacts, checkpoints, vacuums and appends to the table
// between our commits, and nothing of ours is lost or doubled.
func TestForeignWriters(t *testing.T) {
	dir := t.TempDir()
	b := openBucket(t, dir)
	open := func() *sinks.PredictionsTable {
		s, err := sinks.NewPredictionsTable(t.Context(), b, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}, Surrogates: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	table := filepath.Join(dir, "predictions")
	p := schemas.TopicPartition{Topic: "one"}
	var want []map[string]any
	s := open()
	for i, what := range []string{"optimize", "checkpoint", "append", "vacuum", "optimize", "checkpoint"} {
		for k := range int64(4) {
			first := int64(i)*40 + 10*k
			batch := sinktest.Batch(p, first, first+10)
			want = append(want, wantPredictions(batch)...)
			if err := s.Write(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(t.Context()); err != nil {
				t.Fatalf("after %s: %v", what, err)
			}
		}
		python(t, "write_table.py", table, what)
		if i%2 == 1 {
			s = open()
			at, err := s.Positions(t.Context(), []schemas.TopicPartition{p})
			if err != nil || at[p] != int64(i+1)*40 {
				t.Errorf("after %s the position is %v, %v", what, at, err)
			}
		}
	}
	rows := plainJSON(t, want)
	got := readEverywhere(t, table, "2026-01-02", 30)
	for reader, seen := range got { // which row the other program copied is its choice
		last := seen.Rows[len(seen.Rows)-1]
		if last["offset"] != 1e6 {
			t.Errorf("%s: the row of the other program is gone", reader)
		}
		seen.Rows = seen.Rows[:len(seen.Rows)-1]
		seen.Filtered = slices.DeleteFunc(seen.Filtered, func(id []any) bool { return id[2] == 1e6 })
		got[reader] = seen
	}
	compareReaders(t, got, rows, "2026-01-02", 30, predictionTypes)
}
