package teacher

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"archflow/schemas"
)

func number(node int32, name string, v float64) schemas.Attribute {
	return schemas.Attribute{Node: node, Name: schemas.MustIntern(name), Text: schemas.NoSymbol, Number: v}
}

func text(node int32, name, v string) schemas.Attribute {
	return schemas.Attribute{Node: node, Name: schemas.MustIntern(name), Kind: schemas.TextKind, Text: schemas.MustIntern(v)}
}

// sized returns n networks of blocks with a width and a kernel each, two
// branches of them, a resolution for the whole, and values that depend on all.
// With noise, each block and each network has a number that means nothing.
func sized(n int, noise bool, seed uint64) (*Data, []float64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	other := rand.New(rand.NewPCG(seed, 1))
	d, y := &Data{}, make([]float64, n)
	for i := range n {
		resolution := float64(96 + 32*rng.IntN(5))
		x := schemas.Graph{Ops: []schemas.Symbol{schemas.MustIntern("input")}}
		if noise {
			x.Attributes = append(x.Attributes, number(schemas.WholeGraph, "noise", other.Float64()))
		}
		x.Attributes = append(x.Attributes, number(schemas.WholeGraph, "resolution", resolution))
		var ends []int32
		for range 2 {
			last := int32(0)
			for range 1 + rng.IntN(4) {
				node := int32(len(x.Ops))
				width, kernel := float64(int(16)<<rng.IntN(4)), float64(1+2*rng.IntN(3))
				x.Ops = append(x.Ops, schemas.MustIntern("block"))
				x.Attributes = append(x.Attributes, number(node, "kernel", kernel))
				if noise {
					x.Attributes = append(x.Attributes, number(node, "noise", float64(other.IntN(5))))
				}
				x.Attributes = append(x.Attributes, number(node, "width", width))
				x.Edges = append(x.Edges, last, node)
				y[i] += math.Log(width) * (1 + 0.2*kernel)
				last = node
			}
			ends = append(ends, last)
		}
		out := int32(len(x.Ops))
		x.Ops = append(x.Ops, schemas.MustIntern("output"))
		x.Edges = append(x.Edges, ends[0], out, ends[1], out)
		y[i] = math.Sqrt(y[i]) + 0.004*resolution
		d.Networks.Add(x)
	}
	return d, y
}

func tauOf(t *testing.T, d *Data, y []float64, labels int) float64 {
	t.Helper()
	r, err := fitOnce(context.Background(), d, all(labels), y[:labels], Options{})
	if err != nil {
		t.Fatal(err)
	}
	return tau(y[labels:], r.Score[labels:])
}

func TestAttributesAreLearnt(t *testing.T) {
	d, y := sized(400, false, 1)
	clean := tauOf(t, d, y, 50)
	if clean < 0.88 {
		t.Errorf("tau %.3f, want at least 0.88", clean)
	}
	noisy, _ := sized(400, true, 1)
	if got := tauOf(t, noisy, y, 50); got < clean-0.03 {
		t.Errorf("tau %.3f with attributes that are noise, %.3f without", got, clean)
	}
}

// A dump of a training's configuration has many numbers that never change and many
// that mean nothing.
func TestManyAttributesAreLearntFrom(t *testing.T) {
	d, y := sized(400, false, 1)
	clean := tauOf(t, d, y, 50)
	rng := rand.New(rand.NewPCG(9, 9))
	var many Data
	for i := range d.Networks.Len() {
		x := d.Networks.At(i)
		var whole []schemas.Attribute
		for k := range 70 {
			whole = append(whole, number(schemas.WholeGraph, fmt.Sprintf("constant%d", k), 7))
		}
		for k := range 30 {
			whole = append(whole, number(schemas.WholeGraph, fmt.Sprintf("noise%d", k), float64(rng.IntN(3))))
		}
		x.Attributes = append(whole, x.Attributes...)
		many.Networks.Add(x)
	}
	if got := tauOf(t, &many, y, 50); got < clean-0.05 {
		t.Errorf("tau %.3f among a hundred attributes that say nothing, %.3f without", got, clean)
	}
}

// Each attribute counts as far as evidence is sure of it.
func TestRelevanceOfAttributes(t *testing.T) {
	const strong, weak, noise = 0, 1, 2
	gain := map[int]float64{strong: 9, weak: 0.5, noise: -1}
	every := bitOf(strong).or(bitOf(weak)).or(bitOf(noise))
	evidence := func(dropped bitset) (e float64) {
		for a, g := range gain {
			if !dropped.meets(bitOf(a)) {
				e += g
			}
		}
		return e
	}
	for _, averaged := range []bool{false, true} {
		share := relevance(every, averaged, evidence)
		if share[strong] < 0.99 || share[weak] < 0.6 || share[weak] > 0.65 || share[noise] < 0.25 || share[noise] > 0.3 {
			t.Errorf("averaged %v: shares %v", averaged, share)
		}
	}
	// Either of two that say the same would do, and evidence is a little for one.
	twins := func(dropped bitset) float64 {
		first, second := !dropped.meets(bitOf(strong)), !dropped.meets(bitOf(weak))
		switch {
		case first && second:
			return 5
		case first:
			return 9
		case second:
			return 8.8
		}
		return 0
	}
	if share := relevance(bitOf(strong).or(bitOf(weak)), true, twins); share[strong] > 0.65 || share[weak] < 0.35 {
		t.Errorf("one of two: shares %v", share)
	}
}

