package encoders

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

var testOperations = []string{"input", "conv", "pool", "skip", "output"}

// randomGraphs returns n graphs of 1 to most nodes.
func randomGraphs(n, most int, seed uint64) *schemas.Graphs {
	rng := rand.New(rand.NewPCG(seed, 1))
	g := &schemas.Graphs{}
	for range n {
		nodes := 1 + rng.IntN(most)
		ops, edges := make([]schemas.Symbol, nodes), []int32{}
		for i := range ops {
			ops[i] = schemas.MustIntern(testOperations[rng.IntN(len(testOperations))])
			for j := range i {
				if rng.IntN(3) == 0 {
					edges = append(edges, int32(j), int32(i))
				}
			}
		}
		g.Append(ops, edges)
	}
	return g
}

// withRandomAttributes returns the graphs with attributes of every kind, and
// some without.
func withRandomAttributes(g *schemas.Graphs, seed uint64) *schemas.Graphs {
	rng := rand.New(rand.NewPCG(seed, 2))
	out := &schemas.Graphs{}
	for i := range g.Len() {
		x := g.At(i)
		if rng.IntN(4) > 0 {
			x.Attributes = []schemas.Attribute{{Node: schemas.WholeGraph, Name: schemas.MustIntern("resolution"), Text: schemas.NoSymbol, Number: float64(32 * (1 + rng.IntN(8)))}}
		}
		for t := range x.Ops {
			if rng.IntN(2) == 0 {
				x.Attributes = append(x.Attributes, schemas.Attribute{Node: int32(t), Name: schemas.MustIntern("act"), Kind: schemas.TextKind, Text: schemas.MustIntern([]string{"gelu", "relu"}[rng.IntN(2)])})
			}
			if rng.IntN(2) == 0 {
				x.Attributes = append(x.Attributes, schemas.Attribute{Node: int32(t), Name: schemas.MustIntern("width"), Text: schemas.NoSymbol, Number: float64(int(8) << rng.IntN(5))})
			}
		}
		out.Add(x)
	}
	return out
}

