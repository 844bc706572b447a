package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// searchTable writes a table of 300 cells with a made-up result and returns its
// best.
func searchTable(t *testing.T, dir string) (file string, most int) {
	t.Helper()
	names := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	var table bytes.Buffer
	for n := range 300 {
		var o [6]int
		for i, rest := 0, n*52; i < 6; i, rest = i+1, rest/5 {
			o[i] = rest % 5
		}
		value := 50 + 3*o[0] + 2*o[1] + o[2]
		most = max(most, value)
		fmt.Fprintf(&table, `{"space":"nb201","id":%d,"labels":{"acc":%d,"ms":%d,"same":1,"other":NaN},"arch":"|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|"}`+"\n",
			n, value, 2*o[3]+o[4]+o[0], names[o[0]], names[o[1]], names[o[2]], names[o[3]], names[o[4]], names[o[5]])
	}
	file = filepath.Join(dir, "table.jsonl")
	if err := os.WriteFile(file, table.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, most
}

// TestSearch searches a made-up table in a process of its own, stops after a part,
// and goes on: the trials before are those of the first part, none comes twice, and
// the search ends with the table's best, as it is said.
func TestSearch(t *testing.T) {
	dir := t.TempDir()
	file, most := searchTable(t, dir)
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
		{"search", "nb201", "--task", "acc,ms", "--strategy", "local"},
		{"search", "nb201", "--task", "acc,ms", "--goal", "max,least"},
		{"search", "nb201", "--task", "acc,ms", "--goal", "max,min,max"},
		{"search", "nb201", "--task", "acc,acc"},
		{"search", "nb201", "--task", "acc,"},
	} {
		var said bytes.Buffer
		if status := run(t.Context(), args, console{nil, io.Discard, &said}); status != exitRefused {
			t.Errorf("%q: status %d, %s", args, status, said.String())
		}
	}
}

// TestSearchFront searches for high acc and low ms through the topics: what it calls
// the front is that of its trials, and it misses less of the table's hypervolume than
// chance does with the same trials.
func TestSearchFront(t *testing.T) {
	dir := t.TempDir()
	file, _ := searchTable(t, dir)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	missing := map[string]float64{}
	for _, strategy := range []string{"ours", "random"} {
		var out bytes.Buffer
		args := []string{"search", "nb201", "--task", "acc,ms", "--goal", "max,min", "--table", file, "--strategy", strategy, "--budget", "50", "--batch", "10",
			"--data", filepath.Join(dir, "data"), "--http", address, "--width", "16", "--layers", "2", "--epochs", "1", "--json"}
		if status := run(t.Context(), args, console{nil, &out, io.Discard}); status != exitStopped {
			t.Fatalf("%s: status %d: %s", strategy, status, out.String())
		}
		var r searchResult
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(out.String(), err)
		}
		var points [][]float64
		var ids, stated []string
		for _, trial := range r.Trials {
			points = append(points, []float64{*trial.Values["acc"], -*trial.Values["ms"]})
		}
		for _, i := range front(points) {
			ids = append(ids, r.Trials[i].ID)
		}
		for _, trial := range r.Front {
			stated = append(stated, trial.ID)
		}
		if !slices.Equal(ids, stated) || len(r.Trials) != 50 {
			t.Errorf("%s: the front of %d trials is %v, stated %v", strategy, len(r.Trials), ids, stated)
		}
		missing[strategy] = r.Regret["50"]
	}
	if !(missing["ours"] < missing["random"]) {
		t.Errorf("of the hypervolume is missing: %v", missing)
	}
}

