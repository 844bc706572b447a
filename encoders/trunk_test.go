package encoders

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"archflow/encoders/metrics"
	"archflow/encoders/safetensors"
	"archflow/schemas"
)

// testTargets returns surrogates [n, 3] and two proxies with gaps that depend on
// the graphs.
func testTargets(g *schemas.Graphs) (flow []float32, proxies [][]float32) {
	proxies = make([][]float32, 2)
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		conv := schemas.MustIntern("conv")
		count := 0
		for _, op := range ops {
			if op == conv {
				count++
			}
		}
		n, c, e := float32(len(ops)), float32(count), float32(len(edges)/2)
		flow = append(flow, n/10, c/n, e/100)
		gap := float32(math.NaN())
		if i%3 == 0 {
			proxies[0], proxies[1] = append(proxies[0], gap), append(proxies[1], c+e)
		} else {
			proxies[0], proxies[1] = append(proxies[0], c/n), append(proxies[1], gap)
		}
	}
	return flow, proxies
}

func testTrunk(t testing.TB, c TrunkConfig) *Trunk {
	t.Helper()
	c.K, c.Proxies = 3, 2
	if c.Width == 0 {
		c.Width, c.Layers = 16, 3
	}
	trunk, err := NewTrunk(c)
	if err != nil {
		t.Fatal(err)
	}
	return trunk
}

func pretrain(trunk *Trunk, g *schemas.Graphs, steps int, seed uint64) (losses []Losses) {
	flow, proxies := testTargets(g)
	rng := rand.New(rand.NewPCG(seed, seed))
	for range steps {
		losses = append(losses, trunk.Step(g, rng.Perm(g.Len())[:128], flow, proxies))
	}
	return losses
}

func TestPretrainingLearns(t *testing.T) {
	g := randomGraphs(400, 9, 11)
	for _, c := range []TrunkConfig{{}, {ProxyLoss: "gauss"}, {Encoder: "gin"}, {RawFlow: true},
		{Encoder: "flowerformer"}, {Encoder: "digcn"}, {Encoder: "mlp"}, {Encoder: "transformer"}} {
		losses := pretrain(testTrunk(t, c), g, 150, 1)
		first, last := losses[0], losses[len(losses)-1]
		if !(last.Flow < .5*first.Flow) || !(last.Proxy < .7*first.Proxy) {
			t.Errorf("%+v: losses %+v to %+v", c, first, last)
		}
	}
}

// TestCoresDoNotMatter asks for the same bits from 1, 3 and 8 goroutines.
func TestCoresDoNotMatter(t *testing.T) {
	g := randomGraphs(300, 9, 11)
	for _, encoder := range testEncoders {
		var want string
		for _, cores := range []int{1, 3, 8} {
			trunk := testTrunk(t, TrunkConfig{Encoder: encoder, Cores: cores})
			losses := pretrain(trunk, g, 5, 2)
			got := fmt.Sprint(losses, trunk.training.weights)
			if want == "" {
				want = got
			} else if got != want {
				t.Errorf("%s: %d cores end with other bits than one", encoder, cores)
			}
		}
	}
}

