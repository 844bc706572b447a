package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
)

// TestRefusedTableStopsNoAnswer: a constraint that another program gives the table stops
// the table and not the answers; once it is dropped, the table gets the missed rows,
// without a restart, and every candidate is there once.
func TestRefusedTableStopsNoAnswer(t *testing.T) {
	before := retryTable
	retryTable = 200 * time.Millisecond
	defer func() { retryTable = before }()
	f := newFaulty(t)
	f.run()
	f.feed(40)
	f.complete(0)
	log := filepath.Join(f.config.TablePlace(), "predictions", "_delta_log")
	constrain(t, log, true)
	f.feed(40)
	await(t, func() string {
		if n := len(kafkatest.Read(t, f.config.Brokers[0], f.topic("predictions"))); n != f.fed {
			return fmt.Sprintf("%d answers of %d", n, f.fed)
		}
		return ""
	})
	await(t, func() string {
		if text := f.ready(); !strings.Contains(text, "table: answers go on without predictions, ") || !strings.Contains(text, "constraint") {
			return "readiness says:\n" + text
		}
		return ""
	})
	once := *f.config
	once.ExitAtEnd = true
	f.end()
	p, err := Open(t.Context(), &once, telemetry(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Run(t.Context()), p.Close()); err == nil || !strings.Contains(err.Error(), "answers go on without predictions") {
		t.Errorf("a run to the end without its table ends with %v", err)
	}
	f.run()
	constrain(t, log, false)
	f.complete(0)
	if text := f.ready(); strings.Contains(text, "answers go on without") {
		t.Errorf("the table is back and readiness says:\n%s", text)
	}
	f.feed(10)
	f.complete(0)
	f.end()
}

// constrain gives a table a constraint, or takes it back, as Spark does.
func constrain(t *testing.T, log string, on bool) {
	t.Helper()
	for {
		commits, err := filepath.Glob(filepath.Join(log, "*.json"))
		if err != nil || len(commits) == 0 {
			t.Fatal(commits, err)
		}
		slices.Sort(commits)
		var action struct {
			MetaData map[string]any `json:"metaData"`
		}
		for _, commit := range commits { // the first has it, and we change nothing else
			text, err := os.ReadFile(commit)
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Lines(text) {
				if bytes.HasPrefix(line, []byte(`{"metaData"`)) {
					if err := json.Unmarshal(line, &action); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		properties := action.MetaData["configuration"].(map[string]any)
		delete(properties, "delta.constraints.good")
		if on {
			properties["delta.constraints.good"] = "offset < 0"
		}
		line, err := json.Marshal(action)
		if err != nil {
			t.Fatal(err)
		}
		var version int64
		if _, err := fmt.Sscanf(filepath.Base(commits[len(commits)-1]), "%d.json", &version); err != nil {
			t.Fatal(err)
		}
		next, err := os.OpenFile(filepath.Join(log, fmt.Sprintf("%020d.json", version+1)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if os.IsExist(err) {
			continue // the run was faster
		}
		if err != nil {
			t.Fatal(err)
		}
		body := append([]byte(`{"protocol":{"minReaderVersion":1,"minWriterVersion":3}}`+"\n"), line...)
		if _, err := next.Write(append(body, '\n')); err != nil {
			t.Fatal(err)
		}
		if err := next.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
}
