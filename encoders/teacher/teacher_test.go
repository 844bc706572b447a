package teacher

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"archflow/schemas"
)

// space returns n random cells of the operations, with a proxy that counts the
// first operation, and values that a good ranking should find.
func space(n int, ops []string, seed uint64) (*Data, []float64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	d := &Data{}
	y := make([]float64, n)
	proxy := make([]float64, n)
	for i := range n {
		inner := 2 + rng.IntN(4)
		names := []schemas.Symbol{schemas.MustIntern("begin")}
		depth := []float64{0}
		var edges []int32
		used := make([]bool, inner+1)
		for t := 1; t <= inner; t++ {
			k := rng.IntN(len(ops))
			names = append(names, schemas.MustIntern(ops[k]))
			depth = append(depth, 0)
			for u := range t {
				if u == t-1 || rng.IntN(3) == 0 {
					edges = append(edges, int32(u), int32(t))
					used[u] = true
					depth[t] = max(depth[t], depth[u]+1)
				}
			}
			if k == 0 {
				proxy[i]++
			}
			y[i] += float64(k) / float64(len(ops))
		}
		names = append(names, schemas.MustIntern("end"))
		edges = append(edges, int32(inner), int32(inner+1))
		y[i] += depth[inner] - 0.3*proxy[i]
		d.Networks.Append(names, edges)
	}
	d.Proxies = []Proxy{{"first", proxy}}
	return d, y
}

