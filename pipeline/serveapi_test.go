package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"archflow/ops"
	"archflow/pipeline/decisions"
	"archflow/schemas"
)

// running is a process with everything in it, on the embedded broker.
type running struct {
	*Process
	t *testing.T
}

// run starts a process and stops it with the test.
func run(t *testing.T, c *Config) *running {
	t.Helper()
	return runWith(t, c, func(*ops.Telemetry) {})
}

// runWith is run with telemetry that is changed first.
func runWith(t *testing.T, c *Config, change func(*ops.Telemetry)) *running {
	t.Helper()
	report := telemetry(t)
	change(report)
	p, err := Open(t.Context(), c, report, "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	r := &running{p, t}
	await(t, func() string {
		status, body := get(t, p, "/readyz")
		if status == http.StatusOK {
			return ""
		}
		return "not ready: " + body
	})
	return r
}

// post sends lines and returns the status and the body of the answer.
func (r *running) post(path, kind, body string, headers ...string) (int, string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.server.Address()+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

const (
	asJSON  = "application/json"
	asLines = "application/x-ndjson"
)

// TestSameBits: a candidate has the same answer by HTTP, in whatever form and
// company, as through the topic by the same model, but for where it came from.
func TestSameBits(t *testing.T) {
	r := run(t, settings(t))
	writer := r.Writer(r.Topics.Architectures)
	for i := range 40 {
		send(t, writer, chain(i))
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	writer = r.Writer(r.Topics.Labels)
	for i := range 24 {
		send(t, writer, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, i, 50+i%7))
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, func() string {
		if r.ModelName("dag") == "" {
			return "no model"
		}
		return ""
	})

	// Networks that the model knows, such that it does not, and broken ones.
	random := rand.New(rand.NewPCG(1, 1))
	candidates := make([]string, 128)
	for i := range candidates {
		candidates[i] = chain(i)
		if random.IntN(10) == 0 {
			candidates[i] = candidates[i][:random.IntN(len(candidates[i]))]
		}
	}
	answers := map[string]string{} // model and candidate -> answer by HTTP
	byHTTP := func() {
		for at := 0; at < len(candidates); {
			n := 1 + random.IntN(50)
			part := candidates[at:min(at+n, len(candidates))]
			at += n
			status, body := r.post("/api/predict", asLines, strings.Join(part, "\n"))
			lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
			if status != http.StatusOK || len(lines) != len(part) {
				t.Fatalf("%d candidates: %d %s", len(part), status, body)
			}
			for _, line := range lines {
				answers[withoutSource(t, line)] = line
			}
		}
	}
	byHTTP()
	writer = r.Writer(r.Topics.Architectures)
	for _, c := range candidates {
		send(t, writer, c)
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	byHTTP() // another model may answer by now
	same, model := 0, r.ModelName("dag")
	await(t, func() string {
		same = 0
		var fresh, other int
		from := From{Start: true}
		if err := r.Follow(t.Context(), r.Topics.Predictions, from, true, func(_ schemas.TopicPartition, m *schemas.Messages) error {
			for i := range m.Len() {
				text := string(m.Value.At(i))
				if !strings.Contains(text, `"model":"`) {
					continue
				}
				if fresh++; answers[withoutSource(t, text)] != "" {
					same++
				} else {
					other++
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if fresh < 100 {
			return fmt.Sprintf("%d answers in the topic", fresh)
		}
		if other > 0 && r.ModelName("dag") != model {
			model = r.ModelName("dag")
			byHTTP()
			return "a model of between"
		}
		if other > 0 {
			t.Errorf("%d of %d answers have other bits by HTTP", other, fresh)
		}
		return ""
	})
	if same < 100 {
		t.Errorf("%d answers were compared", same)
	}
}

// withoutSource takes the position out of a prediction, as text.
func withoutSource(t *testing.T, prediction string) string {
	t.Helper()
	var fields struct {
		Source json.RawMessage `json:"source"`
	}
	if err := json.Unmarshal([]byte(prediction), &fields); err != nil {
		t.Fatal(prediction, err)
	}
	if fields.Source == nil {
		return prediction
	}
	return string(bytes.Replace([]byte(prediction), append([]byte(`,"source":`), fields.Source...), nil, 1))
}

// TestChosenByTheNewestModel: the next request knows the published messages; the best
// are ranked as predict ranks them; a network that is asked for has no label and comes
// once.
func TestChosenByTheNewestModel(t *testing.T) {
	r := run(t, settings(t))
	const candidates, labels = 60, 24
	writer := r.Writer(r.Topics.Architectures)
	for i := range candidates {
		send(t, writer, chain(i))
		send(t, writer, chain(i)) // no two of one network
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	type chosen struct {
		Candidates []struct {
			ID, Network string
			Tasks       map[string]*schemas.TaskPrediction
			Labels      map[string]float64
		}
		Model *string
	}
	parse := func(status int, body string) (c chosen) {
		t.Helper()
		if err := json.Unmarshal([]byte(body), &c); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		return c
	}
	if c := parse(r.post("/api/ask", asJSON, `{"space":"dag","task":"acc","n":70}`)); len(c.Candidates) != candidates || c.Model != nil {
		t.Errorf("%d of %d networks can be trained first, by %v", len(c.Candidates), candidates, c.Model)
	}
	writer = r.Writer(r.Topics.Labels)
	for i := range labels {
		send(t, writer, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, i, 50+i%7))
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, func() string {
		if r.ModelName("dag") == "" {
			return "no model"
		}
		return ""
	})
	c := parse(get(t, r.Process, "/api/best?space=dag&task=acc&k=100"))
	seen, labelled := map[string]bool{}, 0
	for i, one := range c.Candidates {
		if one.Tasks["acc"] == nil || seen[one.Network] || i > 0 && one.Tasks["acc"].Score > c.Candidates[i-1].Tasks["acc"].Score {
			t.Errorf("place %d: %+v", i, one)
		}
		seen[one.Network] = true
		if len(one.Labels) > 0 {
			labelled++
		}
		_, body := r.post("/api/predict", asJSON, chain(number("/"+strings.TrimPrefix(one.ID, "c"))))
		said, err := schemas.ParsePrediction([]byte(body))
		if err != nil || *said.Model == *c.Model && said.Tasks["acc"].Score != one.Tasks["acc"].Score {
			t.Errorf("%s is %v by best and %s by predict", one.ID, one.Tasks["acc"].Score, body)
		}
	}
	if len(c.Candidates) != candidates || labelled != labels || c.Model == nil {
		t.Errorf("%d networks, %d labelled, by %v", len(c.Candidates), labelled, c.Model)
	}
	// All were given out above; a restart of the process would forget that.
	if c := parse(r.post("/api/ask", asJSON, `{"space":"dag","task":"acc","n":70}`)); len(c.Candidates) != 0 {
		t.Errorf("%d were given out twice", len(c.Candidates))
	}
	writer = r.Writer(r.Topics.Architectures)
	for i := candidates; i < candidates+10; i++ {
		send(t, writer, chain(i))
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := parse(r.post("/api/ask", asJSON, `{"space":"dag","task":"acc","n":70,"strategy":"thompson"}`)); len(c.Candidates) != 10 || c.Model == nil || c.Candidates[0].Tasks["acc"] == nil {
		t.Errorf("of ten new ones %d are given out, by %v", len(c.Candidates), c.Model)
	}
}

// TestWaitsForLabels: who gives the position of its labels is answered by a model
// that has considered them, whatever was decided.
func TestWaitsForLabels(t *testing.T) {
	r := run(t, settings(t))
	var lines []string
	for i := range 40 {
		lines = append(lines, chain(i))
	}
	if status, body := r.post("/api/candidates", asLines, strings.Join(lines, "\n")); status != http.StatusOK {
		t.Fatal(status, body)
	}
	for round := range 4 {
		lines = lines[:0]
		for i := round * 8; i < round*8+8; i++ {
			lines = append(lines, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, i, 50+i%7))
		}
		status, body := r.post("/api/labels", asLines, strings.Join(lines, "\n"))
		var published struct{ Through map[string]int64 }
		if err := json.Unmarshal([]byte(body), &published); err != nil || status != http.StatusOK {
			t.Fatal(status, body, err)
		}
		through := published.Through[r.Topics.Labels+"/0"]
		status, body = r.post(fmt.Sprintf("/api/predict?learnt=%d&wait=60s", through), asJSON, chain(39))
		said, err := schemas.ParsePrediction([]byte(body))
		if err != nil || status != http.StatusOK || (said.Model != nil) != (round > 0) {
			t.Fatalf("round %d: %d %s %v", round, status, body, err)
		}
		status, body = get(t, r.Process, "/api/models?space=dag")
		var list []decisions.Decision
		if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK || len(list) == 0 || list[0].Learnt[r.Topics.Labels+"/0"] < through {
			t.Fatalf("round %d: %d %s %v", round, status, body, err)
		}
	}
}

// TestWaitsForFirstModel: the labels of a new space are not considered before the decision
// about it, even when the trainer has nothing to do for another space.
func TestWaitsForFirstModel(t *testing.T) {
	c := settings(t)
	c.Role = RoleWorker
	r := run(t, c)
	decided := func(space, what string) decisions.Decision {
		d := decisions.Decision{Space: space, Task: "acc", Decision: what}
		d.Learn(map[schemas.TopicPartition]int64{{Topic: r.Topics.Labels}: 20})
		return d
	}
	if _, err := r.registry.Publish(t.Context(), SpaceManifest{Space: "new", Waiting: map[string]string{"acc": "its first model is being trained"}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.models().decisions(t.Context(), []decisions.Decision{decided("old", decisions.NoneDue)}); err != nil {
		t.Fatal(err)
	}
	learnt := map[int32]int64{0: 20}
	if err := r.Considered(t.Context(), []string{"old", "without labels"}, learnt); err != nil {
		t.Fatal(err)
	}
	if r.history.Considered("new", learnt) {
		t.Error("the labels of a space are learnt before its first fit has ended")
	}
	if err := r.models().decisions(t.Context(), []decisions.Decision{decided("new", decisions.Promoted)}); err != nil {
		t.Fatal(err)
	}
	if err := r.Considered(t.Context(), []string{"new"}, learnt); err != nil {
		t.Fatal(err)
	}
}
