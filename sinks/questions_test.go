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
	if err := s.Write(t.Context(), incomplete(schemas.TopicPartition{Topic: "two"})); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
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
	withdrawn := rows[19]
	withdrawn.Value, withdrawn.Offset = nil, 20
	if err := labels.Append(t.Context(), schemas.TopicPartition{Topic: "archflow.labels"}, 0, 21, append(rows, withdrawn)); err != nil {
		t.Fatal(err)
	}
	elsewhere := rows[0] // in a partition of which the model has learnt nothing
	if err := labels.Append(t.Context(), schemas.TopicPartition{Topic: "archflow.labels", Number: 1}, 0, 1, []sinks.LabelRow{elsewhere}); err != nil {
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
		_, err = scores.Insert(t.Context(), []sinks.ScoreRow{{Network: schemas.ID{1}, Task: "cifar10_test", Score: 1, Value: rows[0].Value}, {Network: schemas.ID{0xff, 4}, Task: "cifar10_test", Score: 2}}, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// incomplete returns predictions that lack what the questions ask for: the task or the
// proxy; and of networks that have a row with it, or that equal another in both.
func incomplete(p schemas.TopicPartition) *schemas.Batch {
	rows := []struct {
		network byte
		task    string
		value   float64
		proxy   string
	}{
		{1, "cifar10_test", 96, "synflow"}, {1, "latency", 5, "synflow"}, // the newest without the task
		{2, "latency", 7, "synflow"},
		{3, "cifar10_test", 99, "flops"}, // the best, of unknown cost
		{4, "cifar10_test", 97, "synflow"}, {5, "cifar10_test", 97, "synflow"},
		{6, "cifar10_test", 94, "synflow"}, {6, "cifar10_test", 95, "synflow"},
	}
	b := &schemas.Batch{TopicPartition: p, Next: int64(len(rows)), End: int64(len(rows))}
	var c schemas.Candidates
	var s schemas.Surrogates
	var y schemas.Predictions
	s.Start, y.TaskStart, y.EmbeddingStart, c.ProxyStart = []int32{0}, []int32{0}, []int32{0}, []int32{0}
	op := schemas.MustIntern("nor_conv_3x3")
	for i, row := range rows {
		time := 1_767_225_600_000 + 3_600_000*int64(i)
		c.Append(int64(i), time, []byte{row.network}, nil)
		c.ID.Append(fmt.Appendf(nil, `"incomplete %d"`, i))
		c.Space = append(c.Space, schemas.MustIntern("nb201"))
		c.Arch.Append([]byte("|nor_conv_3x3~0|"))
		id := schemas.ID{0xff, row.network}
		c.Architecture, c.Network = append(c.Architecture, id), append(c.Network, id)
		graph := schemas.Graph{Ops: []schemas.Symbol{op, op}, Edges: []int32{0, 1}}
		c.Graphs.Add(graph)
		c.Networks.Add(graph)
		c.ProxyName, c.ProxyValue = append(c.ProxyName, schemas.MustIntern(row.proxy)), append(c.ProxyValue, 1)
		c.ProxyStart = append(c.ProxyStart, int32(len(c.ProxyName)))
		c.Meta.Append([]byte(`{}`))
		s.Values = append(s.Values, 1, 2)
		s.Start = append(s.Start, int32(len(s.Values)))
		y.Time = append(y.Time, 1000*time+7)
		y.Model, y.Reason = append(y.Model, schemas.MustIntern("nb201/17")), append(y.Reason, schemas.NoSymbol)
		y.Task, y.Score, y.Value = append(y.Task, schemas.MustIntern(row.task)), append(y.Score, row.value/100), append(y.Value, row.value)
		y.Low, y.High, y.Percentile = append(y.Low, row.value-1), append(y.High, row.value+1), append(y.Percentile, 50)
		y.Top, y.Labels, y.SD, y.Fails = append(y.Top, .5), append(y.Labels, 9), append(y.SD, .5), append(y.Fails, 0)
		y.TaskStart = append(y.TaskStart, int32(len(y.Task)))
		y.EmbeddingStart = append(y.EmbeddingStart, 0)
	}
	return sinktest.Join(b, &c, s, y)
}

// TestQuestions: every snippet of docs/tables.md runs verbatim, and Polars gives the rows of
// DuckDB.
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
