package experiments

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"archflow/cmd/archflow/console"
	"archflow/encoders/experiment"
	"archflow/internal/cli"
	"archflow/internal/input"
	"archflow/pipeline"
)

const (
	benchmark     = "../micro/micro.jsonl.gz"
	benchmarkRows = 4500
)

// parse reads a command line of the experiments.
func parse(args []string) (Options, *Settings, error) {
	var c struct {
		pipeline.Config
		JSON       bool    `name:"json"`
		Experiment Options `cmd:""`
	}
	parser, err := cli.New("archflow", "", "ARCHFLOW", &c)
	if err != nil {
		return Options{}, nil, err
	}
	parsed, err := parser.Parse(args, nil)
	if err == nil {
		err = c.Validate()
	}
	isSet := func(flag string) bool {
		_, set := parsed.Set(flag)
		return set
	}
	return c.Experiment, &Settings{&c.Config, isSet, c.JSON}, err
}

// run runs a command line.
func run(ctx context.Context, args []string, std console.Streams) int {
	x, c, err := parse(args)
	if err != nil {
		return console.Status(cli.Refuse(err), std.Err)
	}
	return console.Status(x.Run(ctx, std, c), std.Err)
}

// quickly are flags of an experiment on the shipped benchmark that takes a
// second.
var quickly = []string{"experiment", benchmark, "--width", "16", "--layers", "2", "--epochs", "1", "--finetune-epochs", "10", "--proxy", "snip", "--seeds", "21,7", "--permutations", "1", "--no-student"}

// experimentOf runs an experiment in this process and returns its status, its
// result without times, and the text on standard error.
func experimentOf(t *testing.T, ctx context.Context, said *recorder, args ...string) (int, Result) {
	t.Helper()
	var out bytes.Buffer
	status := run(ctx, append(args, "--json"), console.Streams{In: strings.NewReader(""), Out: &out, Err: said})
	var result Result
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &result); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
	}
	result.Mean.Seconds, result.SD.Seconds = 0, 0
	for i := range result.Runs {
		result.Runs[i].Seconds, result.Runs[i].Surrogates, result.Runs[i].Ranked = 0, 0, 0
		if s := result.Runs[i].Student; s != nil {
			s.Seconds = 0
		}
	}
	result.Student = nil
	return status, result
}

// recorder keeps the written text and calls on after each write.
type recorder struct {
	bytes.Buffer
	on func(text string)
}

func (r *recorder) Write(text []byte) (int, error) {
	if r.on != nil {
		defer r.on(string(text))
	}
	return r.Buffer.Write(text)
}

func with(args []string, more ...string) []string {
	return append(append([]string(nil), args...), more...)
}

func TestExperimentDoesNotDependOnCores(t *testing.T) {
	for _, predictor := range []string{"fgp", "best"} {
		var results []Result
		for _, cores := range []int{1, 3} {
			before := runtime.GOMAXPROCS(cores)
			status, result := experimentOf(t, context.Background(), &recorder{}, with(quickly, "--predictor", predictor)...)
			runtime.GOMAXPROCS(before)
			if status != console.ExitStopped || len(result.Runs) != 2 {
				t.Fatalf("%s: status %d, %d runs", predictor, status, len(result.Runs))
			}
			results = append(results, result)
		}
		if !reflect.DeepEqual(results[0], results[1]) {
			t.Errorf("%s: on one core %+v, on three %+v", predictor, results[0], results[1])
		}
		if first := results[0]; !(first.Mean.Tau > .1) || first.Runs[0].Tau == first.Runs[1].Tau || first.Data != "micro.jsonl.gz" || first.Label != "accuracy" || first.Predictor != predictor {
			t.Errorf("%s: %+v", predictor, first)
		}
	}
}

