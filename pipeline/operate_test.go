package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"archflow/internal/cli"
	"archflow/internal/kafka"
	"archflow/internal/kafka/embedded"
	"archflow/ops"
	"archflow/schemas"
	"archflow/sinks"
)

// settings returns the defaults with a small encoder and a free port.
func settings(t *testing.T) *Config {
	t.Helper()
	var c Config
	parser, err := cli.New("", "", "", &c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil, nil); err != nil {
		t.Fatal(err)
	}
	c.Data, c.Table, c.Store, c.HTTP = t.TempDir(), "", "", "127.0.0.1:0"
	c.Width, c.Layers, c.Epochs, c.Buffer = 16, 2, 1, 256
	c.TableInterval = 300 * time.Millisecond
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return &c
}

func telemetry(t *testing.T) *ops.Telemetry {
	t.Helper()
	report, err := ops.Start(t.Context(), ops.Options{LogOutput: t.Output(), LogLevel: slog.LevelWarn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = report.Shutdown(context.Background()) })
	return report
}

// get returns the status and the body of a page of p.
func get(t *testing.T, p *Process, path string) (int, string) {
	t.Helper()
	return answerOf(t, func(url string) (*http.Response, error) { return http.Get(url + path) }, p)
}

func answerOf(t *testing.T, ask func(url string) (*http.Response, error), p *Process) (int, string) {
	t.Helper()
	r, err := ask("http://" + p.server.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

// await waits until what returns "", and fails with its last text otherwise.
func await(t *testing.T, what func() string) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		missing := what()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(missing)
		}
	}
}

// value sums the series of a Prometheus page whose name and labels begin so.
func value(page, series string) float64 {
	sum := 0.0
	for line := range strings.SplitSeq(page, "\n") {
		if rest, ok := strings.CutPrefix(line, series); ok {
			var v float64
			if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &v); err == nil {
				sum += v
			}
		}
	}
	return sum
}

// chain is a candidate of the space dag; distinct i are distinct networks.
func chain(i int) string {
	ops := `"input"`
	edges := ""
	for b := range 7 {
		ops += fmt.Sprintf(`,"op%d"`, i>>b&1)
		edges += fmt.Sprintf("[%d,%d],", b, b+1)
	}
	return fmt.Sprintf(`{"space":"dag","id":"c%d","ops":[%s,"output"],"edges":[%s[7,8]]}`, i, ops, edges)
}

