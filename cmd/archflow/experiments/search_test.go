package experiments

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/search"
	"archflow/cmd/archflow/search/searchtest"
	"archflow/encoders"
)

// TestSearchSuite replays searches: the regret never grows, a second start measures
// what is missing and nothing else, and the same seed gives the same search.
func TestSearchSuite(t *testing.T) {
	dir := t.TempDir()
	file, _ := searchtest.Table(t, dir)
	suite := func(resume string, searches int, more ...string) (r searchSuite, said string) {
		t.Helper()
		var out, status bytes.Buffer
		args := append([]string{"experiment", file, "--suite", "search", "--resume", filepath.Join(dir, resume), "--searches", fmt.Sprint(searches),
			"--budget", "50", "--width", "16", "--layers", "2", "--epochs", "1", "--json"}, more...)
		if code := run(t.Context(), args, console.Streams{In: nil, Out: &out, Err: &status}); code != console.ExitStopped {
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

// TestTrialsToAlone: after how many trials a policy with predictions is as good as one
// without at its end, by the means over searches.
func TestTrialsToAlone(t *testing.T) {
	r := searchSuite{at: []int{4}}
	for name, runs := range map[string][][]float64{"reinforce-alone": {{9, 5, 3, 2}, {9, 9, 4, 4}}, "reinforce": {{8, 4, 1, 0}, {8, 3, 3, 0}}} {
		for seed, regret := range runs {
			r.Runs = append(r.Runs, replayRun{replayOf: replayOf{tableOf: tableOf{Table: "t 1"}, Task: "acc", Strategy: name, Seed: uint64(seed)}, Regret: regret})
		}
	}
	r.summarise()
	for _, row := range r.Rows {
		if want := map[string]int{"reinforce": 3}[row.Strategy]; row.TrialsToAlone != want {
			t.Errorf("%s: %d, want %d", row.Strategy, row.TrialsToAlone, want)
		}
	}
}

// Tables are distinguished by their whole names, and those with one name by size and content.
func TestSearchesOfTablesWithOneName(t *testing.T) {
	r := searchSuite{at: []int{2}}
	tables := []tableOf{{"nas a.jsonl 9", "1"}, {"nas b.jsonl 9", "2"}, {"nas b.jsonl 9", "3"}, {"nas b.jsonl 8", "4"}}
	for i, table := range tables {
		goal := float64(10 - i)
		for strategy, regret := range map[string][]float64{"reinforce-alone": {20, goal}, "reinforce": {goal, goal - 1}} {
			r.Runs = append(r.Runs, replayRun{replayOf: replayOf{tableOf: table, Task: "acc", Strategy: strategy}, Regret: regret})
		}
	}
	r.summarise()
	var printed, drawn, table bytes.Buffer
	if err := errors.Join(r.print(&printed), r.plot(&drawn), r.csv(&table)); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 8 {
		t.Fatalf("%+v", r.Rows)
	}
	for i, name := range []string{"nas a.jsonl", "nas b.jsonl 9 2", "nas b.jsonl 9 3", "nas b.jsonl 8 4"} {
		for _, row := range r.Rows[2*i : 2*i+2] {
			if mean := row.mean(); row.Data != name || row.Seeds != 1 || row.Strategy == "reinforce" && (row.TrialsToAlone != 1 || mean[0] != float64(10-i)) {
				t.Errorf("%d: %+v, mean %v", i, row, mean)
			}
		}
		for what, text := range map[string]string{"print": printed.String(), "plot": drawn.String()} {
			if strings.Count(text, name+", acc: regret") != 1 {
				t.Errorf("%s lacks %q:\n%s", what, name, text)
			}
		}
		if strings.Count(table.String(), "\n"+name+",acc,") != 4 {
			t.Errorf("the CSV lacks %q:\n%s", name, table.String())
		}
	}
}

// A line of the CSV has as many fields as the head, whatever the names of table and tasks.
func TestSearchCSV(t *testing.T) {
	r := searchSuite{Runs: []replayRun{{replayOf: replayOf{tableOf: tableOf{Table: "t,1.jsonl 9"}, Task: "acc,ms", Strategy: "ours", Seed: 3}, Regret: []float64{.5, 1e-9}}}}
	var out bytes.Buffer
	if err := r.csv(&out); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&out).ReadAll()
	if want := []string{"t,1.jsonl", "acc,ms", "ours", "3", "2", "1e-09"}; err != nil || len(records) != 3 || !slices.Equal(records[2], want) {
		t.Errorf("%v, %q", err, records)
	}
}

// A replay is found again by the content of its table and by every setting that reaches
// the learner, and the runs that are kept beside the docs by the flags of the docs.
func TestReplaysAreFoundByTheirSettings(t *testing.T) {
	identity := func(table string, args ...string) (of replayOf) {
		t.Helper()
		x, c, err := parse(append([]string{"experiment", table, "--suite", "search"}, args...))
		if err != nil {
			t.Fatal(err)
		}
		if _, of, err = x.replay(nil, c, table); err != nil {
			t.Fatal(err)
		}
		return of
	}
	table, _ := searchtest.Table(t, t.TempDir())
	usual := identity(table)
	if same := identity(table, "--encoder", encoders.Names[0], "--width", "128", "--layers", "3"); same != usual {
		t.Errorf("with the usual values as flags %+v, without %+v", same, usual)
	}
	keys := map[replayOf]string{usual: "none"}
	for _, flag := range []string{
		"--predictor=fgp", "--encoder=gin", "--width=16", "--layers=2", "--epochs=1", "--buffer=64", "--remember=0", "--wait-labels=1", "--first-labels=5",
		"--label-growth=1", "--seed=2", "--spaces=0", "--max-nodes=9", "--max-message-bytes=1024", "--budget=9", "--batch=9", "--label=ms", "--goal=min",
	} {
		of := identity(table, flag)
		if keys[of] != "" {
			t.Errorf("%s has the key of %s: %+v", flag, keys[of], of)
		}
		keys[of] = flag
	}

	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(table, bytes.Replace(text, []byte(`"acc":50`), []byte(`"acc":51`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	older := usual
	older.Sum = ""
	regenerated := identity(table)
	for _, test := range []struct {
		kept, asked replayOf
		found       bool
	}{{usual, usual, true}, {usual, regenerated, false}, {older, regenerated, true}} {
		r := replays{runs: []replayRun{{replayOf: test.kept}}}
		if run, found := r.find(test.asked); found != test.found || found && run.replayOf != test.asked {
			t.Errorf("of %+v %+v was found: %v, %+v", test.kept, test.asked, found, run)
		}
	}

	_, c, err := parse([]string{"experiment", table, "--epochs", "2"})
	if err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile("../../../docs/runs/search/nb201.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "runs")
	if err := os.WriteFile(kept, text, 0o600); err != nil {
		t.Fatal(err)
	}
	docs, err := openReplays(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer docs.Close()
	of := replayOf{tableOf: tableOf{"nb201.jsonl.gz 1341159", "any"}, Space: "nb201", Task: "cifar10_valid", Goal: "max", Budget: 150, Batch: 10, Learner: learnerOf(c.Config)}
	for _, of.Strategy = range search.Strategies {
		for of.Seed = 1; of.Seed <= 10; of.Seed++ {
			if _, found := docs.find(of); !found {
				t.Errorf("%s, seed %d is not in the docs", of.Strategy, of.Seed)
			}
		}
	}
}