// An experiment that is stopped after its first run, and whose file of runs is
// torn on top, goes on to the figures of one that was not.
func TestExperimentGoesOnWhereItStopped(t *testing.T) {
	args := with(quickly, "--predictor", "fgp")
	_, whole := experimentOf(t, context.Background(), &recorder{}, args...)
	file := filepath.Join(t.TempDir(), "runs")
	args = with(args, "--resume", file)
	ctx, cancel := context.WithCancel(context.Background())
	said := &recorder{on: func(text string) {
		if strings.Contains(text, "run 1 of 2") {
			cancel()
		}
	}}
	if status, result := experimentOf(t, ctx, said, args...); status != console.ExitStopped || len(result.Runs) != 0 {
		t.Fatalf("stopped with status %d and %d runs: %s", status, len(result.Runs), said.String())
	}
	if !strings.Contains(said.String(), "stopped after 1 of 2 runs") {
		t.Errorf("it said %q", said.String())
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != 2 {
		t.Fatalf("%v; the file of runs holds %q, want a head and a run", err, text)
	}
	if err := os.WriteFile(file, append(text, `{"seed":7,"tau":.9`...), 0o600); err != nil {
		t.Fatal(err)
	}
	again := &recorder{}
	status, result := experimentOf(t, context.Background(), again, args...)
	if status != console.ExitStopped || !reflect.DeepEqual(result, whole) {
		t.Errorf("status %d, resumed %+v, uninterrupted %+v", status, result, whole)
	}
	if strings.Contains(again.String(), "run 1 of 2") {
		t.Errorf("a finished run ran again: %s", again.String())
	}
	for _, flag := range []string{"--std=2", "--of=architecture"} {
		other := &recorder{}
		if status, _ := experimentOf(t, context.Background(), other, with(args, flag)...); status != console.ExitRefused || !strings.Contains(other.String(), "other settings") {
			t.Errorf("%s, runs of other settings: status %d, %s", flag, status, other.String())
		}
	}
}

// As published an experiment has settings that no file keeps, for they follow from those
// that it does: its runs are found again.
func TestPublishedExperimentGoesOn(t *testing.T) {
	args := with(quickly, "--published", "--resume", filepath.Join(t.TempDir(), "runs"))
	for start := range 2 {
		said := &recorder{}
		if status, result := experimentOf(t, context.Background(), said, args...); status != console.ExitStopped || len(result.Runs) != 2 || strings.Contains(said.String(), "run 1 of 2") != (start == 0) {
			t.Errorf("start %d: status %d, %d runs, it said %s", start, status, len(result.Runs), said.String())
		}
	}
}

// The rows of a file of splits are used: the file that holds the drawn splits
// gives the figures of the draw, another one other figures.
func TestExperimentOnGivenSplits(t *testing.T) {
	args := with(quickly, "--predictor", "fgp")
	_, drawn := experimentOf(t, context.Background(), &recorder{}, args...)
	labels := make([]float64, benchmarkRows)
	splits, err := experiment.Draw(&experiment.Table{Label: labels}, []uint32{21, 7}, 1, experiment.Sizes{Pool: 45, Train: 45, Validate: 40})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "splits.json")
	given := func() Result {
		text, err := json.Marshal(splits)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		said := &recorder{}
		status, result := experimentOf(t, context.Background(), said, with(args, "--splits", file)...)
		if status != console.ExitStopped {
			t.Fatalf("status %d: %s", status, said.String())
		}
		return result
	}
	if result := given(); !reflect.DeepEqual(result, drawn) {
		t.Errorf("given the drawn splits %+v, drawn %+v", result, drawn)
	}
	splits[0].Test = splits[0].Test[:200]
	splits[1].Train = splits[1].Train[:20]
	result := given()
	for i := range splits {
		if result.Runs[i].Tau == drawn.Runs[i].Tau {
			t.Errorf("split %d was changed and its tau was not", i)
		}
	}
}

