package experiment

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"archflow/schemas"
)

// chains returns a table of rows whose graph is a chain of up to six
// operations with, on some, a dead branch. The label counts the operation "a".
func chains(t *testing.T, rows int) *Table {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	decoder := schemas.NewDecoder(schemas.Limits{})
	var c schemas.Candidates
	table := &Table{Space: "dag", Proxies: []Proxy{{Name: "noisy"}}}
	for range rows {
		ops, edges := []string{"input"}, [][2]int{}
		value := 0.
		for range 1 + random.IntN(6) {
			op := string(rune('a' + random.IntN(3)))
			if op == "a" {
				value++
			}
			edges = append(edges, [2]int{len(ops) - 1, len(ops)})
			ops = append(ops, op)
		}
		edges = append(edges, [2]int{len(ops) - 1, len(ops)})
		ops = append(ops, "output")
		if random.IntN(3) == 0 {
			edges = append(edges, [2]int{0, len(ops)})
			ops = append(ops, "b")
		}
		line, err := json.Marshal(map[string]any{"space": "dag", "ops": ops, "edges": edges})
		if err != nil {
			t.Fatal(err)
		}
		if refused := decoder.Candidate(&c, line); refused != nil {
			t.Fatal(refused)
		}
		table.Label = append(table.Label, value+.1*random.NormFloat64())
		table.Proxies[0].Values = append(table.Proxies[0].Values, value+random.NormFloat64())
	}
	table.Graphs, table.Networks, table.Network = c.Graphs, c.Networks, c.Network
	return table
}

func small(predictor string) Config {
	return Config{Predictor: predictor, Width: 16, Layers: 2, Epochs: 2, FineTuneEpochs: 20, Prune: true, Merge: true, Student: true}
}

func TestDrawTakesLabelledRowsOnce(t *testing.T) {
	table := &Table{Space: "dag", Label: make([]float64, 100)}
	for i := range table.Label {
		table.Label[i] = float64(i)
		if i%10 == 3 {
			table.Label[i] = math.NaN()
		}
	}
	splits, err := Draw(table, []uint32{1, 2}, 2, Sizes{Pool: 30, Train: 10, Validate: 20})
	if err != nil {
		t.Fatal(err)
	}
	if len(splits) != 4 || reflect.DeepEqual(splits[0].Train, splits[1].Train) || reflect.DeepEqual(splits[0].Train, splits[2].Train) {
		t.Fatalf("%d splits, or two alike", len(splits))
	}
	for _, s := range splits {
		if len(s.Train) != 10 || len(s.Validate) != 20 || len(s.Test) != 40 {
			t.Errorf("%d train, %d validate, %d test, want 10, 20 and 40", len(s.Train), len(s.Validate), len(s.Test))
		}
		table := *table
		table.Graphs, table.Networks = schemas.Graphs{}, schemas.Graphs{}
		if err := s.Check(&table); err != nil {
			t.Error(err)
		}
	}
	if _, err := Draw(table, []uint32{1}, 1, Sizes{Pool: 50, Train: 50, Validate: 40}); err == nil {
		t.Error("a draw that leaves nothing to test is accepted")
	}
}

func TestSplitsAreChecked(t *testing.T) {
	table := &Table{Label: []float64{1, 2, 3, 4, 5, math.NaN()}}
	for want, s := range map[string]Split{
		"row 6, the table": {Train: []int{0, 1}, Test: []int{2, 6}},
		"row -1":           {Train: []int{0, -1}, Test: []int{2, 3}},
		"no label":         {Train: []int{0, 1}, Test: []int{2, 5}},
		"in train and in test": {
			Train: []int{0, 1}, Test: []int{1, 2}},
		"needs two of each": {Train: []int{0}, Test: []int{1, 2}},
	} {
		if err := s.Check(table); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want one with %q", s, err, want)
		}
	}
}

// Rows 0 to 2 are one network, of which row 1 has most proxies; row 3 is another.
func TestEqualNetworksShareProxies(t *testing.T) {
	nan := math.NaN()
	var g schemas.Graphs
	for range 4 {
		g.Append([]schemas.Symbol{1, 2}, []int32{0, 1})
	}
	table := &Table{
		Graphs: g, Networks: g, Network: []schemas.ID{{1}, {1}, {1}, {2}}, Label: []float64{1, 2, 6, 9},
		Proxies: []Proxy{{"x", []float64{1, 2, 3, nan}}, {"y", []float64{nan, 5, nan, 7}}, {"z", []float64{nan, nan, 4, nan}}},
	}
	equal := func(got, want [][]float64) bool {
		for p := range want {
			for i, v := range want[p] {
				if v != got[p][i] && !(v != v && got[p][i] != got[p][i]) {
					return false
				}
			}
		}
		return len(got) == len(want)
	}
	merged := prepare(table, true, true)
	if want := [][]float64{{2, nan}, {5, 7}, {4, nan}}; !slices.Equal(merged.of, []int{0, 0, 0, 1}) || !equal(merged.values, want) {
		t.Errorf("merged: items %v, proxies %v, want %v", merged.of, merged.values, want)
	}
	if item, y := merged.labels([]int{3, 2, 0, 1}, table.Label); !slices.Equal(item, []int{0, 1}) || !slices.Equal(y, []float64{3, 9}) {
		t.Errorf("labels %v of items %v, want the mean 3 and 9", y, item)
	}
	filled := prepare(table, false, true)
	if want := [][]float64{{1, 2, 3, nan}, {5, 5, 5, 7}, {4, 4, 4, nan}}; filled.graphs.Len() != 4 || !equal(filled.values, want) {
		t.Errorf("filled: proxies %v, want %v", filled.values, want)
	}
	if alone := prepare(table, true, false); alone.graphs.Len() != 4 || !equal(alone.values, [][]float64{table.Proxies[0].Values, table.Proxies[1].Values, table.Proxies[2].Values}) {
		t.Errorf("without merging: proxies %v, want those of the table", alone.values)
	}
}

