package flow

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"archflow/schemas"
)

func symbols(names []string) []schemas.Symbol {
	out := make([]schemas.Symbol, len(names))
	for i, name := range names {
		out[i] = schemas.MustIntern(name)
	}
	return out
}

func flat(rows [][]float64) []float64 {
	var out []float64
	for _, r := range rows {
		out = append(out, r...)
	}
	return out
}

// vectors reads the files that testdata/README.md describes.
func vectors(t testing.TB, name string) (*Flow, schemas.Graphs, [][]float64) {
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		K          int
		Alpha      float64
		Vocabulary []string
		P, W       [][]float64
		R          []float64
		Cases      []struct {
			Ops       []string
			Edges     [][2]int32
			Surrogate []float64
		}
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	p := Parameters{Alpha: v.Alpha, R: v.R, W: flat(v.W), P: map[string][]float64{}}
	for i, op := range v.Vocabulary {
		p.P[op] = v.P[i]
	}
	f, err := FromParameters(p)
	if err != nil {
		t.Fatal(err)
	}
	var g schemas.Graphs
	var want [][]float64
	for _, c := range v.Cases {
		var edges []int32
		for _, e := range c.Edges {
			edges = append(edges, e[0], e[1])
		}
		g.Append(symbols(c.Ops), edges)
		want = append(want, c.Surrogate)
	}
	if f.K() != v.K || len(want) == 0 {
		t.Fatalf("%s: k %d and %d cases", name, f.K(), len(want))
	}
	return f, g, want
}

func TestAgainstIndependentVectors(t *testing.T) {
	for _, name := range []string{"nb101", "nb201", "nb301"} {
		f, g, want := vectors(t, name)
		got := make([]float32, g.Len()*f.K())
		f.Surrogates(got, &g)
		for i, w := range want {
			ops, edges := g.Graph(i)
			compare(t, fmt.Sprint(name, " float64 ", i), f.Surrogate64(ops, edges), w, 1e-12)
			compare(t, fmt.Sprint(name, " float32 ", i), wide(got[i*f.K():(i+1)*f.K()]), w, 1e-5)
		}
	}
}

func wide(s []float32) []float64 {
	out := make([]float64, len(s))
	for i, v := range s {
		out[i] = float64(v)
	}
	return out
}

