package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"archflow/cmd/archflow/console"
	"archflow/internal/cli"
	"archflow/internal/input"
	"archflow/schemas"
)

// typed runs a command line in this process and returns its status and output.
func typed(ctx context.Context, args ...string) (status int, out, said string) {
	var o, e bytes.Buffer
	status = run(ctx, args, console.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return status, o.String(), e.String()
}

func lines(t *testing.T, name string, text ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(strings.Join(text, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const sampleCandidates, sampleLabelsFile = "../../docs/samples/candidates.jsonl", "../../docs/samples/labels.jsonl"

// TestReadLimit: a topic of several partitions is read by several readers, and
// --limit counts over all of them.
func TestReadLimit(t *testing.T) {
	data := t.TempDir()
	if status, _, said := typed(t.Context(), "publish", "candidates", sampleCandidates, "--data", data); status != 0 {
		t.Fatal(said)
	}
	for range 5 {
		status, out, said := typed(t.Context(), "read", "architectures", "--from", "start", "--limit", "1", "--data", data)
		if n := strings.Count(out, "\n"); status != 0 || n != 1 {
			t.Errorf("status %d, %d messages for --limit 1: %s", status, n, said)
		}
	}
}

// TestSamples: the files that the README publishes are as described there.
func TestSamples(t *testing.T) {
	if status, _, said := typed(t.Context(), "lint", sampleCandidates); status != 0 {
		t.Error(said)
	}
	c := commands{}
	c.MaxNodes, c.MaxMessageBytes = 2000, 1<<20
	decoder, labels := schemas.NewDecoder(c.Limits()), 0
	err := input.EachLine([]string{sampleLabelsFile}, nil, 1<<20, func(_ string, number int, line []byte) error {
		labels++
		if _, refused := decoder.Label(line); refused != nil {
			return fmt.Errorf("line %d: %w", number, refused)
		}
		return nil
	})
	if err != nil || labels < 16 {
		t.Errorf("%d labels, %v", labels, err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"docs/samples/candidates.jsonl", "docs/samples/labels.jsonl"} {
		if !strings.Contains(string(readme), name) {
			t.Errorf("the README does not name %s", name)
		}
	}
}

// TestPublishOfTheWrongFile: a file of which the pipeline could use nothing is
// refused with the cure, and before any broker is asked; what it will refuse of a
// good file is said.
func TestPublishOfTheWrongFile(t *testing.T) {
	const candidate = `{"space":"dag","id":1,"ops":["input","a","output"],"edges":[[0,1],[1,2]]}`
	row := `{"space":"dag","id":1,"ops":["input","a","output"],"edges":[[0,1],[1,2]],"labels":{"accuracy":93.1,"latency":NaN}}`
	for name, c := range map[string]struct {
		what, file string
		says       []string
	}{
		"CSV":                         {"candidates", lines(t, "a.csv", "id,arch", "1,x", "2,y"), []string{"a.csv:1", "nothing is published", "CSV", "archflow import"}},
		"CSV as labels":               {"labels", lines(t, "l.csv", "id,accuracy", "1,2"), []string{"l.csv:1", "CSV"}},
		"a text":                      {"candidates", lines(t, "a.txt", "hello"), []string{"a.txt:1", "one JSON object"}},
		"benchmark rows as labels":    {"labels", lines(t, "rows.jsonl", row, row), []string{"rows.jsonl:1", "--task", "accuracy, latency"}},
		"no line":                     {"labels", lines(t, "empty.jsonl"), []string{"empty.jsonl", "no line"}},
		"rows without that label":     {"labels", lines(t, "rows.jsonl", row), []string{"none of 1 rows", "exactness"}},
		"thirty lines, all of no use": {"candidates", lines(t, "many.jsonl", strings.Split(strings.Repeat("{}\n", 29)+"{}", "\n")...), []string{"first 20 lines"}},
	} {
		args := []string{"publish", c.what, c.file, "--brokers", "127.0.0.1:1"}
		if name == "rows without that label" {
			args = append(args, "--task", "exactness")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		status, _, said := typed(ctx, args...)
		cancel()
		if status != console.ExitFailed {
			t.Errorf("%s: status %d, %s", name, status, said)
		}
		for _, want := range c.says {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %q is not in %s", name, want, said)
			}
		}
	}
	status, out, said := typed(t.Context(), "publish", "candidates", lines(t, "good.jsonl", "{}", candidate, "{"), "--data", t.TempDir())
	if status != 0 || !strings.Contains(out, "3 candidates published") || !strings.Contains(said, "2 of 3 will be dead letters") || !strings.Contains(said, "good.jsonl:1") {
		t.Errorf("status %d, %s%s", status, out, said)
	}
}

// TestMisspeltTask: lint and publish name a task that is nearly another one.
func TestMisspeltTask(t *testing.T) {
	var text []string
	for i := range 9 {
		task := "accuracy"
		if i == 4 {
			task = "accuracyy"
		}
		text = append(text, fmt.Sprintf(`{"space":"dag","id":"%d","task":"%s","value":1}`, i, task))
	}
	file := lines(t, "labels.jsonl", text...)
	for _, args := range [][]string{{"lint", file}, {"publish", "labels", file, "--data", t.TempDir()}} {
		status, _, said := typed(t.Context(), args...)
		if status != console.ExitStopped || !strings.Contains(said, `task "accuracyy" has 1 labels; is it "accuracy", which has 8?`) {
			t.Errorf("%v: status %d, %s", args, status, said)
		}
	}
}

// TestInterrupted: a command with an end of its own that is stopped before it
// says so and does not end as if all were done.
func TestInterrupted(t *testing.T) {
	data := t.TempDir()
	if status, _, said := typed(t.Context(), "publish", "candidates", sampleCandidates, "--data", data); status != 0 {
		t.Fatal(said)
	}
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"publish", "candidates", sampleCandidates, "--rate", "1/s"}, console.ExitFailed},
		{[]string{"run", "--exit-at-end", "--http", "off", "--brokers", "127.0.0.1:1"}, console.ExitFailed},
		{[]string{"read", "predictions", "--limit", "1"}, console.ExitFailed},
		{[]string{"read", "predictions"}, console.ExitStopped},
		{[]string{"run", "--http", "off"}, console.ExitStopped},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		status, _, said := typed(ctx, append(c.args, "--data", data)...)
		cancel()
		if status != c.status || (status == console.ExitFailed) != strings.Contains(said, "archflow: interrupted: ") {
			t.Errorf("%v: status %d, want %d: %s", c.args, status, c.status, said)
		}
	}
}

// TestStrangeVariables: a misspelt variable is said, those of Kubernetes are not.
func TestStrangeVariables(t *testing.T) {
	t.Setenv("ARCHFLOW_BROKER", "a:1")
	t.Setenv("ARCHFLOW_SERVICE_HOST", "10.0.0.1")
	t.Setenv("ARCHFLOW_PORT_8099_TCP", "tcp://10.0.0.1:8099")
	t.Setenv("ARCHFLOW_GROUP", "g")
	status, _, said := typed(t.Context(), "version")
	if want := "archflow: ARCHFLOW_BROKER in the environment is no setting and changes nothing; did you mean \"ARCHFLOW_BROKERS\"?\n"; status != 0 || said != want {
		t.Errorf("status %d, %q, want %q", status, said, want)
	}
}

// TestHelp: the help of a command fits two screens, shows its own flags first and
// of the settings only what it uses; that of run shows all.
func TestHelp(t *testing.T) {
	var c commands
	parser, err := newParser(&c)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]bool{}
	for _, f := range parser.Flags {
		settings[f.Name] = true
	}
	for command, names := range moreSettings {
		for _, name := range append(names, commonSettings...) {
			if !settings[name] {
				t.Errorf("%s: no setting %q", command, name)
			}
		}
	}
	var leaves func(c *cli.Command, path []string)
	leaves = func(c *cli.Command, path []string) {
		for _, child := range c.Commands {
			leaves(child, append(path[:len(path):len(path)], child.Name))
		}
		status, help, said := typed(t.Context(), append(path, "--help")...)
		if status != 0 || said != "" {
			t.Errorf("%v: status %d, %s", path, status, said)
		}
		if more, ok := c.Target().(interface{ Help() string }); ok && !strings.Contains(strings.Join(strings.Fields(help), " "), strings.Join(strings.Fields(more.Help()), " ")) {
			t.Errorf("%v --help lacks what the command says of itself", path)
		}
		if n := strings.Count(help, "\n"); n > 120 { // of 60 lines
			t.Errorf("%v --help has %d lines", path, n)
		}
		if flags, common := strings.Index(help, "\nFlags:"), strings.Index(help, "\nSettings"); flags > common {
			t.Errorf("%v --help has its own flags last", path)
		}
		for _, f := range c.AllFlags()[len(parser.Flags):] {
			if !strings.Contains(help, "--"+f.Name) {
				t.Errorf("%v --help does not name --%s", path, f.Name)
			}
		}
	}
	leaves(parser, nil)
	_, help, _ := typed(t.Context(), "run", "--help")
	for name := range settings {
		if !strings.Contains(help, "--"+name) {
			t.Errorf("run --help does not name --%s", name)
		}
	}
}

// TestEndToEndDemo: a whole demo, after which each line that it prints to be typed
// next can be, and the notebook of docs/ runs on its tables.
func TestEndToEndDemo(t *testing.T) {
	data := t.TempDir()
	status, out, said := typed(t.Context(), "demo", "--data", data, "--http", "off")
	if status != 0 {
		t.Fatalf("status %d: %s", status, said)
	}
	_, next, _ := strings.Cut(out, "Next ")
	for i, line := range strings.Split(strings.TrimSpace(next), "\n") {
		command, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		program, args, _ := strings.Cut(command, " ")
		if _, err := exec.LookPath(program); err != nil {
			t.Errorf("line %d: %v", i, err)
		}
		if !strings.HasPrefix(args, "publish") {
			continue
		}
		if status, out, said := typed(t.Context(), append(strings.Fields(args), "--data", data)...); status != 0 || strings.Contains(said, "dead letters") {
			t.Errorf("%s: status %d, %s%s", args, status, out, said)
		}
	}
	best := 0.
	for _, line := range strings.Split(said, "\n") {
		if _, text, ok := strings.Cut(line, "best of search 1 "); ok {
			if _, err := fmt.Sscanf(text, "%f", &best); err != nil {
				t.Error(err)
			}
		}
	}
	if want := fmt.Sprintf("1.  %6.2f %%", best); !strings.Contains(out, want) {
		t.Errorf("the progress ends with best %v, and the list is %s", best, out)
	}
	python, err := filepath.Abs("../../.tools/venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Log("left out, the readers of the tables are missing")
		return
	}
	_, line, _ := strings.Cut(out, "\n  python    ")
	line, _, _ = strings.Cut(line, "\n")
	if text, err := exec.Command(python, "-c", line).CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", line, err, text)
	}
	notebook := exec.Command(python, "../../sinks/testdata/notebook.py", "../../docs/notebooks/tables.ipynb", filepath.Join(data, "demo", "tables"))
	if text, err := notebook.CombinedOutput(); err != nil {
		t.Errorf("the notebook: %v: %s", err, text)
	}
}