func allRows(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

var testEncoders = Names

// testTraining is a network of two perceptrons without dropout.
func testTraining(t testing.TB, encoder string, width int) *training {
	t.Helper()
	return testTrainingOf(t, encoder, width, 3)
}

func testTrainingOf(t testing.TB, encoder string, width, layers int) *training {
	t.Helper()
	v, err := NewVocabulary(testOperations...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNetwork(shape{encoder, width, layers, 0, []outputShape{{"flow", 7, 4}, {"proxy", 5, 2}}, nil}, v)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewPCG(7, 8)
	return newTraining(n, n.init(rand.New(random)), random, 1e-3, 1e-2, 0)
}

// testLoss is a smooth function of both outputs, and its gradient.
func testLoss(f *training) float64 {
	loss := 0.
	for o, out := range f.output {
		for i, y := range out {
			a := float64(i%5) - 1.5
			loss += a*float64(y) + float64(y)*float64(y)/2
			f.doutput[o][i] = float32(a) + y
		}
	}
	return loss
}

// TestGradients compares every slot's gradient along random directions with
// finite differences, and a shard's result with that of a whole batch.
func TestGradients(t *testing.T) {
	for _, encoder := range testEncoders {
		t.Run(encoder, func(t *testing.T) {
			layers := 3
			if encoder == "flowerformer" { // it has many weights, and kinks
				layers = 1
			}
			checkGradients(t, testTrainingOf(t, encoder, 12, layers), randomGraphs(2*shardGraphs, 9, 3))
			f := testTrainingOf(t, encoder, 12, layers)
			g := withRandomAttributes(randomGraphs(2*shardGraphs, 9, 3), 5)
			f.learn(g, allRows(g.Len()))
			checkGradients(t, f, g)
		})
	}
}

func checkGradients(t *testing.T, f *training, g *schemas.Graphs) {
	t.Helper()
	rows := allRows(g.Len())
	loss := func() float64 {
		f.forward(g, rows)
		return testLoss(f)
	}
	base := loss()
	if f.active < 2 {
		t.Fatalf("%d shards: the test wants several", f.active)
	}
	weights := append([]float32(nil), f.weights...)
	if !f.backward() {
		t.Fatalf("a gradient of a loss of %v is not finite", base)
	}
	gradient := append([]float32(nil), f.gradient...)
	rng := rand.New(rand.NewPCG(9, 9))
	for _, s := range f.layout.slots {
		if s.off < f.layout.observed {
			continue
		}
		for range 3 {
			direction := make([]float32, s.rows*s.cols)
			want := 0.
			for i := range direction {
				direction[i] = float32(rng.NormFloat64())
				want += float64(direction[i]) * float64(s.in(gradient)[i])
			}
			norm := math.Sqrt(float64(kernels.Dot(direction, direction)))
			at := func(by float64) float64 {
				copy(f.weights, weights)
				kernels.AddScaled(s.in(f.weights), float32(by), direction)
				return loss()
			}
			// A long step meets the kink of a ReLU, a short one drowns in rounding.
			var got float64
			scale := norm * math.Sqrt(float64(kernels.Dot(s.in(gradient), s.in(gradient)))) / math.Sqrt(float64(len(direction)))
			for _, length := range []float64{3e-3, 1e-3, 3e-4} {
				step := length / norm
				got = (8*(at(step)-at(-step)) - (at(2*step) - at(-2*step))) / (12 * step)
				if math.Abs(got-want) <= .02*scale+.02 {
					break
				}
			}
			if math.Abs(got-want) > .02*scale+.02 {
				t.Errorf("%s: finite difference %v, gradient %v (typical %v)", s.name, got, want, scale)
			}
		}
	}
}

// TestRenumbering gives the nodes of every graph another order.
func TestRenumbering(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	g, other := randomGraphs(60, 9, 5), &schemas.Graphs{}
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		other.Append(renumbered(ops, edges, rng))
	}
	for _, encoder := range testEncoders {
		f := testTraining(t, encoder, 16)
		rows := allRows(g.Len())
		f.forward(g, rows)
		want := append([]float32(nil), f.output[0]...)
		f.forward(other, rows)
		for i, y := range f.output[0] {
			if math.Abs(float64(y-want[i])) > 1e-5 {
				t.Fatalf("%s: output %d is %v, renumbered %v", encoder, i, want[i], y)
			}
		}
	}
}

// TestTrainingModeEqualsInference compares both ways forward without dropout.
func TestTrainingModeEqualsInference(t *testing.T) {
	g := randomGraphs(40, 9, 6)
	for _, encoder := range testEncoders {
		f := testTraining(t, encoder, 16)
		if f.layout.observed > 0 {
			continue // it normalises over the batch in training
		}
		f.forward(g, allRows(40))
		var infer inference
		_, got := infer.output(f.network, f.weights, f.table(nil, f.weights), 1, g, allRows(40))
		if fmt.Sprint(got) != fmt.Sprint(f.output[1]) {
			t.Errorf("%s: inference %v, training %v", encoder, got[:4], f.output[1][:4])
		}
	}
}

// TestObservedNorms trains on the same graphs without changing the weights: the running
// statistics approach those of training, and inference gives the same as training.
func TestObservedNorms(t *testing.T) {
	g := randomGraphs(100, 9, 6)
	f := testTraining(t, "flowerformer", 16)
	f.rate, f.decay = 0, 0
	for range 300 {
		f.forward(g, allRows(100))
		f.backward()
	}
	var infer inference
	_, got := infer.output(f.network, f.weights, f.table(nil, f.weights), 1, g, allRows(100))
	for i, y := range f.output[1] {
		if math.Abs(float64(y-got[i])) > .02*(1+math.Abs(float64(y))) {
			t.Fatalf("output %d: inference %v, training %v", i, got[i], y)
		}
	}
}

func TestLossGradients(t *testing.T) {
	scores := []float32{.31, -.2, .9, .25, -1, .63, .1}
	nan := float32(math.NaN())
	targets := []float32{3, 1, 2, 2, nan, 5, 0}
	var r ranking
	losses := map[string]func(d, s []float32) float64{
		"hinge": func(d, s []float32) float64 { return r.hinge(d, s, targets, .5, 1) },
		"pairs": func(d, s []float32) float64 {
			return r.sampled(d, s, targets, .5, 1, 4, rand.New(rand.NewPCG(3, 3)))
		},
		"listmle": func(d, s []float32) float64 { return r.listMLE(d, s, targets, 1) },
		"gauss":   func(d, s []float32) float64 { return r.gauss(d, s, targets, 1) },
		"squares": func(d, s []float32) float64 { return squares(d, s, targets, len(s), 1) },
	}
	for name, loss := range losses {
		d := make([]float32, len(scores))
		if l := loss(d, scores); !(l > 0) {
			t.Errorf("%s: loss %v", name, l)
		}
		for i := range scores {
			const h = 1e-3
			at := func(by float32) float64 {
				s := append([]float32(nil), scores...)
				s[i] += by
				return loss(make([]float32, len(s)), s)
			}
			if got := (at(h) - at(-h)) / (2 * h); math.Abs(got-float64(d[i])) > 2e-3 {
				t.Errorf("%s: score %d: finite difference %v, gradient %v", name, i, got, d[i])
			}
		}
	}
}

// Many random pairs are all of them.
func TestHingeOfRandomPairs(t *testing.T) {
	scores, targets := []float32{.31, -.2, .9, .25, -1, .63, .1}, []float32{3, 1, 2, 2, float32(math.NaN()), 5, 0}
	var r ranking
	every, some := make([]float32, len(scores)), make([]float32, len(scores))
	want := r.hinge(every, scores, targets, .5, 1)
	got := r.sampled(some, scores, targets, .5, 1, 20000, rand.New(rand.NewPCG(3, 4)))
	if math.Abs(got-want) > .01 {
		t.Errorf("loss %v, of all pairs %v", got, want)
	}
	for i := range every {
		if math.Abs(float64(every[i]-some[i])) > .01 {
			t.Errorf("gradient %v, of all pairs %v", some, every)
			break
		}
	}
}

func TestGradientsAreClipped(t *testing.T) {
	f := training{network: &network{}, gradient: []float32{9, 3, 4}, clip: 1}
	f.layout.observed = 1
	if f.shorten(); f.gradient[0] != 9 || math.Abs(float64(f.gradient[1])-.6) > 1e-6 || math.Abs(float64(f.gradient[2])-.8) > 1e-6 {
		t.Errorf("gradient %v, want the running statistics, .6 and .8", f.gradient)
	}
	f.gradient[1], f.gradient[2] = .3, .4
	if f.shorten(); f.gradient[1] != .3 {
		t.Errorf("a short gradient became %v", f.gradient)
	}
}

// TestHingeByPairs counts every pair.
func TestHingeByPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for range 50 {
		n := 2 + rng.IntN(20)
		s, y, d, want := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range s {
			s[i], y[i] = float32(rng.NormFloat64()), float32(rng.IntN(5))
			if rng.IntN(6) == 0 {
				y[i] = float32(math.NaN())
			}
		}
		loss, pairs := 0., 0
		for i := range s {
			for j := range s {
				if y[i] > y[j] {
					pairs++
					if l := .5 - (s[i] - s[j]); l > 0 {
						loss += float64(l)
						want[i]--
						want[j]++
					}
				}
			}
		}
		var r ranking
		got := r.hinge(d, s, y, .5, 1)
		if pairs > 0 {
			loss /= float64(pairs)
		}
		if math.Abs(got-loss) > 1e-5 {
			t.Fatalf("hinge %v, by pairs %v", got, loss)
		}
		for i := range d {
			if pairs > 0 && math.Abs(float64(d[i]-want[i]/float32(pairs))) > 1e-6 {
				t.Fatalf("gradient %v, by pairs %v of %d", d, want, pairs)
			}
		}
	}
}
