package experiments

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archflow/cmd/archflow/console"
)

// The table of figures in the docs is that of the runs that are kept beside them.
func TestFiguresOfTheDocs(t *testing.T) {
	var out bytes.Buffer
	said := &recorder{}
	if status := run(context.Background(), []string{"experiment", "../../../docs/runs", "--suite", "figures"}, console.Streams{In: strings.NewReader(""), Out: &out, Err: said}); status != console.ExitStopped {
		t.Fatalf("status %d: %s", status, said.String())
	}
	page, err := os.ReadFile("../../../docs/experiments.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), out.String()) {
		t.Errorf("docs/experiments.md lacks the table of `archflow experiment docs/runs --suite figures`:\n%s", out.String())
	}
}

// Runs that an experiment keeps become a row; other files are refused by name.
func TestFiguresOfKeptRuns(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "micro.jsonl")
	if status, _ := experimentOf(t, context.Background(), &recorder{}, with(quickly, "--predictor", "fgp", "--resume", kept)...); status != console.ExitStopped {
		t.Fatal("no runs")
	}
	var out bytes.Buffer
	if status := run(context.Background(), []string{"experiment", dir, "--suite", "figures"}, console.Streams{In: strings.NewReader(""), Out: &out, Err: &recorder{}}); status != console.ExitStopped ||
		!strings.Contains(out.String(), "| micro, `accuracy` | 85 | resgated 16 x 2, fgp for 1 epochs | 2 | .") {
		t.Errorf("status %d, %s", status, out.String())
	}
	for name, text := range map[string]string{"empty": "", "runs": "hello\n", "headless": `{"seed":1,"tau":.5}` + "\n"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		said := &recorder{}
		if status := run(context.Background(), []string{"experiment", path, "--suite", "figures"}, console.Streams{In: strings.NewReader(""), Out: &out, Err: said}); status != console.ExitRefused || !strings.Contains(said.String(), name) {
			t.Errorf("%s: status %d, %s", name, status, said.String())
		}
	}
}