// compare fails when got and want differ by more than tolerance times the
// largest component.
func compare(t testing.TB, what string, got, want []float64, tolerance float64) {
	t.Helper()
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tolerance*largest) {
			t.Errorf("%s: component %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// randomGraph draws a graph with the given numbers of nodes and edges.
func randomGraph(r *rand.Rand, nodes, edges int) ([]schemas.Symbol, []int32) {
	ops := make([]schemas.Symbol, nodes)
	for i := range ops {
		ops[i] = schemas.MustIntern(fmt.Sprintf("flow_test/%d", r.IntN(9)))
	}
	var out []int32
	for range edges {
		if a, b := r.IntN(nodes), r.IntN(nodes); a != b {
			out = append(out, int32(min(a, b)), int32(max(a, b)))
		}
	}
	return ops, out
}

func TestFastPathAgainstOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []int{1, 4, 7, 8, 9, 12, 16, 40} {
		for _, std := range []float64{0.1, 1} {
			f := New(Config{K: k, Std: std, Seed: 3})
			var g schemas.Graphs
			for nodes := 1; nodes < 30; nodes++ {
				g.Append(randomGraph(r, nodes, r.IntN(2*nodes)))
			}
			got := make([]float32, g.Len()*k)
			f.Surrogates(got, &g)
			for i := range g.Len() {
				ops, edges := g.Graph(i)
				compare(t, fmt.Sprintf("k %d std %v graph %d", k, std, i), wide(got[i*k:(i+1)*k]), f.Surrogate64(ops, edges), 1e-5)
			}
		}
	}
}

// A surrogate must be the same in any batch and after any other.
func TestSameBitsInAnyBatch(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var g schemas.Graphs
	for range 50 {
		g.Append(randomGraph(r, 1+r.IntN(20), r.IntN(40)))
	}
	const k = 7
	all := make([]float32, g.Len()*k)
	New(Config{}).Surrogates(all, &g)
	other := New(Config{})
	for i := g.Len() - 1; i >= 0; i-- {
		one := g.Select([]int{i})
		got := make([]float32, k)
		other.Surrogates(got, &one)
		for c := range got {
			if math.Float32bits(got[c]) != math.Float32bits(all[i*k+c]) {
				t.Fatalf("graph %d component %d: alone %v, in a batch %v", i, c, got[c], all[i*k+c])
			}
		}
	}
}

func TestRenumberedNodes(t *testing.T) {
	f := New(Config{K: 12, Std: 1, Seed: 9})
	a := symbols([]string{"x", "y", "z", "o"})
	b := symbols([]string{"y", "x", "z", "o"})
	want := f.Surrogate64(a, []int32{0, 2, 1, 3, 2, 3})
	compare(t, "renumbered", f.Surrogate64(b, []int32{1, 2, 0, 3, 2, 3}), want, 1e-14)
}

// Parameters belong to names: other operations met before change nothing.
func TestParametersBelongToNames(t *testing.T) {
	op := symbols([]string{"flow_test/a", "flow_test/b"})
	edge := []int32{0, 1}
	first, second := New(Config{Seed: 5}), New(Config{Seed: 5})
	var g schemas.Graphs
	g.Append(symbols([]string{"flow_test/c", "flow_test/d"}), edge)
	second.Surrogates(make([]float32, 7), &g)
	compare(t, "after others", second.Surrogate64(op, edge), first.Surrogate64(op, edge), 0)
	if third := New(Config{Seed: 6}); third.Surrogate64(op, edge)[0] == first.Surrogate64(op, edge)[0] {
		t.Error("another seed gives the same surrogate")
	}
	reduce := symbols([]string{"reduce:flow_test/a", "flow_test/b"})
	if first.Surrogate64(reduce, edge)[0] == first.Surrogate64(op, edge)[0] {
		t.Error("an operation of the second cell has the row of the first's")
	}
}

func TestLongGraphsStayFiniteAndLinear(t *testing.T) {
	f := New(Config{Std: 1})
	r := rand.New(rand.NewPCG(6, 6))
	var small, large schemas.Graphs
	for range 8 {
		small.Append(randomGraph(r, 250, 1000))
	}
	large.Append(randomGraph(r, 2000, 8000))
	out := make([]float32, 8*7)
	timed := func(g *schemas.Graphs) time.Duration {
		best := time.Hour
		for range 20 {
			start := time.Now()
			f.Surrogates(out, g)
			best = min(best, time.Since(start))
		}
		return best
	}
	timed(&large) // learns, grows
	one, eight := timed(&large), timed(&small)
	for _, v := range out {
		if math.IsInf(float64(v), 0) || v != v {
			t.Fatalf("surrogate %v", out)
		}
	}
	if one > 4*eight {
		t.Errorf("2000 nodes take %v, eight times 250 nodes %v: not linear", one, eight)
	}
	ops, edges := large.Graph(0)
	f.Surrogates(out, &large)
	compare(t, "2000 nodes", wide(out[:7]), f.Surrogate64(ops, edges), 1e-3)
}

func TestNoAllocation(t *testing.T) {
	f, g, _ := vectors(t, "nb301")
	out := make([]float32, g.Len()*f.K())
	if n := testing.AllocsPerRun(100, func() { f.Surrogates(out, &g) }); n > 0.1 {
		t.Errorf("%v allocations a batch", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	f := New(Config{Seed: 8})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 50 {
				var g schemas.Graphs
				g.Append(randomGraph(r, 10, 20))
				got := make([]float32, 7)
				f.Surrogates(got, &g)
				ops, edges := g.Graph(0)
				compare(t, "concurrent", wide(got), f.Surrogate64(ops, edges), 1e-5)
			}
		}()
	}
	group.Wait()
}

func TestFromParametersRefusesWrongLengths(t *testing.T) {
	for _, p := range []Parameters{
		{},
		{R: []float64{1}, W: []float64{1}},
		{R: []float64{1}, W: []float64{1, 2}, P: map[string][]float64{"a": {1, 2}}},
	} {
		if _, err := FromParameters(p); err == nil {
			t.Errorf("accepted %v", p)
		}
	}
}

func BenchmarkSurrogates(b *testing.B) {
	f := New(Config{})
	r := rand.New(rand.NewPCG(7, 7))
	names := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	edges := []int32{0, 1, 0, 2, 0, 4, 1, 3, 1, 5, 2, 6, 3, 6, 4, 7, 5, 7, 6, 7}
	var g schemas.Graphs
	for range 1024 {
		ops := []string{"input"}
		for range 6 {
			ops = append(ops, names[r.IntN(len(names))])
		}
		g.Append(symbols(append(ops, "output")), edges)
	}
	out := make([]float32, g.Len()*f.K())
	b.ReportAllocs()
	for b.Loop() {
		f.Surrogates(out, &g)
	}
	b.ReportMetric(float64(b.N)*float64(g.Len())/b.Elapsed().Seconds(), "architectures/s")
}