// hyperparameters returns n networks that differ by hyperparameters alone.
func hyperparameters(n int) (*Data, []float64) {
	rng := rand.New(rand.NewPCG(5, 0))
	d, y := &Data{}, make([]float64, n)
	for i := range n {
		x := schemas.Graph{Ops: []schemas.Symbol{schemas.MustIntern("hyperparameters")}}
		act, norm := []string{"gelu", "relu", "silu"}[rng.IntN(3)], rng.IntN(2)
		x.Attributes = append(x.Attributes, text(schemas.WholeGraph, "act", act))
		heads := 0.0
		for p := range 2 + rng.IntN(3) {
			h := float64(1 + rng.IntN(8))
			heads += h
			x.Attributes = append(x.Attributes, number(schemas.WholeGraph, "heads."+string(rune('0'+p)), h))
		}
		rate := math.Exp(-9 + 5*rng.Float64())
		pre := number(schemas.WholeGraph, "pre_norm", float64(norm))
		pre.Kind = schemas.BooleanKind
		x.Attributes = append(x.Attributes, number(schemas.WholeGraph, "learning_rate", rate), pre)
		y[i] = 0.1*heads - math.Pow(math.Log(rate)+6.5, 2) + float64(norm)
		if act == "relu" {
			y[i]--
		}
		d.Networks.Add(x)
	}
	return d, y
}

func TestHyperparametersAloneAreLearnt(t *testing.T) {
	d, y := hyperparameters(300)
	if got := tauOf(t, d, y, 50); got < 0.75 {
		t.Errorf("tau %.3f, want at least 0.75", got)
	}
}

func TestTraitsOfListsAndTexts(t *testing.T) {
	d, _ := hyperparameters(40)
	r := newTraits(&d.Networks)
	if r.names != 4 { // act, heads, learning_rate, pre_norm
		t.Errorf("%d names, want 4", r.names)
	}
	if len(r.whole.columns) != 3+4+1+1 || len(r.lists.columns) != 1 || len(r.nodes.columns) != 0 {
		t.Fatalf("%d columns of graphs, %d of lists, %d of nodes", len(r.whole.columns), len(r.lists.columns), len(r.nodes.columns))
	}
	for i := range d.Networks.Len() {
		var want []float64
		for _, a := range d.Networks.AttributesOf(i) {
			if name := schemas.Name(a.Name); len(name) == 7 && name[:6] == "heads." {
				want = append(want, a.Number)
			}
		}
		got := r.lists.columns[0].values[r.lists.start[i]:r.lists.start[i+1]]
		if !slices.Equal(got, want) {
			t.Errorf("list of graph %d is %v, want %v", i, got, want)
		}
	}
	rate := r.whole.columns[7]
	if math.Abs(rate.scaled[0]-math.Log(rate.values[0])) > 1e-12 {
		t.Error("a learning rate over two decades is not on a logarithmic scale")
	}
}

// What stands behind a dot in a name may be the place in a list or anything else, and
// names beyond those that have columns write into no other's.
func TestTraitsOfNumberedNames(t *testing.T) {
	var g schemas.Graphs
	for i := range 20 {
		x := schemas.Graph{Ops: []schemas.Symbol{schemas.MustIntern("a")}}
		for k := range 3 {
			x.Attributes = append(x.Attributes, number(schemas.WholeGraph, fmt.Sprintf("heads.%d", k), float64(i+k)))
		}
		x.Attributes = append(x.Attributes, number(schemas.WholeGraph, fmt.Sprintf("run.%d", math.MaxInt), float64(i)), number(schemas.WholeGraph, "run.20240612", 1))
		for k := range maxTraits {
			x.Attributes = append(x.Attributes, number(schemas.WholeGraph, fmt.Sprintf("z%d", k), 7))
		}
		g.Add(x)
	}
	r := newTraits(&g)
	if len(r.lists.columns) != 1 || len(r.lists.depth) != 3*20 {
		t.Fatalf("%d lists with %d places", len(r.lists.columns), len(r.lists.depth))
	}
	if r.names != maxTraits {
		t.Errorf("%d names have columns, want %d", r.names, maxTraits)
	}
	for i := range 20 {
		if got := r.whole.columns[0].values[i]; got != float64(i) { // heads.0
			t.Errorf("the first attribute of graph %d is %v, want %d", i, got, i)
		}
	}
}

