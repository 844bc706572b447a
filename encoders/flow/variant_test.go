package flow

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"archflow/schemas"
)

// variants returns every choice on its own, and some together.
func variants() []Variant {
	all := []Variant{{}, {Rounds: 2, Gather: "mean", Pool: "mean", Scale: "state"}, {Rounds: 3, Direction: "forward", Pool: "max"}, {Rounds: 2, Direction: "backward", Pool: "last"}}
	for rounds := 2; rounds <= MaxRounds; rounds++ {
		all = append(all, Variant{Rounds: rounds})
	}
	for _, d := range Directions[1:] {
		all = append(all, Variant{Direction: d})
	}
	for _, how := range Gathers[1:] {
		all = append(all, Variant{Gather: how})
	}
	for _, p := range Pools[1:] {
		all = append(all, Variant{Pool: p})
	}
	for _, s := range Scales[1:] {
		all = append(all, Variant{Scale: s})
	}
	return all
}

// A diamond of one dimension, worked out by hand.
func TestVariantsOnADiamond(t *testing.T) {
	f, err := FromParameters(Parameters{Alpha: .5, R: []float64{.5}, W: []float64{1, .5},
		P: map[string][]float64{"v/a": {1}, "v/b": {2}, "v/c": {-1}, "v/d": {.5}}})
	if err != nil {
		t.Fatal(err)
	}
	ops, edges := symbols([]string{"v/a", "v/b", "v/c", "v/d"}), []int32{0, 1, 0, 2, 1, 3, 2, 3}
	var g schemas.Graphs
	g.Append(ops, edges)
	step := func(h, m float64) float64 { return .5*m + .5*max(h+.5*m, 0) }
	const a, b, c, d, r = 1, 2, -1, .5, .5
	forward := func(start float64) [4]float64 {
		f1, f2 := step(b, start), step(c, start)
		return [4]float64{start, f1, f2, step(d, f1+f2)}
	}
	backward := func(end float64) [4]float64 {
		b1, b2 := step(b, end), step(c, end)
		return [4]float64{step(a, b1+b2), b1, b2, end}
	}
	f1, b1 := forward(r), backward(r)
	both := backward(f1[3])
	twice := backward(forward(both[0])[3])
	f1mean, f1max := step(d, (f1[1]+f1[2])/2), step(d, max(f1[1], f1[2]))
	half := 1 / math.Sqrt2
	degree := func(start, near, far float64) float64 {
		return step(near, step(b, half*start)*half+step(c, half*start)*half)
	}
	query := 2.
	unit := math.Sqrt((f1[0]*f1[0] + f1[1]*f1[1] + f1[2]*f1[2] + f1[3]*f1[3]) / 4)
	weighted, weights := 0., 0.
	for _, s := range f1 {
		w := math.Exp(query * s / unit)
		weighted, weights = weighted+w*s, weights+w
	}
	pair := math.Sqrt((f1[1]*f1[1] + f1[2]*f1[2]) / 2)
	for _, test := range []struct {
		v    Variant
		want float64
	}{
		{Variant{}, both[0]},
		{Variant{Rounds: 2}, twice[0]},
		{Variant{Direction: "forward"}, f1[3]},
		{Variant{Direction: "forward", Rounds: 2}, forward(f1[3])[3]},
		{Variant{Direction: "backward"}, b1[0]},
		{Variant{Direction: "backward", Pool: "last"}, r},
		{Variant{Pool: "last"}, f1[3]},
		{Variant{Pool: "sum"}, both[0] + both[1] + both[2] + both[3]},
		{Variant{Pool: "mean"}, (both[0] + both[1] + both[2] + both[3]) / 4},
		{Variant{Pool: "max"}, max(both[0], both[1], both[2], both[3])},
		{Variant{Pool: "attention", Direction: "forward"}, weighted / weights},
		{Variant{Gather: "mean", Direction: "forward"}, f1mean},
		{Variant{Gather: "max", Direction: "forward"}, f1max},
		{Variant{Gather: "degree", Direction: "forward"}, degree(r, d, d)},
		{Variant{Scale: "state", Direction: "forward", Pool: "sum"}, r + 3},
		{Variant{Scale: "generation", Direction: "forward"}, 1},
		{Variant{Scale: "generation", Direction: "forward", Pool: "sum"}, r + (f1[1]+f1[2])/pair + 1},
		{Variant{Scale: "log"}, math.Asinh(both[0])},
	} {
		if err := test.v.Validate(); err != nil {
			t.Fatal(err)
		}
		got := make([]float64, 1)
		f.surrogate64(got, test.v.withDefaults(), []float64{query}, f.operations(&g, 0), edges)
		if math.Abs(got[0]-test.want) > 1e-12 {
			t.Errorf("%+v: %v, by hand %v", test.v, got[0], test.want)
		}
	}
}

func TestPublishedVariantIsTheOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 2))
	for _, k := range []int{1, 7, 256} {
		f := New(Config{K: k, Seed: 4})
		for range 20 {
			ops, edges := randomGraph(r, 1+r.IntN(20), r.IntN(40))
			got := make([]float64, k)
			var g schemas.Graphs
			g.Append(ops, edges)
			f.surrogate64(got, Variant{}.withDefaults(), nil, f.operations(&g, 0), edges)
			compare(t, fmt.Sprint("k ", k), got, f.Surrogate64(ops, edges), 1e-12)
		}
	}
}

func TestVariantsOfRenumberedNodes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, v := range variants() {
		d := NewDraws(Config{K: 5, Std: 1, Seed: 3}, v, 2)
		for range 10 {
			ops, edges := randomGraph(r, 12, 20)
			otherOps, otherEdges := renumbered(r, ops, edges)
			var g schemas.Graphs
			g.Append(ops, edges)
			g.Append(otherOps, otherEdges)
			got := make([]float32, 2*d.K())
			d.Surrogates(got, &g)
			compare(t, fmt.Sprintf("%+v", v), wide(got[d.K():]), wide(got[:d.K()]), 1e-5)
		}
	}
}

// renumbered gives the nodes other numbers that are topological too.
func renumbered(r *rand.Rand, ops []schemas.Symbol, edges []int32) ([]schemas.Symbol, []int32) {
	n := len(ops)
	waits, place := make([]int, n), make([]int32, n)
	for e := 1; e < len(edges); e += 2 {
		waits[edges[e]]++
	}
	var ready []int
	for i, w := range waits {
		if w == 0 {
			ready = append(ready, i)
		}
	}
	out := make([]schemas.Symbol, 0, n)
	for len(ready) > 0 {
		at := r.IntN(len(ready))
		i := ready[at]
		ready = append(ready[:at], ready[at+1:]...)
		place[i] = int32(len(out))
		out = append(out, ops[i])
		for e := 0; e < len(edges); e += 2 {
			if edges[e] == int32(i) {
				if waits[edges[e+1]]--; waits[edges[e+1]] == 0 {
					ready = append(ready, int(edges[e+1]))
				}
			}
		}
	}
	moved := make([]int32, len(edges))
	for e, p := range r.Perm(len(edges) / 2) {
		moved[2*e], moved[2*e+1] = place[edges[2*p]], place[edges[2*p+1]]
	}
	return out, moved
}

// The first of several draws is the one that is alone, and the others differ.
func TestDrawsSideBySide(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	var g schemas.Graphs
	for range 9 {
		g.Append(randomGraph(r, 8, 12))
	}
	for _, v := range []Variant{{}, {Gather: "mean"}} {
		const k = 4
		one, three := NewDraws(Config{K: k, Seed: 2}, v, 1), NewDraws(Config{K: k, Seed: 2}, v, 3)
		if one.K() != k || three.K() != 3*k {
			t.Fatalf("lengths %d and %d", one.K(), three.K())
		}
		a, b := make([]float32, g.Len()*k), make([]float32, g.Len()*3*k)
		one.Surrogates(a, &g)
		three.Surrogates(b, &g)
		for i := range g.Len() {
			row := b[i*3*k:][:3*k]
			compare(t, "first draw", wide(row[:k]), wide(a[i*k:][:k]), 0)
			if row[0] == row[k] || row[k] == row[2*k] {
				t.Errorf("graph %d: two draws give %v", i, row)
			}
		}
	}
}

func TestVariantValidate(t *testing.T) {
	for _, v := range []Variant{{Rounds: 6}, {Rounds: -1}, {Gather: "median"}, {Pool: "min"}, {Direction: "up"}, {Scale: "root"}} {
		if v.Validate() == nil {
			t.Errorf("%+v passes", v)
		}
	}
	for _, v := range variants() {
		if err := v.Validate(); err != nil {
			t.Error(err)
		}
	}
}
