package learner

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"archflow/encoders/flow"
	"archflow/encoders/metrics"
	"archflow/schemas"
)

// sizes are candidates of hyperparameters alone.
func sizes(t testing.TB, seed uint64, n int) (*world, []float64) {
	w := &world{decoder: schemas.NewDecoder(schemas.Limits{})}
	r := rand.New(rand.NewPCG(seed, 6))
	var truths []float64
	for i := range n {
		depth, width, rate, act := 4+r.IntN(20), 64*(1+r.IntN(12)), math.Exp(-3-6*r.Float64()), r.IntN(3)
		w.add(t, fmt.Sprintf(`{"space":"sizes","id":"%d-%d","hyperparameters":{"depth":%d,"width":%d,"rate":%.6g,"act":"%s"}}`,
			seed, i, depth, width, rate, []string{"relu", "gelu", "silu"}[act]))
		truths = append(truths, math.Log(float64(depth*width))-0.3*math.Pow(math.Log(rate)+6, 2)+0.4*float64(act))
	}
	return w, truths
}

// A model ranks networks outside the buffer nearly as well as cached ones, from the first
// answer on.
func TestNetworksOutsideTheBuffer(t *testing.T) {
	w, truths := sizes(t, 1, 300)
	others, others300 := sizes(t, 2, 300)
	l := New(Config{Space: "sizes", Flow: flow.New(flow.Config{K: 4, Std: 0.1, Seed: 1}), Width: 32, Layers: 2, Seed: 1})
	observeAll(l, w)
	for i := range 60 {
		x := w.byID(i, "acc", truths[i])
		x.Space = "sizes"
		l.Label(x)
	}
	models := 0
	for l.Due(false) {
		p, err := l.Work(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if p.Challenger == nil {
			continue
		}
		models++
		own := l.champion.Predict(l.workspace, &w.c.Networks, counting(300))
		inferred := metrics.KendallTau(truths[60:], own.Score[0][60:])
		l.champion.UseCache(own, w.c.Network, counting(300))
		remembered := metrics.KendallTau(truths[60:], own.Score[0][60:])
		outside := metrics.KendallTau(others300, l.champion.Predict(l.workspace, &others.c.Networks, counting(300)).Score[0])
		// The first answers in closed form from an encoder that has learnt nothing yet.
		minimum := remembered - 0.05
		if models == 1 {
			minimum = remembered - 0.25
		}
		if outside < minimum || inferred < minimum {
			t.Errorf("model %d ranks cached networks with tau %.3f, the same inferred %.3f, others %.3f; want %.3f", models, remembered, inferred, outside, minimum)
		}
	}
	if models < 3 {
		t.Errorf("%d models", models)
	}
}