// The pipeline's settings for epochs and the encoder's size count only when
// somebody set them.
func TestExperimentSettings(t *testing.T) {
	config := func(args ...string) experiment.Config {
		x, c, err := parse(args)
		if err != nil {
			t.Fatal(err)
		}
		return x.config(c)
	}
	epochs := func(args ...string) int { return config(args...).Epochs }
	if c := config("experiment", "x", "--encoder", "flowerformer"); c.Width != 0 || c.Layers != 0 {
		t.Errorf("without flags an encoder of %d x %d, want its own size", c.Width, c.Layers)
	}
	if c := config("experiment", "x", "--width", "96", "--layers", "2"); c.Width != 96 || c.Layers != 2 {
		t.Errorf("with --width 96 --layers 2: %d x %d", c.Width, c.Layers)
	}
	if n := epochs("experiment", "x"); n != 0 {
		t.Errorf("without the flag %d epochs, want the experiment's own", n)
	}
	if n := epochs("experiment", "x", "--epochs", "40"); n != 40 {
		t.Errorf("with --epochs 40: %d", n)
	}
	t.Setenv("ARCHFLOW_EPOCHS", "7")
	if n := epochs("experiment", "x"); n != 7 {
		t.Errorf("with ARCHFLOW_EPOCHS=7: %d", n)
	}
}

func TestExperimentWritesFiles(t *testing.T) {
	dir := t.TempDir()
	table, plot := filepath.Join(dir, "runs.csv"), filepath.Join(dir, "runs.svg")
	var out, said bytes.Buffer
	status := run(context.Background(), with(quickly, "--predictor", "fgp", "--csv", table, "--plot", plot), console.Streams{In: strings.NewReader(""), Out: &out, Err: &said})
	if status != console.ExitStopped || !strings.Contains(out.String(), "mean") || !strings.Contains(out.String(), "snip") {
		t.Fatalf("status %d, %s%s", status, out.String(), said.String())
	}
	rows, err := os.ReadFile(table)
	if err != nil || strings.Count(string(rows), "\n") != 3 || !strings.HasPrefix(string(rows), "model,seed,permutation,tau") {
		t.Errorf("%v, CSV %q", err, rows)
	}
	drawing, err := os.ReadFile(plot)
	if err != nil || strings.Count(string(drawing), "<circle") != 10 || !strings.HasSuffix(string(drawing), "</svg>\n") {
		t.Errorf("%v, plot %q", err, drawing)
	}
}

func TestExperimentRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const row = `{"space":"dag","ops":["input","a","output"],"edges":[[0,1],[1,2]],"labels":{"x":%}}` + "\n"
	few := write("few.jsonl", strings.ReplaceAll(strings.Repeat(row, 5), "%", "1")+strings.ReplaceAll(strings.Repeat(row, 20), "%", "NaN"))
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"label":      {with(quickly, "--label", "beauty"), console.ExitRefused, "accuracy, accuracy_seed1"},
		"proxy":      {with(quickly, "--proxy", "zen"), console.ExitRefused, "grad_norm, nwot, params, snip"},
		"encoder":    {with(quickly, "--encoder", "abacus"), console.ExitRefused, "resgated"},
		"too many":   {with(quickly, "--train", "4500"), console.ExitRefused, "nothing to test"},
		"no seeds":   {with(quickly, "--permutations", "0"), console.ExitRefused, "no permutation"},
		"no file":    {[]string{"experiment", filepath.Join(dir, "nowhere.jsonl")}, console.ExitFailed, "no such file"},
		"no table":   {[]string{"experiment", write("empty.jsonl", "\n")}, console.ExitFailed, "no rows"},
		"not gzip":   {[]string{"experiment", write("plain.gz", "{}")}, console.ExitFailed, "gzip"},
		"not JSON":   {[]string{"experiment", write("text.jsonl", "hello\n")}, console.ExitFailed, "text.jsonl:1:"},
		"no labels":  {[]string{"experiment", write("bare.jsonl", strings.ReplaceAll(row, `,"labels":{"x":%}`, ""))}, console.ExitRefused, "no labels"},
		"words":      {[]string{"experiment", write("words.jsonl", strings.ReplaceAll(row, "%", `"good"`))}, console.ExitFailed, "words.jsonl:1:"},
		"few labels": {[]string{"experiment", few}, console.ExitFailed, "5 rows have a label"},
		"splits":     {with(quickly, "--splits", write("splits.json", `[{"seed":1,"train":[0,1],"test":[2,9999]}]`)), console.ExitRefused, "row 9999"},
		"not splits": {with(quickly, "--splits", write("list.json", `{"train":1}`)), console.ExitRefused, "is not a list of"},
		"a folder":   {with(quickly, "--resume", t.TempDir()), console.ExitRefused, "name a file"},
		"not runs":   {with(quickly, "--resume", write("runs", "hello\n")), console.ExitRefused, "name another file"},
	} {
		said := &recorder{}
		status, _ := experimentOf(t, context.Background(), said, test.args...)
		if text := said.String(); status != test.status || !strings.Contains(text, test.says) || strings.Count(text, "\n") != 1 {
			t.Errorf("%s: status %d, want %d; it said %q, want one sentence with %q", name, status, test.status, text, test.says)
		}
	}
}

