package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/progress"
	"archflow/pipeline"
)

// benched measures the figures of flags and returns the result as JSON, and the text
// on standard error.
func benched(t *testing.T, args ...string) (result map[string]any, said string, err error) {
	t.Helper()
	before := turnTime
	turnTime = 20 * time.Millisecond
	defer func() { turnTime = before }()
	var c struct {
		pipeline.Config
		Options
	}
	flags, err := cli.New("bench", "", "ARCHFLOW", &c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flags.Parse(args, nil); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	measured, err := Measure(t.Context(), c.Options, &c.Config, "test", &log)
	if err != nil {
		return nil, log.String(), err
	}
	var text bytes.Buffer
	if err := finite.Encode(&text, measured); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text.Bytes(), &result); err != nil {
		t.Fatalf("%v: %s", err, text.String())
	}
	return result, log.String(), nil
}

// python writes a program in place of Python that answers every line with reply.
func python(t *testing.T, reply string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "python")
	text := "#!/bin/sh\necho '{\"ready\": true}'\nwhile read line; do echo '" + reply + "'; done\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBenchFigures(t *testing.T) {
	result, said, err := benched(t, "--only", "sgemm,surrogate,decode", "--runs", "2", "--rivals", "--python", python(t, `{"per_s": 10}`), "--data", t.TempDir())
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	figures := result["figures"].([]any)
	var names []string
	for _, f := range figures {
		f := f.(map[string]any)
		names = append(names, f["name"].(string))
		keys := make([]string, 0, len(f))
		for k := range f {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		if want := []string{"name", "ratio", "rival", "rival_value", "spread", "unit", "value"}; !slices.Equal(keys, want) {
			t.Errorf("%s has the keys %v, want %v", f["name"], keys, want)
		}
		value, rival, ratio := f["value"].(float64), f["rival_value"].(float64), f["ratio"].(float64)
		if !(value > 0 && rival > 0) || math.Abs(ratio/(value/rival)-1) > .5 {
			t.Errorf("%s: %v against %v is %v", f["name"], value, rival, ratio)
		}
	}
	if want := []string{"sgemm", "surrogate", "decode"}; !slices.Equal(names, want) {
		t.Errorf("figures %v, want %v", names, want)
	}
	if python := figures[1].(map[string]any); python["rival_value"] != 10. {
		t.Errorf("the script said 10, the figure %v", python["rival_value"])
	}
	machine := result["machine"].(map[string]any)
	if machine["cores"] != float64(runtime.GOMAXPROCS(0)) || machine["go"] != runtime.Version() {
		t.Errorf("machine %v; is one core left over from a figure of one core?", machine)
	}
}

func TestBenchWithoutRivalOrTable(t *testing.T) {
	result, said, err := benched(t, "--only", "surrogate,infer_nb201,large_graphs", "--runs", "1", "--rivals", "--python", "/no/such/python", "--data", t.TempDir())
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	figures, machine := result["figures"].([]any), result["machine"].(map[string]any)
	if len(figures) != 2 || figures[0].(map[string]any)["rival"] != nil {
		t.Fatalf("figures %v, want the surrogate without a rival and large graphs", figures)
	}
	if large := figures[1].(map[string]any); large["rival"] != "125 nodes" || large["unit"] != "nodes and edges/s" {
		t.Errorf("large graphs: %v", large)
	}
	if note := machine["notes"].(map[string]any)["surrogate"]; !strings.Contains(note.(string), "no Python rival") || !strings.Contains(note.(string), "of micro") {
		t.Errorf("the note %q names neither the rival that is absent nor the table that ships", note)
	}
	if why := machine["skipped"].(map[string]any)["infer_nb201"]; why == nil || !strings.Contains(why.(string), "nb201.jsonl.gz is not there") {
		t.Errorf("infer_nb201 is left out because %v", why)
	}
}

