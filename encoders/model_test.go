package encoders

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"archflow/encoders/calibration"
	"archflow/encoders/safetensors"
	"archflow/schemas"
)

// testModel has a random member of every encoder, each of a vocabulary of its
// own.
func testModel(t testing.TB, width int) *Model {
	t.Helper()
	var members []*Member
	for i, encoder := range testEncoders {
		v, err := NewVocabulary(testOperations[min(i, 4):]...)
		if err != nil {
			t.Fatal(err)
		}
		n, err := newNetwork(shape{encoder, width, 3, .1, []outputShape{{"head", width, 1 + i}}, nil}, v)
		if err != nil {
			t.Fatal(err)
		}
		g := randomGraphs(30, 6, 1)
		members = append(members, newMember(n, n.init(rand.New(rand.NewPCG(uint64(i), 1))), g, allRows(30)))
	}
	y := []float64{1, 2, 3, 4, 5, 6}
	m, err := NewModel("test", 17, members, []Task{
		{Name: "accuracy", Labels: 6, Heads: []Head{{0, 0}, {1, 1}, {2, 2}}, Calibration: calibration.Fit(y, nil, y, nil, false)},
		{Name: "loss", Minimise: true, Labels: 6, Heads: []Head{{2, 0}, {3, 3}, {4, 1}, {5, 5}}, Calibration: calibration.Fit(y, nil, y, nil, true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAnswersDependOnTheGraphAlone compares bits over batches of 1, 7 and 1024,
// in order and shuffled, with 1 and 8 goroutines, and 8 callers at once.
func TestAnswersDependOnTheGraphAlone(t *testing.T) {
	g := randomGraphs(1024, 9, 21)
	for _, width := range []int{16, 128} {
		m := testModel(t, width)
		w := NewWorkspace(1)
		w.Embeddings = true
		first := m.Predict(w, g, allRows(g.Len()))
		want := make([][]float64, g.Len())
		answer := func(a *Answers, r int) []float64 {
			all := []float64{a.Score[0][r], a.Score[1][r]}
			for _, z := range a.Embedding[r*width : (r+1)*width] {
				all = append(all, float64(z))
			}
			return all
		}
		for i := range want {
			want[i] = answer(first, i)
		}
		check := func(cores, size int, seed uint64) {
			w := NewWorkspace(cores)
			w.Embeddings = true
			order := rand.New(rand.NewPCG(seed, 1)).Perm(g.Len())
			if size < 7 {
				order = order[:40]
			}
			for from := 0; from < len(order); from += size {
				rows := order[from:min(from+size, len(order))]
				a := m.Predict(w, g, rows)
				for r, i := range rows {
					if !slices.Equal(answer(a, r), want[i]) {
						t.Errorf("width %d, batch of %d, %d cores: graph %d has other bits", width, size, cores, i)
						return
					}
				}
			}
		}
		var callers sync.WaitGroup
		for seed, c := range [][2]int{{1, 1}, {1, 7}, {1, 1024}, {8, 1}, {8, 7}, {8, 300}, {8, 1024}, {2, 513}} {
			callers.Go(func() { check(c[0], c[1], uint64(seed)) })
		}
		callers.Wait()
	}
}

func TestModelFile(t *testing.T) {
	g := randomGraphs(50, 9, 22)
	m := testModel(t, 8)
	var file bytes.Buffer
	if err := m.Write(&file); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	back, err := ReadModel(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	want, got := m.Predict(NewWorkspace(1), g, allRows(50)), back.Predict(NewWorkspace(1), g, allRows(50))
	if fmt.Sprint(want.Score) != fmt.Sprint(got.Score) || !reflect.DeepEqual(m.Tasks, back.Tasks) || back.Space != "test" || back.Version != 17 {
		t.Error("a model that was read answers otherwise")
	}
	var again bytes.Buffer
	if err := back.Write(&again); err != nil || !bytes.Equal(again.Bytes(), whole) {
		t.Errorf("a model that was read is written otherwise (%v)", err)
	}
	if agreement := back.Tasks[0].Calibration.Agreement; agreement == nil || *agreement == 0 {
		t.Error("a model that was read does not know how far it is right about the best")
	}
	for n := range len(whole) {
		if n%97 != 0 && n > 100 {
			continue
		}
		if _, err := ReadModel(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("a file cut to %d of %d bytes was read", n, len(whole))
		} else if n > 8 && !errors.Is(err, safetensors.ErrTorn) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	for i := 8; i < len(whole); i += 101 {
		broken := bytes.Clone(whole)
		broken[i] ^= 4
		if _, err := ReadModel(bytes.NewReader(broken)); err == nil {
			t.Fatalf("a file with byte %d changed was read", i)
		}
	}
	var foreign bytes.Buffer
	if err := safetensors.Write(&foreign, map[string]string{"kind": "else"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadModel(&foreign); err == nil || !strings.Contains(err.Error(), `"else"`) {
		t.Errorf("a foreign file: %v", err)
	}
}

// TestRecall asks a model, written and read back, for networks it remembers and
// others.
func TestRecall(t *testing.T) {
	g := randomGraphs(3, 6, 23)
	m := testModel(t, 8)
	ids := []schemas.ID{{1}, {2}, {3}}
	m.Cache = NewScoreCache(ids[1:], [][]float64{{.5, -1}, {7, 8}}, [][]float64{{.1, .2}, {.3, .4}})
	var file bytes.Buffer
	if err := m.Write(&file); err != nil {
		t.Fatal(err)
	}
	back, err := ReadModel(&file)
	if err != nil {
		t.Fatal(err)
	}
	rows := []int{2, 0, 1}
	a := back.Predict(NewWorkspace(1), g, rows)
	own := a.Score[0][1]
	back.UseCache(a, ids, rows)
	if want := []float64{-1, own, .5}; !slices.Equal(a.Score[0], want) {
		t.Errorf("scores %v, want %v", a.Score[0], want)
	}
	if a.Score[1][0] != 8 || a.Score[1][2] != 7 {
		t.Errorf("scores of the second task %v", a.Score[1])
	}
	if a.Spread[0][0] != .2 || a.Spread[1][2] != .3 || !math.IsNaN(a.Spread[0][1]) {
		t.Errorf("spreads %v; this model has no head for them", a.Spread)
	}
	back.Cache.spreads = nil // as in models from before they were kept
	if back.UseCache(a, ids, rows); a.Score[0][0] != -1 || !math.IsNaN(a.Spread[0][0]) {
		t.Errorf("scores %v with spreads %v", a.Score[0], a.Spread[0])
	}
}

func BenchmarkPredict(b *testing.B) {
	g := denseGraphs(4096)
	v, err := NewVocabulary(append([]string{"input", "output"}, cellOperations...)...)
	if err != nil {
		b.Fatal(err)
	}
	n, err := newNetwork(shape{"resgated", 128, 3, .1, []outputShape{{"head", 128, 1}}, nil}, v)
	if err != nil {
		b.Fatal(err)
	}
	member := rawMember(n, n.init(rand.New(rand.NewPCG(1, 1))))
	m, err := NewModel("bench", 1, []*Member{member}, []Task{{Name: "a", Heads: []Head{{0, 0}}}})
	if err != nil {
		b.Fatal(err)
	}
	w, rows := NewWorkspace(0), allRows(g.Len())
	for b.Loop() {
		m.Predict(w, g, rows)
	}
	b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds(), "architectures/s")
}

func BenchmarkStep(b *testing.B) {
	g := denseGraphs(4096)
	trunk, err := NewTrunk(TrunkConfig{K: 7, Proxies: 1})
	if err != nil {
		b.Fatal(err)
	}
	flow, proxy := make([]float32, 7*g.Len()), make([]float32, g.Len())
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range flow {
		flow[i] = float32(rng.NormFloat64())
	}
	for i := range proxy {
		proxy[i] = rng.Float32()
	}
	const batch = 256
	rows := rng.Perm(g.Len())
	at := 0
	for b.Loop() {
		trunk.Step(g, rows[at:at+batch], flow, [][]float32{proxy})
		at = (at + batch) % len(rows)
	}
	b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "architectures/s")
}

var cellOperations = []string{"conv", "small conv", "pool", "skip", "none"}

// denseGraphs returns graphs of eight nodes and ten edges, shaped like the
// cells of NAS-Bench-201.
func denseGraphs(n int) *schemas.Graphs {
	rng := rand.New(rand.NewPCG(5, 5))
	edges := []int32{0, 1, 0, 2, 0, 4, 1, 3, 1, 5, 2, 6, 3, 6, 4, 7, 5, 7, 6, 7}
	g := &schemas.Graphs{}
	for range n {
		ops := make([]schemas.Symbol, 8)
		for i := range ops {
			ops[i] = schemas.MustIntern(cellOperations[rng.IntN(len(cellOperations))])
		}
		ops[0], ops[7] = schemas.MustIntern("input"), schemas.MustIntern("output")
		g.Append(ops, edges)
	}
	return g
}
