package experiments

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"archflow/cmd/archflow/console"
	"archflow/encoders"
	"archflow/encoders/experiment"
)

// briefly are flags of a suite whose rows take a moment each.
var briefly = []string{"experiment", "--json", "--width", "8", "--layers", "1", "--epochs", "1", "--finetune-epochs", "2", "--proxy", "snip", "--seeds", "21,7", "--permutations", "1"}

// suiteOf runs a suite in this process and returns its result without times.
func suiteOf(t *testing.T, ctx context.Context, said *recorder, args ...string) (int, suiteResult) {
	t.Helper()
	var out bytes.Buffer
	status := run(ctx, with(briefly, args...), console.Streams{In: strings.NewReader(""), Out: &out, Err: said})
	var result suiteResult
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &result); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
	}
	for i := range result.Rows {
		r := &result.Rows[i]
		r.Mean.Seconds, r.SD.Seconds = 0, 0
		for j := range r.Runs {
			r.Runs[j].Seconds, r.Runs[j].Surrogates, r.Runs[j].Ranked = 0, 0, 0
		}
	}
	for i := range result.Spread {
		result.Spread[i].SD.Seconds = 0
	}
	return status, result
}

// Suite paper has a row for each encoder, pre-training and share on each table, a
// part of it has the same figures as the whole, and a finished run is not
// measured again.
func TestSuitePaper(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile(benchmark)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nb101.jsonl.gz", "nb201.jsonl.gz", "other.jsonl.gz"} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{dir, "--suite", "paper", "--encoder", "resgated,gin", "--pretrain", "none,flow,graphcl", "--share", "1,5"}
	status, whole := suiteOf(t, context.Background(), &recorder{}, args...)
	if status != console.ExitStopped || len(whole.Rows) != 2*2*3*2 {
		t.Fatalf("status %d, %d rows, want those of two tables, two encoders, three pretexts, two shares", status, len(whole.Rows))
	}
	for i, r := range whole.Rows {
		want := []int{22, 112}[i%2]
		if r.Train != want || len(r.Runs) != 2 || r.Runs[0].Seed != 21 || r.Runs[1].Seed != 7 {
			t.Errorf("row %d: %d labels, want %d; runs %+v", i, r.Train, want, r.Runs)
		}
	}
	if whole.Rows[0].Mean.Tau == whole.Rows[2].Mean.Tau || whole.Rows[0].Mean.Tau == whole.Rows[6].Mean.Tau {
		t.Error("another pre-training or encoder gives the same figures")
	}
	kept := filepath.Join(dir, "runs")
	args = []string{dir, "--suite", "paper", "--encoder", "resgated", "--pretrain", "flow", "--share", "5", "--resume", kept}
	status, part := suiteOf(t, context.Background(), &recorder{}, args...)
	if status != console.ExitStopped || len(part.Rows) != 2 || !reflect.DeepEqual(part.Rows[0], whole.Rows[3]) {
		t.Fatalf("status %d, a part has %+v, the whole %+v", status, part.Rows, whole.Rows[3])
	}
	said := &recorder{}
	args[8] = "1,5"
	if _, more := suiteOf(t, context.Background(), said, args...); len(more.Rows) != 4 || !reflect.DeepEqual(more.Rows[:2], whole.Rows[2:4]) {
		t.Errorf("with another share %+v, the whole %+v", more.Rows, whole.Rows[2:4])
	}
	if text := said.String(); strings.Contains(text, "flow, 5 %") || !strings.Contains(text, "flow, 1 %") {
		t.Errorf("it said %q", text)
	}
	given := &recorder{}
	if status, _ := suiteOf(t, context.Background(), given, with(args, "--of", "architecture")...); status != console.ExitStopped || !strings.Contains(given.String(), "flow, 5 %") {
		t.Errorf("status %d; where labels measure architectures it said %q", status, given.String())
	}
}