// A table of columns gives the figures of the same rows as JSON.
func TestExperimentOnColumns(t *testing.T) {
	dir := t.TempDir()
	type row struct {
		Space string   `parquet:"space"`
		Arch  string   `parquet:"arch"`
		Score *float64 `parquet:"score,optional"`
		Snip  float64  `parquet:"snip"`
	}
	var rows []row
	err := input.EachLineOf(benchmark, nil, 1<<20, func(_ string, number int, line []byte) error {
		var in struct {
			Arch            string
			Labels, Proxies map[string]float64
		}
		if err := json.Unmarshal(line, &in); err != nil || number > 400 {
			return err
		}
		accuracy := in.Labels["accuracy"]
		rows = append(rows, row{"micro", in.Arch, &accuracy, in.Proxies["snip"]})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows[7].Score = nil
	text, lines := "space,arch,score,snip,remark\n", ""
	for _, r := range rows {
		score, value := "", "NaN"
		if r.Score != nil {
			score = strconv.FormatFloat(*r.Score, 'g', -1, 64)
			value = score
		}
		text += fmt.Sprintf("%s,%s,%s,%v,\"a, b\"\n", r.Space, r.Arch, score, r.Snip)
		lines += fmt.Sprintf(`{"space":"micro","arch":"%s","labels":{"score": %s},"proxies":{"snip":%v}}`+"\n", r.Arch, value, r.Snip)
	}
	files := []string{filepath.Join(dir, "t.jsonl"), filepath.Join(dir, "t.csv"), filepath.Join(dir, "t.parquet")}
	for i, content := range []string{lines, text} {
		if err := os.WriteFile(files[i], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := parquet.WriteFile(files[2], rows); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	damaged := Options{Table: filepath.Join(dir, "damaged.parquet"), Label: "score"}
	refused := 0
	for at := max(0, len(whole)-1200); at < len(whole); at += 2 { // the indexes and the footer
		text := slices.Clone(whole)
		text[at] ^= 0xff
		if err := os.WriteFile(damaged.Table, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := damaged.read(nil, &Settings{Config: &pipeline.Config{}}); err != nil { // a panic ends the test
			refused++
			if !strings.Contains(err.Error(), damaged.Table) {
				t.Errorf("byte %d: %v does not name the file", at, err)
			}
		}
	}
	if refused < 100 {
		t.Errorf("%d of 600 damaged files were refused", refused)
	}
	args := with(quickly, "--predictor", "fgp", "--label", "score", "--train", "30")
	var first Result
	for i, file := range files {
		args[1] = file
		said := &recorder{}
		status, result := experimentOf(t, context.Background(), said, args...)
		if status != console.ExitStopped {
			t.Fatalf("%s: status %d: %s", file, status, said.String())
		}
		result.Data = ""
		if i == 0 {
			first = result
		} else if !reflect.DeepEqual(result, first) {
			t.Errorf("%s: %+v, as JSON %+v", file, result, first)
		}
	}
	for name, refused := range map[string][]string{
		"which of them":  {"experiment", files[1]},
		`"x" is unknown`: {"experiment", files[2], "--label", "x"},
		`"y" is unknown`: {"experiment", files[1], "--label", "score", "--proxy", "y"},
	} {
		said := &recorder{}
		if status, _ := experimentOf(t, context.Background(), said, refused...); status != console.ExitRefused || !strings.Contains(said.String(), name) {
			t.Errorf("%v: status %d, it said %q, want %q", refused[2:], status, said.String(), name)
		}
	}
}
