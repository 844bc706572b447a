package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"archflow/cmd/archflow/console"
)

// TestPublishLooksBeforeItDials: what cannot be read is said at once, not after
// a broker has been waited for.
func TestPublishLooksBeforeItDials(t *testing.T) {
	broker, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var dialled atomic.Int32
	go func() {
		for {
			c, err := broker.Accept()
			if err != nil {
				return
			}
			dialled.Add(1)
			stop() // it would wait for an answer
			c.Close()
		}
	}()
	dir := t.TempDir()
	rows := filepath.Join(dir, "rows.jsonl")
	if err := os.WriteFile(rows, []byte(`{"space":"dag","ops":["input","output"],"edges":[[0,1]]}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.jsonl.gz")
	if err := os.WriteFile(damaged, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, file string
	}{{"candidates", filepath.Join(dir, "absent.jsonl")}, {"labels", filepath.Join(dir, "absent.jsonl")}, {"candidates", dir}, {"candidates", damaged}, {"labels", damaged}} {
		var out, said bytes.Buffer
		status := run(ctx, []string{"publish", c.what, rows, c.file, "--brokers", broker.Addr().String(), "--data", dir}, console.Streams{In: strings.NewReader(""), Out: &out, Err: &said})
		if status != console.ExitFailed || !strings.Contains(said.String(), c.file) || dialled.Load() != 0 {
			t.Errorf("%s of %s: status %d, dialled %d times, said %s", c.what, c.file, status, dialled.Load(), said.String())
		}
	}
	var out, said bytes.Buffer
	status := run(ctx, []string{"publish", "candidates", rows, "--brokers", broker.Addr().String(), "--data", dir}, console.Streams{In: strings.NewReader(""), Out: &out, Err: &said})
	if dialled.Load() == 0 {
		t.Errorf("the broker was not dialled for a file that can be read: status %d, %s", status, said.String())
	}
}

// TestStatuses are what the process ends with.
func TestStatuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"version"}, 0},
		{[]string{"run", "--help"}, 0},
		{[]string{"lint", filepath.Join(dir, "absent.jsonl")}, 1},
		{[]string{"publish", "candidates", dir, "--data", dir}, 1},
		{[]string{"publish", "labels", "--goal", "min", filepath.Join(dir, "absent.jsonl"), "--data", dir}, 2},
		{[]string{"explain", "", "--data", dir}, 2},
		{[]string{"rum"}, 2},
		{[]string{"run", "--partitions", "0"}, 2},
		{[]string{"run", "--config", filepath.Join(dir, "absent.yaml")}, 2},
	} {
		var out, said bytes.Buffer
		if got := run(t.Context(), c.args, console.Streams{In: strings.NewReader(""), Out: &out, Err: &said}); got != c.status {
			t.Errorf("%v: status %d, want %d: %s", c.args, got, c.status, said.String())
		}
		if refused := c.status != console.ExitStopped; refused != strings.HasPrefix(said.String(), "archflow: ") {
			t.Errorf("%v said %q", c.args, said.String())
		}
	}
}

// TestRowsAreScreened: labels made of rows are looked at as label messages are.
func TestRowsAreScreened(t *testing.T) {
	const good = `{"space":"dag","id":"a","labels":{"acc":0.5}}` + "\n"
	read := func(text string) (labels []message, warned string, err error) {
		var c commands
		var out strings.Builder
		c.MaxMessageBytes = 1 << 20
		p := publishLabels{Files: []string{"-"}, Task: "acc"}
		screened := screenLabels(&c, p.Task)
		labels, _, err = p.read(strings.NewReader(text), &c, screened)
		screened.report(&out)
		return labels, out.String(), err
	}
	for row, want := range map[string]string{
		`{"space":"dag","labels":{"acc":4}}`:            "does not say which architecture",
		`{"id":"7","labels":{"acc":4}}`:                 `"space" is missing`,
		`{"space":"b/d","id":"7","labels":{"acc":4}}`:   "b/d",
		`{"space":"dag","id":"7","labels":{"acc":"4"}}`: `"4", which is not a number`,
		`{"space":"dag","id":"7","labels":[4]}`:         `"labels" is not an object`,
		`a,7,0.5`:                                       "archflow import",
	} {
		_, _, err := read(row + "\n")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "-:1") || strings.Contains(err.Error(), "json:") || strings.Contains(err.Error(), "--task") {
			t.Errorf("%s: %v", row, err)
		}
	}
	labels, warned, err := read(good + `{"space":"b/d","id":"7","labels":{"acc":4}}` + "\n")
	if err != nil || len(labels) != 2 || !strings.Contains(warned, "1 of 2 will be dead letters; -:2") {
		t.Errorf("a wrong row among others: %v, %d labels, said %q", err, len(labels), warned)
	}
	if labels, warned, err := read(good); err != nil || len(labels) != 1 || warned != "" || !strings.Contains(string(labels[0].value), `"space":"dag"`) {
		t.Errorf("a good row: %v, %q, said %q", err, labels, warned)
	}
}

// TestPythonsRows: a row as Python's json writes it has its label and its key, and a
// value that is missing is no label.
func TestPythonsRows(t *testing.T) {
	row := []byte(`{"space": "dag", "id": "a:NaN", "ops": ["x"], "labels": {"acc": 0.5, "ms": NaN, "j": -Infinity}}`)
	m, ok, err := labelOf(row, "acc", "")
	if err != nil || !ok || string(m.key) != "a:NaN" || !strings.Contains(string(m.value), `"id":"a:NaN"`) {
		t.Errorf("a label of it: %v, %v, key %q, %s", ok, err, m.key, m.value)
	}
	for _, task := range []string{"ms", "j"} {
		if _, ok, err := labelOf(row, task, ""); ok || err != nil {
			t.Errorf("%s: %v, %v", task, ok, err)
		}
	}
}
