package encoders_test

import (
	"context"
	"fmt"

	"archflow/encoders"
	"archflow/encoders/flow"
	"archflow/encoders/metrics"
	"archflow/schemas"
)

// chains returns every chain of six operations, each conv or pool, and the number of
// convs, which serves as their label.
func chains() (g schemas.Graphs, y []float64) {
	in, out := schemas.MustIntern("input"), schemas.MustIntern("output")
	of := []schemas.Symbol{schemas.MustIntern("pool"), schemas.MustIntern("conv")}
	for code := range 64 {
		ops, edges, good := []schemas.Symbol{in}, []int32{0, 1}, 0
		for at := range 6 {
			bit := code >> at & 1
			good += bit
			ops, edges = append(ops, of[bit]), append(edges, int32(at+1), int32(at+2))
		}
		g.Append(append(ops, out), edges)
		y = append(y, float64(good))
	}
	return g, y
}

// From pre-training without labels to a ranking of unlabelled architectures: the trunk
// learns to predict the flow surrogates of all of them, and a copy of it is fine-tuned on
// the few labels.
func ExampleFineTune() {
	g, y := chains()
	all := make([]int, g.Len())
	for i := range all {
		all[i] = i
	}
	f := flow.New(flow.Config{Seed: 1})
	surrogates := make([]float32, g.Len()*f.K())
	f.Surrogates(surrogates, &g)

	trunk, err := encoders.NewTrunk(encoders.TrunkConfig{Width: 16, Layers: 2, K: f.K(), Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 40 {
		trunk.Step(&g, all, surrogates, nil)
	}

	var labelled []int
	var labels []float64
	for i := 0; i < g.Len(); i += 3 {
		labelled, labels = append(labelled, i), append(labels, y[i])
	}
	member, err := encoders.FineTune(context.Background(), trunk, &g, labelled, labels, nil, nil, encoders.FineTuneConfig{Epochs: 60, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	scores := member.Scores(&g, all)[0]
	fmt.Println("Kendall tau above 0.7:", metrics.KendallTau(y, scores) > .7)
	// Output: Kendall tau above 0.7: true
}
