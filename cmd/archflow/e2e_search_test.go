package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"archflow/cmd/archflow/search"
	"archflow/cmd/archflow/search/searchtest"
	"archflow/internal/kafka/kafkatest"
)

// TestEndToEndSearchKilled kills the worker, the trainer and the searcher in the
// middle of a search. It goes on each time, ends with its whole budget, asks for
// every trial once and publishes every result once.
func TestEndToEndSearchKilled(t *testing.T) {
	in := install(t, kafkatest.Real(t))
	in.set("BUFFER", "1000")
	in.set("SESSION", "3s")
	file, _ := searchtest.Table(t, t.TempDir())
	in.listen()
	worker := func() *process { return in.start("run", "--role", "worker") }
	trainer := func() *process { return in.start("run", "--role", "trainer", "--http", "off") }
	const budget, batch = 48, 4
	start := func() *process {
		return in.start("search", "nb201", "--task", "acc", "--table", file, "--budget", fmt.Sprint(budget), "--batch", fmt.Sprint(batch), "--name", "killed", "--json", "--data", filepath.Join(in.data, "searcher"))
	}
	type trial struct {
		ID     int
		Search string
		Trial  int
	}
	values := func(topic string) (all []trial) {
		t.Helper()
		for line := range strings.Lines(in.ok("read", topic, "--json", "--from", "start", "--exit-at-end")) {
			var one trial
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatal(line, err)
			}
			all = append(all, one)
		}
		return all
	}
	trials := func(n int) {
		t.Helper()
		until(t, fmt.Sprintf("%d trials are asked for", n), func() bool { return len(values("trials")) >= n })
	}
	w, teacher := worker(), trainer()
	w.says("msg=ready")
	s := start()
	until(t, "the search has made the topic of trials", func() bool {
		return in.start("read", "trials", "--from", "start", "--exit-at-end").wait(patience) == 0
	})
	trials(8)
	w.kill()
	w = worker()
	w.says("msg=ready")
	trials(20)
	teacher.kill()
	trainer()
	trials(28)
	s.kill()
	s = start()
	trials(36)
	s.kill()
	w.kill()
	w = worker()
	w.says("msg=ready")
	s = start()
	if status := s.wait(2 * patience); status != 0 {
		t.Fatalf("status %d: %s", status, s.err.String())
	}
	var result search.Result
	if err := json.Unmarshal([]byte(s.out.String()), &result); err != nil {
		t.Fatal(s.out.String(), err)
	}
	asked, told := values("trials"), values("labels")
	if len(asked) != budget || len(told) != budget || len(result.Trials) != budget {
		t.Fatalf("%d trials are asked for, %d told of, %d in the result; want %d of each", len(asked), len(told), len(result.Trials), budget)
	}
	var ids []int
	for i := range asked {
		if asked[i].Trial != i || fmt.Sprint(asked[i].ID) != result.Trials[i].ID || told[i].ID != asked[i].ID {
			t.Errorf("trial %d: asked for %+v, told of %d, in the result %s", i, asked[i], told[i].ID, result.Trials[i].ID)
		}
		ids = append(ids, asked[i].ID)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != budget {
		t.Errorf("%d of %d trials are distinct", n, budget)
	}
}