// TestOperatorEndpoints runs everything in one process on the embedded broker and uses all of its
// HTTP interface for operators.
func TestOperatorEndpoints(t *testing.T) {
	report := telemetry(t)
	c := settings(t)
	p, err := Open(t.Context(), c, report, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if status, body := get(t, p, "/livez"); status != http.StatusOK || !strings.Contains(body, "stages: ok") {
		t.Errorf("starting: /livez says %d %s", status, body)
	}
	if status, body := get(t, p, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "assigned: waiting") {
		t.Errorf("starting: /readyz says %d %s", status, body)
	}

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	await(t, func() string {
		status, body := get(t, p, "/readyz")
		if status == http.StatusOK {
			return ""
		}
		return "not ready: " + body
	})

	const candidates, labels = 60, 24
	writer := p.Writer(p.Topics.Architectures)
	for i := range candidates {
		send(t, writer, chain(i))
	}
	send(t, writer, `{"space":"dag"`)
	send(t, writer, `{"space":"no where","ops":["a"],"edges":[]}`)
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	writer = p.Writer(p.Topics.Labels)
	for i := range labels {
		send(t, writer, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, i, 50+i%7))
	}
	send(t, writer, `{"space":"dag","task":"acc","value":`)
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	var metrics string
	await(t, func() string {
		_, metrics = get(t, p, "/metrics")
		for series, want := range map[string]float64{
			"archflow_predictions_total{":             candidates,
			"archflow_dead_letters_total{":            3,
			"archflow_training_labels_total{":         labels,
			"archflow_training_replay_size{":          candidates,
			`archflow_model_version{space="dag"`:      1,
			"archflow_ready":                          1,
			`archflow_sink_rows_total{sink="labels"`:  labels,
			`archflow_stage_workers{stage="predict"}`: value(metrics, `archflow_stage_workers{stage="decode"}`),
		} {
			if got := value(metrics, series); got < want {
				return fmt.Sprintf("%s is %v, want %v", series, got, want)
			}
		}
		return ""
	})
	// Both lines decode the candidates; a rejection is counted once.
	for series, want := range map[string]float64{
		"archflow_dead_letters_total{":                         3,
		`archflow_dead_letters_total{class="json"`:             2,
		`archflow_dead_letters_total{class="unknown-space"`:    1,
		"archflow_predictions_total{":                          candidates,
		"archflow_training_labels_total{":                      labels,
		`archflow_stage_rows_out_total{stage="trainer decode"`: candidates,
	} {
		if got := value(metrics, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	if n := value(metrics, "archflow_prediction_latency_seconds_count"); n == 0 || n > candidates {
		t.Errorf("%v latencies of %d candidates, want one for each batch", n, candidates)
	}

	_, body := get(t, p, "/api/state")
	var state ops.State
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for _, s := range state.Stages {
		drawn = append(drawn, s.Name+"<"+strings.Join(s.After, ","))
	}
	want := []string{
		"source<", "decode<source", "surrogate<decode", "predict<surrogate", "predictions topic<predict", "predictions<predictions topic", "dead_letters<predictions",
		"trainer source<", "trainer decode<trainer source", "labels<", "train<trainer decode,labels", "refused labels topic<train", "refused labels<refused labels topic",
	}
	if !slices.Equal(drawn, want) {
		t.Errorf("the page draws %q, want %q", drawn, want)
	}
	checkPasted(t, p)

	stop()
	<-ended
	if phase := p.health.Readiness().Phase; phase != ops.Stopped {
		t.Errorf("after the end the phase is %s", phase)
	}
}

func send(t *testing.T, w *kafka.Writer, value string) {
	t.Helper()
	if err := w.Write(t.Context(), nil, []byte(value), nil); err != nil {
		t.Fatal(err)
	}
}

// checkPasted pastes candidates into a process that has a model for dag.
func checkPasted(t *testing.T, p *Process) {
	t.Helper()
	paste := func(candidate string) ops.Answer {
		status, body := answerOf(t, func(url string) (*http.Response, error) {
			return http.Post(url+"/api/paste", "application/json", strings.NewReader(candidate))
		}, p)
		var a ops.Answer
		if err := json.Unmarshal([]byte(body), &a); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		return a
	}
	a := paste(chain(3))
	said, err := schemas.ParsePrediction(a.Prediction)
	if err != nil || said.Model == nil || said.Tasks["acc"] == nil || string(said.ID) != `"c3"` || strings.Contains(string(a.Prediction), "source") {
		t.Errorf("a pasted candidate got %s, %v", a.Prediction, err)
	}
	if len(a.Cells) != 1 || len(a.Cells[0].Ops) != 9 || len(a.Cells[0].Edges) != 8 {
		t.Errorf("its drawing is %+v", a.Cells)
	}
	if again := paste(chain(3)); string(again.Prediction) != string(a.Prediction) {
		t.Errorf("the same candidate got %s and %s", a.Prediction, again.Prediction)
	}
	if a = paste(`{"space":"dag","ops":["a","b"],"edges":[[0,1],[1,0]]}`); a.Class != schemas.ClassCycle || a.Reason == "" || a.Prediction != nil {
		t.Errorf("a cycle got %+v", a)
	}
}

// full is a bucket that cannot be written.
type full struct{ sinks.Bucket }

func (full) Write(context.Context, string, []byte) error {
	return errors.New("no space left on device")
}
func (full) URL() string { return "/full" }

// open is a bucket that takes everything.
type open struct{ sinks.Bucket }

func (open) Write(context.Context, string, []byte) error { return nil }

// TestReadiness takes away a process's dependencies, one after the other.
func TestReadiness(t *testing.T) {
	report := telemetry(t)
	client := &kafka.Client{Addr: kafkago.TCP("127.0.0.1:1"), Transport: &kafkago.Transport{}}
	p := &Process{
		config: &Config{Role: RoleAll, Group: "g"}, report: report, store: open{}, tables: full{},
		Connected: &Connected{Client: client, Connection: &kafka.Connection{Brokers: []string{"127.0.0.1:1"}}},
	}
	p.ready, p.health = newReadiness(p.groups()...), ops.NewHealth(report.Log, report.Metrics)
	p.ready.register(p.health, report.Metrics)
	p.health.Enter(ops.Running)
	expect := func(check, want string) {
		t.Helper()
		if got := p.health.Readiness().Checks[check]; !strings.Contains(got, want) || want == "ok" && got != want {
			t.Errorf("%s: %q, want %q", check, got, want)
		}
	}
	expect("assigned", "the group g;")
	p.ready.member("g", true)
	expect("assigned", "the group g-trainer")
	p.ready.member("g-trainer", true)
	expect("assigned", "ok")

	p.ready.probe(t.Context(), p.Connection, p.store, p.tables)
	expect("broker", "127.0.0.1:1 does not answer")
	expect("sinks", "the table cannot be written: no space left on device; make room")
	p.tables = open{}
	p.ready.probe(t.Context(), p.Connection, p.store, p.tables)
	expect("sinks", "ok")

	p.ready.failed("g", errors.New("commit to predictions: refused"))
	expect("sinks", "commit to predictions: refused")
	p.ready.probe(t.Context(), p.Connection, p.store, p.tables)
	expect("sinks", "refused") // the broker is still away
	p.ready.trouble["g"] = trouble{p.ready.trouble["g"].err, time.Now().Add(-2 * troubleFades)}
	p.ready.probe(t.Context(), p.Connection, p.store, p.tables)
	expect("sinks", "refused")

	b, err := embedded.Open(t.Context(), t.TempDir(), embedded.At{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p.Connection.Brokers = []string{b.Address}
	if p.Client, err = p.Connection.Client(); err != nil {
		t.Fatal(err)
	}
	p.ready.probe(t.Context(), p.Connection, p.store, p.tables)
	expect("broker", "ok")
	expect("sinks", "ok")
	if r := p.health.Readiness(); !r.OK {
		t.Errorf("everything is back, and it says %v", r.Checks)
	}
	p.ready.note(&p.ready.registry, errors.New("version 3 of the model registry is damaged"))
	expect("registry", "damaged")
}

// TestTrainerBeats: a worker that hangs with work is noticed, one whose fit takes
// long is not.
func TestTrainerBeats(t *testing.T) {
	report := telemetry(t)
	synctest.Test(t, func(t *testing.T) {
		stage := report.Metrics.Stage("x")
		waiting := stage.Worker()
		defer waiting.Stop()
		working := stage.Worker()
		defer working.Stop()
		working.Busy()
		time.Sleep(30 * time.Second)
		if err := report.Metrics.Stalled(20 * time.Second); err == nil {
			t.Error("a worker that hangs is not noticed")
		}
		done := keepAlive(working, 5*time.Second)
		time.Sleep(60 * time.Second)
		if err := report.Metrics.Stalled(40 * time.Second); err != nil {
			t.Error(err)
		}
		done()
		time.Sleep(60 * time.Second)
		if err := report.Metrics.Stalled(40 * time.Second); err == nil {
			t.Error("signs of life after the work has ended")
		}
	})
}

// TestRestoredNetworks: what a process remembers from before is shown as soon as it is
// ready, also when nothing comes any more.
func TestRestoredNetworks(t *testing.T) {
	c := settings(t)
	serve := func(report *ops.Telemetry, told ...string) (networks int) {
		p, err := Open(t.Context(), c, report, "test")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		defer func() {
			stop()
			if err := errors.Join(<-ended, p.Close()); err != nil {
				t.Error(err)
			}
		}()
		await(t, func() string {
			status, body := get(t, p, "/readyz")
			if status == http.StatusOK {
				return ""
			}
			return body
		})
		writer := p.Writer(p.Topics.Architectures)
		for _, message := range told {
			send(t, writer, message)
		}
		if err := writer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, func() string {
			var state ops.State
			if _, body := get(t, p, "/api/state"); json.Unmarshal([]byte(body), &state) == nil && len(state.Models) == 1 {
				networks = state.Models[0].Networks
			}
			if networks < 20 {
				return fmt.Sprintf("%d of 20 networks", networks)
			}
			return ""
		})
		return networks
	}
	var told []string
	for i := range 20 {
		told = append(told, chain(i))
	}
	serve(telemetry(t), told...)
	if again := serve(telemetry(t)); again != 20 {
		t.Errorf("%d networks after a restart", again)
	}
}