// TestHypervolume compares with volumes that were worked out by hand, and in three
// dimensions with a count of the unit cubes below the points.
func TestHypervolume(t *testing.T) {
	points := [][]float64{{3, 1}, {1, 3}, {2, 2}, {1, 1}, {2, 2}, {-5, 9}, {0, 4}}
	if got := hypervolume(points, []float64{0, 0}); got != 6 {
		t.Errorf("two dimensions: %v", got)
	}
	if got := front(points); !slices.Equal(got, []int{0, 1, 2, 5, 6}) {
		t.Errorf("the front: %v", got)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var three [][]float64
	cubes := map[[3]int]bool{}
	for range 30 {
		p := [3]int{random.IntN(9), random.IntN(9), random.IntN(9)}
		three = append(three, []float64{float64(p[0]), float64(p[1]), float64(p[2])})
		for x := range p[0] {
			for y := range p[1] {
				for z := range p[2] {
					cubes[[3]int{x, y, z}] = true
				}
			}
		}
	}
	if got := hypervolume(three, []float64{0, 0, 0}); got != float64(len(cubes)) {
		t.Errorf("three dimensions: %v of %d", got, len(cubes))
	}
}

// TestSearchSuite replays searches: the regret never grows, a second start measures
// what is missing and nothing else, and the same seed gives the same search.
func TestSearchSuite(t *testing.T) {
	dir := t.TempDir()
	file, _ := searchTable(t, dir)
	suite := func(resume string, searches int, more ...string) (r searchSuite, said string) {
		t.Helper()
		var out, status bytes.Buffer
		args := append([]string{"experiment", file, "--suite", "search", "--resume", filepath.Join(dir, resume), "--searches", fmt.Sprint(searches),
			"--budget", "50", "--width", "16", "--layers", "2", "--epochs", "1", "--json"}, more...)
		if code := run(t.Context(), args, console{nil, &out, &status}); code != exitStopped {
			t.Fatalf("status %d: %s", code, status.String())
		}
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(out.String(), err)
		}
		return r, status.String()
	}
	few := []string{"--strategy", "ours,random,evolution"}
	suite("runs", 1, few...)
	before, err := os.ReadFile(filepath.Join(dir, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	plot := filepath.Join(dir, "plot.svg")
	r, _ := suite("runs", 2, append(few, "--plot", plot)...)
	after, err := os.ReadFile(filepath.Join(dir, "runs"))
	if err != nil || !bytes.HasPrefix(after, before) || bytes.Count(after, []byte("\n")) != 6 {
		t.Errorf("after the second start: %v, %d lines", err, bytes.Count(after, []byte("\n")))
	}
	if drawn, err := os.ReadFile(plot); err != nil || bytes.Count(drawn, []byte("stroke-width=\"2\"")) != 6 {
		t.Errorf("the plot: %v, %.300s", err, drawn)
	}
	if len(r.Rows) != 3 || len(r.Runs) != 6 || r.Rows[0].Strategy != "ours" || r.Rows[0].Seeds != 2 {
		t.Fatalf("%+v", r.Rows)
	}
	for _, run := range r.Runs {
		if !slices.IsSortedFunc(run.Regret, func(a, b float64) int { return cmp.Compare(b, a) }) || len(run.Regret) != 50 {
			t.Errorf("%s: regret %v", run.Strategy, run.Regret)
		}
	}
	if same, _ := suite("same", 1, "--label", "acc,same", "--strategy", "random"); len(same.Rows) != 1 || same.Rows[0].Regret["50"] != 0 {
		t.Errorf("a label that is constant: %+v", same.Rows)
	}
	if fronts, _ := suite("fronts", 1, "--label", "acc,ms", "--goal", "max,min"); len(fronts.Rows) != 2 || !(fronts.Rows[0].Regret["50"] < 1) {
		t.Errorf("two labels: %+v", fronts.Rows)
	}
	if again, _ := suite("again", 1, "--strategy", "ours"); !slices.Equal(again.Runs[0].Regret, r.Runs[0].Regret) {
		t.Error("one seed, two searches of ours")
	}
	if ours, chance := r.Rows[0].Regret["50"], r.Rows[1].Regret["50"]; ours > chance {
		t.Errorf("ours has a regret of %v, chance %v", ours, chance)
	}
}
