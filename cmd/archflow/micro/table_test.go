package micro

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"
)

func table(t *testing.T) []Row {
	rows, err := Table()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestTableHoldsDistinctNetworksAndLittleNoise(t *testing.T) {
	rows := table(t)
	if len(rows) < 4000 {
		t.Fatalf("%d rows, want at least 4000", len(rows))
	}
	if len(file) > 1<<20 {
		t.Errorf("the file has %d bytes, want less than a megabyte", len(file))
	}
	seen := map[string]bool{}
	var one, two []float64
	for i, r := range rows {
		a, err := parse(r.Arch)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, r.Architecture()) || r.Space != Space || r.ID != i {
			t.Fatalf("row %d does not agree with its notation %s", i, r.Arch)
		}
		seen[a.cell().canonical().notation()] = true
		one, two = append(one, r.Labels.Seed1), append(two, r.Labels.Seed2)
		if mean := (r.Labels.Seed1 + r.Labels.Seed2) / 2; math.Abs(mean-r.Labels.Accuracy) > 0.006 {
			t.Errorf("row %d: accuracy %v, but its seeds have the mean %v", i, r.Labels.Accuracy, mean)
		}
	}
	if len(seen) != len(rows) {
		t.Errorf("%d distinct networks in %d rows", len(seen), len(rows))
	}
	if tau := stat.Kendall(one, two, nil); tau < 0.75 {
		t.Errorf("Kendall tau between the two seeds is %.3f, want at least .75", tau)
	}
}

func TestTableIsWhatTrainingGives(t *testing.T) {
	rows := table(t)
	task := NewTask(TaskSeed)
	for i := 0; i < len(rows); i += len(rows) / 4 {
		again := Row{ID: rows[i].ID, Space: Space, Arch: rows[i].Arch, Ops: rows[i].Ops, Edges: rows[i].Edges}
		again.fill(task)
		if !reflect.DeepEqual(again, rows[i]) {
			t.Errorf("row %d was %+v, is %+v; make it again with make micro", i, rows[i], again)
		}
	}
}

func TestTableIsTheSameForAnyNumberOfWorkers(t *testing.T) {
	rows := table(t)
	for _, workers := range []int{1, 3} {
		if again := Make(3, workers, func() {}); !reflect.DeepEqual(again, rows[:3]) {
			t.Errorf("%d workers made other rows", workers)
		}
	}
	var again bytes.Buffer
	if err := Write(&again, rows); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), file) {
		t.Error("the same rows were written as other bytes")
	}
}

func TestBrokenTableIsRefused(t *testing.T) {
	for _, broken := range [][]byte{nil, []byte("no gzip at all"), file[:len(file)/2]} {
		if _, err := Read(bytes.NewReader(broken)); err == nil || !strings.Contains(err.Error(), "make micro") {
			t.Errorf("%d bytes: error %v, want one with the cure", len(broken), err)
		}
	}
}

func TestExpectedBestIsTheMeanOfRandomSearches(t *testing.T) {
	rows := table(t)
	const seeds = 500
	var seen, again float64
	for seed := range uint64(seeds) {
		best := randomSearch(rows, 20, seed)
		seen += best.Labels.Seed1 / seeds
		again += best.Labels.Seed2 / seeds
	}
	if wantSeen, wantAgain := ExpectedBest(rows, 20); math.Abs(seen-wantSeen) > 0.2 || math.Abs(again-wantAgain) > 0.4 {
		t.Errorf("%d random searches found %.2f and again %.2f on average, expected %.2f and %.2f", seeds, seen, again, wantSeen, wantAgain)
	}
	if a, b := randomSearch(rows, 20, 1), randomSearch(rows, 20, 1); a.Arch != b.Arch {
		t.Error("the same seed searched differently")
	}
	small := []Row{{Labels: Labels{Seed1: 1, Seed2: 7}}, {Labels: Labels{Seed1: 2, Seed2: 3}}, {Labels: Labels{Seed1: 6, Seed2: 4}}, {Labels: Labels{Seed1: 6, Seed2: 8}}}
	for n, want := range map[int][2]float64{
		1: {15. / 4, 22. / 4},
		2: {(2. + 5*6) / 6, (3. + 5*6) / 6}, // of six pairs one is without a 6
		3: {6, 6}, 4: {6, 6}, 9: {6, 6},
	} {
		seen, again := ExpectedBest(small, n)
		if math.Abs(seen-want[0]) > 1e-12 || math.Abs(again-want[1]) > 1e-12 {
			t.Errorf("best of %d is %v and again %v, want %v", n, seen, again, want)
		}
	}
}

func TestProxiesForgetTheNumbering(t *testing.T) {
	task := NewTask(TaskSeed)
	rng := rand.New(rand.NewPCG(6, 6))
	for range 10 {
		a := Sample(rng)
		first := Proxies(a, task)
		if again := Proxies(renumber(a, rng), task); !reflect.DeepEqual(first, again) || len(first) != 4 {
			t.Errorf("%s: proxies %v, renumbered %v", a.Arch, first, again)
		}
	}
}

// randomSearch draws n different rows, n >= 1, and returns the one of the best accuracy
// with seed 1, all that a searcher that trains each network once would see.
// Its accuracy with seed 2 says how good it is without the luck of the choice.
func randomSearch(rows []Row, n int, seed uint64) Row {
	rng := rand.New(rand.NewPCG(seed, 0x72616e646f6d))
	order := rng.Perm(len(rows))[:min(n, len(rows))]
	best := slices.MaxFunc(order, func(i, j int) int {
		return cmp.Compare(rows[i].Labels.Seed1, rows[j].Labels.Seed1)
	})
	return rows[best]
}