// TestRestore continues from a file, from a clone, and after a rest, and compares bits
// with the run that was not interrupted, while new operations arrive.
func TestRestore(t *testing.T) {
	g := randomGraphs(300, 9, 12)
	late := schemas.MustIntern("late operation")
	for i := 100; i < len(g.Ops); i += 37 {
		g.Ops[i] = late
	}
	for _, encoder := range testEncoders {
		trunk := testTrunk(t, TrunkConfig{Encoder: encoder, Operations: testOperations[:2]})
		pretrain(trunk, g, 4, 3)
		metadata, tensors, err := trunk.State()
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if err := safetensors.Write(&file, metadata, tensors); err != nil {
			t.Fatal(err)
		}
		clone, rested := trunk.Clone(), trunk.Clone()
		embedded := make([]float32, 10*trunk.Dimension())
		rested.Embed(embedded, g, allRows(10))
		rested.Rest()
		metadata, tensors, err = safetensors.Read(&file)
		if err != nil {
			t.Fatal(err)
		}
		restored, err := RestoreTrunk(metadata, tensors, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint(pretrain(trunk, g, 4, 4), trunk.training.weights, trunk.training.v, trunk.moments)
		for name, other := range map[string]*Trunk{"restored": restored, "cloned": clone, "rested": rested} {
			if got := fmt.Sprint(pretrain(other, g, 4, 4), other.training.weights, other.training.v, other.moments); got != want {
				t.Errorf("%s: the %s trunk ends with other bits", encoder, name)
			}
		}
		if got := trunk.training.vocabulary.Names(); len(got) != 6 || !slices.Contains(got, "late operation") {
			t.Errorf("vocabulary %q", got)
		}
	}
}

// TestNaNChangesNothing feeds a surrogate that is not a number.
func TestNaNChangesNothing(t *testing.T) {
	g := randomGraphs(128, 9, 13)
	trunk := testTrunk(t, TrunkConfig{RawFlow: true})
	flow, proxies := testTargets(g)
	trunk.Step(g, allRows(128), flow, proxies)
	before := fmt.Sprint(trunk.training.weights)
	flow[7] = float32(math.Inf(1))
	if l := trunk.Step(g, allRows(128), flow, proxies); !l.Skipped || fmt.Sprint(trunk.training.weights) != before {
		t.Errorf("an infinite surrogate was learnt: %+v", l)
	}
	flow[7] = 0
	if l := trunk.Step(g, allRows(128), flow, proxies); l.Skipped {
		t.Errorf("the trunk does not go on: %+v", l)
	}
}

func TestTrunkStepAllocatesNothing(t *testing.T) {
	g := randomGraphs(128, 6, 6)
	flow, proxies := testTargets(g)
	rows := allRows(g.Len())
	for _, encoder := range testEncoders {
		trunk := testTrunk(t, TrunkConfig{Encoder: encoder})
		step := func() { trunk.Step(g, rows, flow, proxies) }
		step()
		step()
		if n := testing.AllocsPerRun(20, step); n > 0 {
			t.Errorf("%s: %v allocations a step", encoder, n)
		}
	}
}

// TestLargeGraphs takes as many graphs of 2,000 nodes as memory allows.
func TestLargeGraphs(t *testing.T) {
	g := &schemas.Graphs{}
	for range 40 {
		ops, edges := make([]schemas.Symbol, 2000), []int32{}
		for i := range ops {
			ops[i] = schemas.MustIntern(testOperations[i%5])
			if i > 0 {
				edges = append(edges, int32(i-1), int32(i))
			}
		}
		g.Append(ops, edges)
	}
	trunk, err := NewTrunk(TrunkConfig{Width: 8, Proxies: 1})
	if err != nil {
		t.Fatal(err)
	}
	losses := trunk.Step(g, allRows(40), nil, [][]float32{make([]float32, 40)})
	if losses.Rows < 2 || losses.Rows > 12 {
		t.Errorf("a step took %d graphs of 2,000 nodes", losses.Rows)
	}
	m, err := FineTune(context.Background(), trunk, g, allRows(3), []float64{1, 2, 3}, nil, nil, FineTuneConfig{Epochs: 2})
	if err != nil {
		t.Fatal(err)
	}
	if scores := m.Scores(g, allRows(40))[0]; scores[0] != scores[39] {
		t.Errorf("equal graphs score %v and %v", scores[0], scores[39])
	}
}

// testLabels ranks graphs by something an encoder can see.
func testLabels(g *schemas.Graphs) []float64 {
	y := make([]float64, g.Len())
	flow, _ := testTargets(g)
	for i := range y {
		y[i] = 90 + float64(flow[3*i+1]) + 3*float64(flow[3*i+2])
	}
	return y
}

func TestFineTune(t *testing.T) {
	g := randomGraphs(400, 9, 14)
	y := testLabels(g)
	trunk := testTrunk(t, TrunkConfig{})
	pretrain(trunk, g, 50, 1)
	before := fmt.Sprint(trunk.training.weights)
	train, validate, test := allRows(400)[:80], allRows(400)[80:120], allRows(400)[120:]
	for _, loss := range []string{"hinge", "listmle"} {
		config := FineTuneConfig{Epochs: 40, Seed: 1, Loss: loss}
		m, err := FineTune(context.Background(), trunk, g, train, y[:80], validate, y[80:120], config)
		if err != nil {
			t.Fatal(err)
		}
		if tau := metrics.KendallTau(m.Scores(g, test)[0], y[120:]); !(tau > .6) {
			t.Errorf("%s: tau %v on the rest", loss, tau)
		}
		again, err := FineTune(context.Background(), trunk, g, train, y[:80], validate, y[80:120], config)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(again.weights) != fmt.Sprint(m.weights) {
			t.Errorf("%s: the same seed gives other weights", loss)
		}
	}
	if fmt.Sprint(trunk.training.weights) != before {
		t.Error("fine-tuning changed the trunk")
	}
	if _, err := FineTune(context.Background(), trunk, g, train, make([]float64, 80), nil, nil, FineTuneConfig{}); err == nil {
		t.Error("equal labels were ranked")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := FineTune(ctx, trunk, g, train, y[:80], nil, nil, FineTuneConfig{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run returned %v", err)
	}
}

func TestCrossFineTune(t *testing.T) {
	g := randomGraphs(400, 9, 15)
	y := testLabels(g)
	trunk := testTrunk(t, TrunkConfig{})
	var want string
	for _, cores := range []int{1, 4} {
		members, outOfFold, err := CrossFineTune(context.Background(), trunk, g, allRows(60), y[:60], 4, FineTuneConfig{Epochs: 30, Cores: cores})
		if err != nil {
			t.Fatal(err)
		}
		if tau := metrics.KendallTau(outOfFold, y[:60]); len(members) != 4 || !(tau > .3) {
			t.Errorf("%d members, tau of the held-out scores %v", len(members), tau)
		}
		if got := fmt.Sprint(outOfFold, members[3].weights); want == "" {
			want = got
		} else if got != want {
			t.Error("the number of cores changes the bits")
		}
	}
}

func TestDistil(t *testing.T) {
	g := randomGraphs(400, 9, 16)
	y := testLabels(g)
	inverse := make([]float64, len(y))
	for i := range y {
		inverse[i] = -y[i]
	}
	inverse[5] = math.NaN()
	d, err := Distil(context.Background(), testTrunk(t, TrunkConfig{}), g, allRows(400), [][]float64{y, inverse}, DistilConfig{Epochs: 80, Batch: 32})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Tau) != 2 || !(d.Tau[0] > .75) || !(d.Tau[1] > .75) {
		t.Errorf("agreement %v", d.Tau)
	}
}