func TestAttributeFeaturesIgnoreNumbering(t *testing.T) {
	d, _ := sized(60, false, 2)
	rng := rand.New(rand.NewPCG(1, 2))
	var e Data
	for i := range d.Networks.Len() {
		x := d.Networks.At(i)
		// Branches interleaved at random: any order that is topological.
		place := make([]int32, len(x.Ops))
		ready, order := []int32{0}, []int32(nil)
		into := make([]int, len(x.Ops))
		for k := 1; k < len(x.Edges); k += 2 {
			into[x.Edges[k]]++
		}
		for len(ready) > 0 {
			k := rng.IntN(len(ready))
			u := ready[k]
			ready = slices.Delete(ready, k, k+1)
			place[u] = int32(len(order))
			order = append(order, u)
			for k := 0; k < len(x.Edges); k += 2 {
				if x.Edges[k] == u {
					if into[x.Edges[k+1]]--; into[x.Edges[k+1]] == 0 {
						ready = append(ready, x.Edges[k+1])
					}
				}
			}
		}
		var z schemas.Graph
		z.Attributes = slices.Clone(x.Hyperparameters())
		for _, u := range order {
			z.Ops = append(z.Ops, x.Ops[u])
			for _, a := range x.OfNodes() {
				if a.Node == u {
					a.Node = place[u]
					z.Attributes = append(z.Attributes, a)
				}
			}
		}
		for k := 0; k < len(x.Edges); k += 2 {
			z.Edges = append(z.Edges, place[x.Edges[k]], place[x.Edges[k+1]])
		}
		e.Networks.Add(z)
	}
	a, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewFeatures(context.Background(), &e)
	if err != nil {
		t.Fatal(err)
	}
	for v := range a.views {
		for k, x := range a.views[v].blocks {
			y := b.views[v].blocks[k]
			if x.name != y.name || !slices.Equal(x.uses, y.uses) {
				t.Fatalf("block %s became %s", x.name, y.name)
			}
			for i := range x.values {
				if math.Abs(float64(x.values[i]-y.values[i])) > 1e-4 {
					t.Fatalf("%s: column %d of network %d was %g and is %g", x.name, i%x.width, i/x.width, x.values[i], y.values[i])
				}
			}
		}
	}
}

func TestPlaceInAChainCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 0))
	ops := []string{"skip", "small", "large"}
	effect := [8][3]float64{}
	for p := range effect {
		for k := range ops {
			effect[p][k] = rng.NormFloat64()
		}
	}
	d, y := &Data{}, make([]float64, 600)
	for i := range y {
		names, edges := []schemas.Symbol{schemas.MustIntern("input")}, []int32(nil)
		for p := range effect {
			k := rng.IntN(len(ops))
			y[i] += effect[p][k]
			names = append(names, schemas.MustIntern(ops[k]))
			edges = append(edges, int32(p), int32(p+1))
		}
		d.Networks.Append(append(names, schemas.MustIntern("output")), append(edges, 8, 9))
	}
	if got := tauOf(t, d, y, 100); got < 0.85 {
		t.Errorf("tau %.3f on strings whose places count, want at least 0.85", got)
	}
}

func TestNetworksThatDifferByNoiseShareProxies(t *testing.T) {
	const copies = 3
	d, y := space(200, []string{"a", "b", "c"}, 6)
	same := classes(&d.Networks)
	rng := rand.New(rand.NewPCG(6, 6))
	clean, noisy := &Data{}, &Data{}
	var given, missing, truth []float64
	for c := range same.count {
		i := slices.Index(same.class, c)
		own := 2 * rng.NormFloat64() // in the proxy alone
		for c := range copies {
			x := d.Networks.At(i)
			clean.Networks.Add(x)
			for node := 1; node < len(x.Ops)-1; node++ {
				x.Attributes = append(x.Attributes, number(int32(node), "noise", rng.Float64()))
			}
			noisy.Networks.Add(x)
			given, truth = append(given, own), append(truth, y[i]+own)
			if missing = append(missing, own); c > 0 {
				missing[len(missing)-1] = math.NaN()
			}
		}
	}
	clean.Proxies, noisy.Proxies = []Proxy{{"own", given}}, []Proxy{{"own", missing}}
	order := rng.Perm(len(truth))
	labelled, rest := order[:60], order[60:]
	of := func(d *Data) float64 {
		r, err := fitOnce(context.Background(), d, labelled, pick(truth, labelled), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return tau(pick(truth, rest), pick(r.Score, rest))
	}
	if got, want := of(noisy), of(clean); got < want-0.02 {
		t.Errorf("tau %.3f where equal networks have a number each that is noise, %.3f without", got, want)
	}
}
