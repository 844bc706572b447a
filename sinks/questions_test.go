package sinks_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// questionTables makes tables for the questions of docs/tables.md.
func questionTables(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	b := openBucket(t, dir)
	s, err := sinks.NewPredictionsTable(t.Context(), b, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}, Surrogates: true})
	if err != nil {
		t.Fatal(err)
	}
	appendPairs(t, s, schemas.TopicPartition{Topic: "one"}, 0, 40)
	labels, err := sinks.NewLabelsTable(t.Context(), b, sinks.TableConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	var rows []sinks.LabelRow
	for i := range int64(20) {
		v, low, high := 90+float64(i), 89+float64(i), 92+float64(i)
		rows = append(rows, sinks.LabelRow{Space: "nb201", CandidateID: fmt.Sprint("candidate ", i), Architecture: sinktest.Architecture(schemas.TopicPartition{Topic: "one"}, i),
			Task: "cifar10_test", Value: &v, Goal: "max", Offset: i, Time: time.UnixMilli(1_767_229_200_123 + i), Model: "nb201/3", Score: &v, PredictedValue: &high, Low: &low, High: &high})
	}
	if err := labels.Append(t.Context(), schemas.TopicPartition{Topic: "archflow.labels"}, 0, 20, rows); err != nil {
		t.Fatal(err)
	}
	if err := labels.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	models, err := sinks.NewModelsTable(t.Context(), b, sinks.TableConfig{Group: "g"})
	if err == nil {
		n, tau := int64(15), .5
		err = models.Append(t.Context(), 1, 2, []sinks.ModelRow{{Space: "nb201", Model: "nb201/17", Version: 17, Registry: 1, Time: time.UnixMilli(1_767_229_200_123),
			Tasks: map[string]sinks.ModelTask{"cifar10_test": {Labels: &n, Decision: "promoted", Tau: &tau}}, Learnt: map[string]int64{"archflow.labels/0": n}}})
	}
	if err == nil {
		err = models.Commit(t.Context())
	}
	scores := openScores(t, b, "nb201/18")
	if err == nil {
		_, err = scores.Insert(t.Context(), []sinks.ScoreRow{{Network: schemas.ID{1}, Task: "cifar10_test", Score: 1, Value: rows[0].Value}}, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestQuestions: every snippet of docs/tables.md runs verbatim, and those of one question
// return the same number of rows.
func TestQuestions(t *testing.T) {
	var got map[string]map[string]any
	if err := json.Unmarshal(python(t, "questions.py", "../docs/tables.md", questionTables(t)), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 13 {
		t.Errorf("%d questions, want thirteen", len(got))
	}
	for question, languages := range got {
		for language, rows := range languages {
			n, ok := rows.(float64)
			if !ok {
				t.Errorf("%s in %s: %v", question, language, rows)
				continue
			}
			if none := strings.HasPrefix(question, "10."); none != (n == 0) {
				t.Errorf("%s in %s: %v rows", question, language, n)
			}
			if sql, ok := languages["sql"].(float64); ok && language == "polars" && sql != n {
				t.Errorf("%s: %v rows in DuckDB and %v in Polars", question, sql, n)
			}
		}
	}
}

// TestNotebook: docs/notebooks/tables.ipynb is without outputs and runs to its end on
// tables as they are written.
func TestNotebook(t *testing.T) {
	var drawn []string
	if err := json.Unmarshal(python(t, "notebook.py", "../docs/notebooks/tables.ipynb", questionTables(t)), &drawn); err != nil {
		t.Fatal(err)
	}
	if want := []string{"tables-best", "tables-residuals", "tables-coverage", "tables-days"}; !slices.Equal(drawn, want) {
		t.Errorf("pictures of %q, want %q", drawn, want)
	}
}

// TestSparkQuestions: Spark runs the statements of docs/tables.md too.
func TestSparkQuestions(t *testing.T) {
	page, err := os.ReadFile("../docs/tables.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := questionTables(t)
	var requests []any
	for _, name := range []string{"predictions", "labels", "models", "scores"} {
		requests = append(requests, map[string]string{"sql": fmt.Sprintf("CREATE TEMPORARY VIEW %s AS SELECT * FROM delta.`%s/%s`", name, dir, name)})
	}
	_, questions, _ := strings.Cut(string(page), "### 1.")
	for _, m := range regexp.MustCompile("(?ms)^```sql\n(.*?)^```").FindAllStringSubmatch(questions, -1) {
		requests = append(requests, map[string]string{"sql": m[1]})
	}
	for i, a := range askSpark(t, requests...) {
		if a.Error != "" {
			t.Errorf("%v: %s", requests[i], a.Error)
		}
	}
}