// Suite ablation goes on after a stop and a torn file to the figures of one that
// was not stopped, and measures the spread over the draws of the surrogate.
func TestSuiteAblation(t *testing.T) {
	dir := t.TempDir()
	table, plot := filepath.Join(dir, "runs.csv"), filepath.Join(dir, "runs.svg")
	args := []string{benchmark, "--suite", "ablation", "--only", "gather,draws 1", "--csv", table, "--plot", plot}
	_, whole := suiteOf(t, context.Background(), &recorder{}, args...)
	if len(whole.Rows) != 4+5 || len(whole.Spread) != 1 || whole.Spread[0].Draws != 5 || !(whole.Spread[0].SD.Tau > 0) {
		t.Fatalf("%d rows, spread %+v", len(whole.Rows), whole.Spread)
	}
	if whole.Rows[0].Mean.Tau == whole.Rows[1].Mean.Tau {
		t.Error("another way to gather gives the same figures")
	}
	rows, err := os.ReadFile(table)
	if err != nil || strings.Count(string(rows), "\n") != 1+9*2 {
		t.Errorf("%v, CSV %q", err, rows)
	}
	drawing, err := os.ReadFile(plot)
	if err != nil || strings.Count(string(drawing), "<circle") != 18 || !strings.HasSuffix(string(drawing), "</svg>\n") {
		t.Errorf("%v, plot %q", err, drawing)
	}
	kept := filepath.Join(dir, "runs")
	ctx, cancel := context.WithCancel(context.Background())
	args = append(args, "--resume", kept)
	said := &recorder{on: func(text string) {
		if strings.Contains(text, "gather, mean, seed 7: tau") {
			cancel()
		}
	}}
	if status, result := suiteOf(t, ctx, said, args...); status != console.ExitStopped || len(result.Rows) != 0 || !strings.Contains(said.String(), "stopped after 4 runs") {
		t.Fatalf("status %d, %d rows, it said %s", status, len(result.Rows), said.String())
	}
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, append(text, `{"key":"torn","run":{"ta`...), 0o600); err != nil {
		t.Fatal(err)
	}
	again := &recorder{}
	if _, result := suiteOf(t, context.Background(), again, args...); !reflect.DeepEqual(result, whole) || strings.Contains(again.String(), "gather, mean") {
		t.Errorf("resumed %+v, uninterrupted %+v", result, whole)
	}
}

func TestSuiteRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(file, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, args := range map[string][]string{
		"unknown: the ablation has": {benchmark, "--suite", "ablation", "--only", "colours"},
		"no table":                  {t.TempDir(), "--suite", "paper"},
		"abacus":                    {benchmark, "--suite", "paper", "--encoder", "abacus"},
		"dreams":                    {benchmark, "--suite", "paper", "--pretrain", "dreams"},
		"name another file":         {benchmark, "--suite", "ablation", "--resume", file},
		"or --suite":                {benchmark, benchmark},
		"paper":                     {benchmark, "--suite", "novel"},
	} {
		said := &recorder{}
		if status, _ := suiteOf(t, context.Background(), said, args...); status != console.ExitRefused || !strings.Contains(said.String(), says) {
			t.Errorf("%v: status %d, it said %q, want %q", args, status, said.String(), says)
		}
	}
}

// Every group of the ablation but the reference of its own changes something.
func TestAblationRows(t *testing.T) {
	rows := experiment.Ablation(experiment.Config{}, nil)
	seen := map[string]int{}
	for _, r := range rows {
		text, err := json.Marshal(r.Config)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(text)]++
	}
	for text, n := range seen {
		if n > 1 {
			t.Errorf("%d rows have the configuration %s", n, text)
		}
	}
	if len(experiment.Groups()) < 10 || len(encoders.Names) < 2 {
		t.Errorf("groups %v, encoders %v", experiment.Groups(), encoders.Names)
	}
}

// Published surrogates of large dense graphs reach the bound and differ in
// nothing; of the stable variants the last stays in range and does.
func TestSuiteStability(t *testing.T) {
	before := stabilitySizes
	stabilitySizes = []int{10, 500}
	defer func() { stabilitySizes = before }()
	plot := filepath.Join(t.TempDir(), "plot.svg")
	var out, said bytes.Buffer
	if status := run(context.Background(), []string{"experiment", "--suite", "stability", "--json", "--plot", plot}, console.Streams{In: strings.NewReader(""), Out: &out, Err: &said}); status != console.ExitStopped {
		t.Fatalf("status %d, %s", status, said.String())
	}
	var figures []experiment.Stability
	if err := json.Unmarshal(out.Bytes(), &figures); err != nil {
		t.Fatal(err)
	}
	stable, judged := experiment.Stable[len(experiment.Stable)-1].Name, 0
	for _, f := range figures {
		if f.Family != "dense" || f.Nodes != 500 {
			continue
		}
		judged++
		if f.Name == "published" && (f.Size < 1e25 || f.Change > 1e-6) {
			t.Errorf("published, std %v: size %v, change %v", f.Std, f.Size, f.Change)
		}
		if f.Name == stable && (f.Size < .1 || f.Size > 10 || f.Change < 1e-5) {
			t.Errorf("%s, std %v: size %v, change %v", stable, f.Std, f.Size, f.Change)
		}
	}
	if judged != 2*(1+len(experiment.Stable)) {
		t.Errorf("%d figures of dense graphs of 500 nodes", judged)
	}
	if drawing, err := os.ReadFile(plot); err != nil || strings.Count(string(drawing), "<polyline") != 2*4*(1+len(experiment.Stable)) {
		t.Errorf("%v, plot %q", err, drawing)
	}
}