func TestMeanAndDeviation(t *testing.T) {
	mean, sd := Summarise([]Run{
		{Figures: Figures{Tau: .5, P1: .1}, Seconds: 2},
		{Figures: Figures{Tau: .7, P1: .3}, Seconds: 4},
	})
	near := func(a Figure, b float64) bool { return math.Abs(float64(a)-b) < 1e-12 }
	if !near(mean.Tau, .6) || !near(mean.P1, .2) || !near(mean.Seconds, 3) || !near(sd.Tau, math.Sqrt(.02)) || !near(sd.Seconds, math.Sqrt2) {
		t.Errorf("mean %+v, sd %+v", mean, sd)
	}
	if _, sd := Summarise([]Run{{Figures: Figures{Tau: .5}}}); sd.Tau != 0 {
		t.Errorf("sd of one run is %v, want 0", sd.Tau)
	}
}

func TestFiguresWithoutAValueAreNull(t *testing.T) {
	text, err := json.Marshal(Measure([]float64{1, 2, 3}, []float64{1, 2, 3}))
	if err != nil {
		t.Fatal(err)
	}
	var back Figures
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"p1":null`) || back.P1 == back.P1 || math.Abs(float64(back.Tau)-1) > 1e-12 {
		t.Errorf("%s reads back as %+v", text, back)
	}
}

// A run depends on its split alone: not on the runs before, nor on the cores.
func TestRunsStandAlone(t *testing.T) {
	table := chains(t, 400)
	for _, predictor := range []string{Published, Best} {
		splits, err := Draw(table, []uint32{21, 2021}, 2, Sizes{40, 40, 20})
		if err != nil {
			t.Fatal(err)
		}
		measure := func(splits []Split) (runs []Run) {
			e, err := New(table, small(predictor))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range splits {
				r, err := e.Run(context.Background(), s)
				if err != nil {
					t.Fatal(err)
				}
				r.Seconds, r.Surrogates, r.Ranked = 0, 0, 0
				if r.Student != nil {
					r.Student.Seconds = 0
				}
				runs = append(runs, r)
			}
			return runs
		}
		before := runtime.GOMAXPROCS(1)
		one := measure(splits)
		runtime.GOMAXPROCS(4)
		last := measure(splits[3:])
		runtime.GOMAXPROCS(before)
		if !reflect.DeepEqual(one[3:], last) {
			t.Errorf("%s: the last run after others on one core %+v, alone on four %+v", predictor, one[3], last[0])
		}
		if reflect.DeepEqual(one[0].Figures, one[1].Figures) {
			t.Errorf("%s: two permutations gave the same figures", predictor)
		}
		if predictor == Best && (one[0].Tau < .6 || one[0].Student == nil || one[0].Student.Tau < .5) {
			t.Errorf("best on counting: %+v, student %+v", one[0].Figures, one[0].Student)
		}
	}
}

// A table without a proxy, and pre-training of each kind, work.
func TestEveryPretraining(t *testing.T) {
	table := chains(t, 200)
	for _, pretrain := range Pretrainings {
		c := small(Published)
		c.Pretrain, c.Prune, c.Merge = pretrain, false, false
		e, err := New(table, c)
		if err != nil {
			t.Fatal(err)
		}
		splits, err := Draw(table, []uint32{1}, 1, Sizes{40, 40, 20})
		if err != nil {
			t.Fatal(err)
		}
		r, err := e.Run(context.Background(), splits[0])
		if err != nil || !(r.Tau > .2) {
			t.Errorf("%s: %+v, %v", pretrain, r, err)
		}
		if ranks := pretrain == "proxy" || pretrain == "fgp"; ranks != (len(e.Learnt()) == 1) {
			t.Errorf("%s learns the proxies %v", pretrain, e.Learnt())
		}
	}
	bare := *table
	bare.Proxies = nil
	for _, predictor := range []string{Published, Best} {
		e, err := New(&bare, small(predictor))
		if err != nil {
			t.Fatal(err)
		}
		splits, err := Draw(&bare, []uint32{1}, 1, Sizes{40, 40, 20})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := e.Run(context.Background(), splits[0]); err != nil || !(r.Tau > .2) {
			t.Errorf("%s without proxies: %+v, %v", predictor, r, err)
		}
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	table := chains(t, 50)
	bare := *table
	bare.Proxies = nil
	for want, c := range map[string]Config{
		"predictor":     {Predictor: "oracle"},
		"pretrain":      {Pretrain: "dreams"},
		"encoder":       {Encoder: "abacus"},
		"has noisy":     {Proxies: []string{"nwot"}},
		"epochs":        {Epochs: -1},
		"std":           {Std: -1},
		"encoder width": {Width: -1},
	} {
		if _, err := New(table, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", c, err, want)
		}
	}
	if _, err := New(&bare, Config{Pretrain: "proxy"}); err == nil {
		t.Error("pre-training on the proxies of a table without any is accepted")
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	table := chains(t, 200)
	for _, predictor := range []string{Published, Best} {
		e, err := New(table, small(predictor))
		if err != nil {
			t.Fatal(err)
		}
		splits, err := Draw(table, []uint32{1}, 1, Sizes{40, 40, 20})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		e.Report = func(string, float64) { cancel() }
		if _, err := e.Run(ctx, splits[0]); err == nil {
			t.Errorf("%s: a run that was cancelled succeeds", predictor)
		}
	}
}