func TestRankingIsLearntAndHonest(t *testing.T) {
	d, y := space(400, []string{"a", "b", "c"}, 1)
	r, err := fitOnce(context.Background(), d, all(60), y[:60], Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := tau(y[60:], r.Score[60:])
	if got < 0.8 {
		t.Errorf("tau %.3f on unseen networks, want at least 0.8", got)
	}
	if held := tau(y[:60], r.OutOfFold); math.Abs(held-got) > 0.12 {
		t.Errorf("held-out tau %.3f against %.3f on unseen networks", held, got)
	}
}

func TestSameArgumentsSameBits(t *testing.T) {
	d, y := space(120, []string{"a", "b", "c"}, 2)
	f, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.Fit(context.Background(), all(30), y[:30], Options{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	b, err := fitOnce(context.Background(), d, all(30), y[:30], Options{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Score, b.Score) || !slices.Equal(a.OutOfFold, b.OutOfFold) {
		t.Error("two fits with the same arguments differ")
	}
	c, err := f.Fit(context.Background(), all(30), y[:30], Options{Seed: 8})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(a.Score, c.Score) {
		t.Error("the seed changes nothing")
	}
}

// renumber returns the graphs with their nodes in another topological order.
func renumber(g *schemas.Graphs, rng *rand.Rand) schemas.Graphs {
	var out schemas.Graphs
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		waiting := make([]int, len(ops))
		for e := 1; e < len(edges); e += 2 {
			waiting[edges[e]]++
		}
		number := make([]int32, len(ops))
		var names []schemas.Symbol
		done := make([]bool, len(ops))
		for range ops {
			var ready []int
			for t := range ops {
				if !done[t] && waiting[t] == 0 {
					ready = append(ready, t)
				}
			}
			t := ready[rng.IntN(len(ready))]
			done[t] = true
			number[t] = int32(len(names))
			names = append(names, ops[t])
			for e := 0; e < len(edges); e += 2 {
				if int(edges[e]) == t {
					waiting[edges[e+1]]--
				}
			}
		}
		type edge struct{ from, to int32 }
		var moved []edge
		for e := 0; e < len(edges); e += 2 {
			moved = append(moved, edge{number[edges[e]], number[edges[e+1]]})
		}
		rng.Shuffle(len(moved), func(i, j int) { moved[i], moved[j] = moved[j], moved[i] })
		var flat []int32
		for _, e := range moved {
			flat = append(flat, e.from, e.to)
		}
		out.Append(names, flat)
	}
	return out
}

func TestFeaturesIgnoreNumbering(t *testing.T) {
	d, _ := space(80, []string{"a", "b", "c", "d", "e", "f"}, 3)
	e := *d
	e.Networks = renumber(&d.Networks, rand.New(rand.NewPCG(1, 1)))
	a, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewFeatures(context.Background(), &e)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.views) != len(b.views) {
		t.Fatal("other views after renumbering")
	}
	for v := range a.views {
		for k, x := range a.views[v].blocks {
			y := b.views[v].blocks[k]
			if x.name != y.name || x.width != y.width {
				t.Fatalf("block %s [%d] became %s [%d]", x.name, x.width, y.name, y.width)
			}
			for i := range x.values {
				if math.Abs(float64(x.values[i]-y.values[i])) > 1e-4 {
					t.Fatalf("%s: column %d of network %d was %g and is %g", x.name, i%x.width, i/x.width, x.values[i], y.values[i])
				}
			}
		}
	}
	ca := classes(&d.Networks).class
	cb := classes(&e.Networks).class
	if !slices.Equal(ca, cb) {
		t.Error("classes change with the numbering of nodes")
	}
}

func TestContractionFindsTheIdentity(t *testing.T) {
	d, _ := space(600, []string{"a", "b", "pass"}, 4)
	g, _ := contract(&d.Networks, schemas.MustIntern("pass"))
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		if slices.Contains(ops, schemas.MustIntern("pass")) {
			t.Fatal("a contracted operation is still there")
		}
		for e := 0; e < len(edges); e += 2 {
			if edges[e] >= edges[e+1] {
				t.Fatal("a contracted graph is not in topological order")
			}
		}
	}
	found := classes(&g)
	class, count := found.class, found.count
	if count == g.Len() {
		t.Fatal("no two networks became the same")
	}
	rng := rand.New(rand.NewPCG(5, 5))
	value := make([]float64, count)
	for i := range value {
		value[i] = rng.NormFloat64()
	}
	exact, noisy := make([]float64, len(class)), make([]float64, len(class))
	for i, c := range class {
		exact[i], noisy[i] = value[c], value[c]+0.05*rng.NormFloat64()
	}
	d.Proxies = []Proxy{{"exact", exact}, {"noisy", noisy}}
	if op, ok := identity(d); !ok || schemas.Name(op) != "pass" {
		t.Errorf("identity is %q, %v; want pass", schemas.Name(op), ok)
	}
	for i := range noisy {
		exact[i] = rng.NormFloat64()
	}
	d.Proxies = d.Proxies[:1]
	if op, ok := identity(d); ok {
		t.Errorf("noise makes %q an identity", schemas.Name(op))
	}
}

func TestAnyLabels(t *testing.T) {
	d, y := space(60, []string{"a", "b"}, 6)
	for _, c := range []struct {
		name string
		y    []float64
	}{
		{"five", y[:5]},
		{"constant", []float64{3, 3, 3, 3, 3, 3}},
		{"all but one the same", []float64{3, 3, 3, 3, 3, 4}},
		{"all but one at the top", []float64{3, 3, 3, 3, 3, -4}},
		{"huge", []float64{1e30, 2e30, -1e30, 4e30, 0, 1}},
	} {
		r, err := fitOnce(context.Background(), d, all(len(c.y)), c.y, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, v := range append(slices.Clone(r.Score), r.OutOfFold...) {
			if v != v || math.IsInf(v, 0) {
				t.Errorf("%s: score %d is %g", c.name, i, v)
				break
			}
		}
	}
	if _, err := fitOnce(context.Background(), d, all(4), y[:4], Options{}); err == nil {
		t.Error("four labels are taken")
	}
	if _, err := fitOnce(context.Background(), d, []int{0, 1, 2, 3, 60}, y[:5], Options{}); err == nil {
		t.Error("a label of no network is taken")
	}
}

func TestAnySpace(t *testing.T) {
	nan := make([]float64, 40)
	for i := range nan {
		nan[i] = math.NaN()
	}
	for _, ops := range [][]string{{"only"}, {"a", "b"}, {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"}} {
		d, y := space(40, ops, 7)
		d.Proxies = append(d.Proxies, Proxy{"missing", nan})
		d.Proxies[0].Values[3] = math.NaN()
		d.Proxies[0].Values[5] = math.Inf(1)
		d.Proxies[0].Values[6] = -1e300
		d.Networks.Append([]schemas.Symbol{schemas.MustIntern("begin"), schemas.MustIntern("end")}, nil)
		d.Networks.Append(nil, nil)
		for i := range d.Proxies {
			d.Proxies[i].Values = append(slices.Clone(d.Proxies[i].Values), math.NaN(), 1)
		}
		r, err := fitOnce(context.Background(), d, all(20), y[:20], Options{})
		if err != nil {
			t.Fatalf("%d operations: %v", len(ops), err)
		}
		for i, v := range r.Score {
			if v != v || math.IsInf(v, 0) {
				t.Errorf("%d operations: score of network %d is %g", len(ops), i, v)
			}
		}
	}
}

func TestWrongShapesAreRefused(t *testing.T) {
	d, _ := space(10, []string{"a"}, 8)
	for _, bad := range []Data{
		{Networks: d.Networks, Proxies: []Proxy{{"short", make([]float64, 9)}}},
		{Networks: d.Networks, Width: 2, Embedding: make([]float32, 10)},
		{Networks: d.Networks, Width: 1, Embedding: append(make([]float32, 9), float32(math.NaN()))},
	} {
		if _, err := NewFeatures(context.Background(), &bad); err == nil {
			t.Error("data of the wrong shape are taken")
		}
	}
}

func TestCancelledFitStops(t *testing.T) {
	d, y := space(30, []string{"a", "b"}, 9)
	f, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewFeatures(ctx, d); !errors.Is(err, context.Canceled) {
		t.Errorf("features: %v", err)
	}
	if _, err := f.Fit(ctx, all(20), y[:20], Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("fit: %v", err)
	}
}

func ExampleFeatures_Fit() {
	d := &Data{}
	begin, op, end := schemas.MustIntern("begin"), schemas.MustIntern("step"), schemas.MustIntern("end")
	var y []float64
	for length := range 8 { // chains; the longer the better
		ops, edges := []schemas.Symbol{begin}, []int32{}
		for t := range length {
			ops, edges = append(ops, op), append(edges, int32(t), int32(t+1))
		}
		d.Networks.Append(append(ops, end), append(edges, int32(length), int32(length+1)))
		y = append(y, float64(length))
	}
	features, err := NewFeatures(context.Background(), d)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := features.Fit(context.Background(), []int{0, 1, 3, 5, 7}, []float64{y[0], y[1], y[3], y[5], y[7]}, Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Score[6] > r.Score[2])
	// Output: true
}

// Labels that differ little for their size, or are too large or too small to be
// squared, are ranked like the same labels in a common unit.
func TestLabelsOfAnySize(t *testing.T) {
	d, y := space(200, []string{"a", "b", "c"}, 5)
	features, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	fit := func(of func(float64) float64) []float64 {
		labels := make([]float64, 40)
		for i := range labels {
			labels[i] = of(y[i])
		}
		r, err := features.Fit(context.Background(), all(40), labels, Options{Subspaces: 4})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range append(slices.Clone(r.Score), r.OutOfFold...) {
			if math.IsNaN(s) || math.IsInf(s, 0) {
				t.Fatalf("score %d is %v", i, s)
			}
		}
		return r.Score
	}
	want := fit(func(v float64) float64 { return v })
	for name, of := range map[string]func(float64) float64{
		"1e9 and a little": func(v float64) float64 { return 1e9 + 1e-4*v },
		"huge":             func(v float64) float64 { return 1e307 * v },
		"tiny":             func(v float64) float64 { return 1e-300 * v },
	} {
		if got := tau(want, fit(of)); !(got > 0.9) {
			t.Errorf("%s: tau %.3f with the ranking of the plain labels", name, got)
		}
	}
}

// fitOnce ranks the networks of d from labels y of the networks labelled.
func fitOnce(ctx context.Context, d *Data, labelled []int, y []float64, o Options) (*Result, error) {
	f, err := NewFeatures(ctx, d)
	if err != nil {
		return nil, err
	}
	return f.Fit(ctx, labelled, y, o)
}