func TestBenchScriptFails(t *testing.T) {
	_, said, err := benched(t, "--only", "surrogate", "--runs", "1", "--rivals", "--python", python(t, `{"error": "out of ideas"}`), "--data", t.TempDir())
	if err == nil || err.Error() != "surrogate: out of ideas" {
		t.Errorf("%v: %s", err, said)
	}
}

func TestBenchRefuses(t *testing.T) {
	for _, args := range [][]string{{"--only", "speed"}, {"--runs", "0"}, {"--stream", "3"}, {"--backlog", "0"}} {
		if _, _, err := benched(t, args...); !errors.As(err, &cli.Refusal{}) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestBenchStream(t *testing.T) {
	result, said, err := benched(t, "--only", "end_to_end,end_to_end_training,tracing", "--runs", "1", "--stream", "2000", "--data", t.TempDir(),
		"--predictor", "fgp", "--width", "16", "--layers", "1", "--epochs", "1", "--profile", t.TempDir())
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if figures := result["figures"].([]any); len(figures) != 3 {
		t.Fatalf("figures %v, want three", figures)
	}
	if name := os.Getenv("OTEL_TRACES_SAMPLER"); name != "" {
		t.Errorf("the sampler of the tracing figure, %s, is left behind", name)
	}
	note := result["machine"].(map[string]any)["notes"].(map[string]any)["end_to_end"].(string)
	if !strings.Contains(note, "remembers nothing") {
		t.Errorf("the note %q does not say that fgp remembers nothing", note)
	}
}

func TestTurnsInterleave(t *testing.T) {
	b := &bench{Options: Options{Runs: 3}, status: progress.NewStatus(&bytes.Buffer{})}
	var order []string
	measure := func(name string) turn {
		return func(context.Context) (float64, error) {
			order = append(order, name)
			return float64(len(order)), nil
		}
	}
	v, err := b.turns(t.Context(), measure("a"), measure("b"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "abababab" {
		t.Errorf("turns %s, want abababab", got)
	}
	if !slices.Equal(v[0], []float64{3, 5, 7}) || !slices.Equal(v[1], []float64{4, 6, 8}) {
		t.Errorf("measured %v; the first of each is to be dropped", v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.turns(ctx, measure("c")); err == nil {
		t.Error("turns go on after the user has stopped them")
	}
}

func TestQuantiles(t *testing.T) {
	v := []float64{4, 1, 3, 2, 5}
	if median(v) != 3 || quantile(v, 1) != 5 || quantile(v, 0) != 1 || quartiles(v) != 2 || quantile(v, .875) != 4.5 {
		t.Errorf("of %v: median %v, quartiles %v", v, median(v), quartiles(v))
	}
	if got := medianRatio([]float64{2, 6, 9}, []float64{1, 2, 1}); got != 3 {
		t.Errorf("median ratio %v, want 3", got)
	}
	if got := rounded(123456); got != 123500 {
		t.Errorf("rounded to %v, want 123500", got)
	}
}

// TestBenchFits: fits get a line for each size, with the rival's in their ratio.
func TestBenchFits(t *testing.T) {
	defer func(n, l, r int) { fewNetworks, fewLabels, rivalLabels = n, l, r }(fewNetworks, fewLabels, rivalLabels)
	fewNetworks, fewLabels, rivalLabels = 40, 16, 16
	result, said, err := benched(t, "--only", "fit_networks,fit_labels", "--networks", "40", "--runs", "1", "--rivals", "--python", python(t, `{"per_s": 10}`), "--data", t.TempDir())
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	figures := result["figures"].([]any)
	if len(figures) != 2 {
		t.Fatalf("%v", result)
	}
	if labels := figures[1].(map[string]any); labels["ratio"] == nil || !(labels["value"].(float64) > 0) {
		t.Errorf("%v", labels)
	}
	notes := result["machine"].(map[string]any)["notes"].(map[string]any)
	if note := notes["fit_labels"].(string); !strings.Contains(note, "16 of 40 networks") {
		t.Error(note)
	}
}
