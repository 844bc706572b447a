package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestSearch searches a made-up table in a process of its own, stops after a part,
// and goes on: the trials before are those of the first part, none comes twice, and
// the search ends with the table's best, as it is said.
func TestSearch(t *testing.T) {
	names := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	var table bytes.Buffer
	most := 0
	for n := range 300 {
		var o [6]int
		for i, rest := 0, n*52; i < 6; i, rest = i+1, rest/5 {
			o[i] = rest % 5
		}
		value := 50 + 3*o[0] + 2*o[1] + o[2]
		most = max(most, value)
		fmt.Fprintf(&table, `{"space":"nb201","id":%d,"labels":{"acc":%d,"other":NaN},"arch":"|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|"}`+"\n",
			n, value, names[o[0]], names[o[1]], names[o[2]], names[o[3]], names[o[4]], names[o[5]])
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "table.jsonl")
	if err := os.WriteFile(file, table.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	search := func(strategy string, budget int) (r searchResult) {
		t.Helper()
		var out bytes.Buffer
		args := []string{"search", "nb201", "--task", "acc", "--table", file, "--strategy", strategy, "--budget", fmt.Sprint(budget), "--batch", "8", "--name", strategy,
			"--data", filepath.Join(dir, "data"), "--http", address, "--width", "16", "--layers", "2", "--epochs", "1", "--json"}
		if status := run(t.Context(), args, console{nil, &out, io.Discard}); status != exitStopped {
			t.Fatalf("%s: status %d: %s", strategy, status, out.String())
		}
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(out.String(), err)
		}
		return r
	}
	for _, strategy := range []string{"ours", "bananas"} {
		first, second := search(strategy, 20), search(strategy, 32)
		var ids []string
		for i, trial := range second.Trials {
			ids = append(ids, trial.ID)
			if i < len(first.Trials) && first.Trials[i].ID != trial.ID {
				t.Errorf("%s: trial %d was %s and is %s", strategy, i, first.Trials[i].ID, trial.ID)
			}
		}
		slices.Sort(ids)
		if n := len(slices.Compact(slices.Clone(ids))); n != 32 || len(first.Trials) != 20 {
			t.Errorf("%s: %d of 32 trials are distinct after %d", strategy, n, len(first.Trials))
		}
		if regret := second.Regret["32"]; float64(most)-second.Value != regret || regret > float64(most-50)/2 {
			t.Errorf("%s: best %v of %d, regret %v", strategy, second.Value, most, regret)
		}
	}
}

// TestSearchRefusals: what cannot be searched is said before anything starts.
func TestSearchRefusals(t *testing.T) {
	for _, args := range [][]string{
		{"search", "nb201"},
		{"search", "nb201", "--task", "acc", "--budget", "0"},
		{"search", "nb201", "--task", "acc", "--strategy", "luck"},
		{"search", "nb201", "--task", "acc", "--table", "nowhere.jsonl.gz"},
		{"search", "nb201", "--task", "acc", "--http", "off"},
	} {
		var said bytes.Buffer
		if status := run(t.Context(), args, console{nil, io.Discard, &said}); status != exitRefused {
			t.Errorf("%q: status %d, %s", args, status, said.String())
		}
	}
}
