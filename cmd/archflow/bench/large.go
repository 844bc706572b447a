package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"archflow/encoders"
	"archflow/encoders/flow"
	"archflow/internal/progress"
	"archflow/schemas"
)

// Graphs of these many nodes, each with so many edges from nodes before it, are
// compared: where the cost is linear, nodes and edges take as long in all.
var (
	largeNodes = []int{125, 500, 2000}
	largeEdges = []int{2, 8}
)

// largeBatch is how many nodes the graphs of a batch have together.
const largeBatch = 8000

// largeGraphs measures decoding, surrogates and inference of large graphs on
// one core.
func (b *bench) largeGraphs(ctx context.Context) (*Figure, error) {
	defer oneCore()()
	var all []turn
	random := rand.New(rand.NewPCG(b.config.Seed, 3))
	for _, edges := range largeEdges {
		for _, nodes := range largeNodes {
			t, err := b.largeTurn(ctx, random, nodes, edges)
			if err != nil {
				return nil, err
			}
			all = append(all, t)
		}
	}
	v, err := b.turns(ctx, all...)
	if err != nil {
		return nil, err
	}
	var said []string
	for i, edges := range largeEdges {
		var each []string
		for j, nodes := range largeNodes {
			each = append(each, fmt.Sprintf("%s at %s nodes", plain(median(v[i*len(largeNodes)+j])), progress.Thousands(int64(nodes))))
		}
		said = append(said, fmt.Sprintf("with %d edges a node %s", edges, strings.Join(each, ", ")))
	}
	last := len(largeNodes) - 1
	b.note("large_graphs", "one core, random graphs of 2,000 nodes and two edges each from JSON to a score: decoding, surrogate and a network 128 wide with 3 layers; nodes and edges a second %s; the ratio is that of 2,000 to %d nodes, 1 where the cost is linear", strings.Join(said, "; "), largeNodes[0])
	return rates("nodes and edges/s", v[last], fmt.Sprintf("%d nodes", largeNodes[0]), v[0]), nil
}

// largeTurn returns a turn that answers random graphs.
func (b *bench) largeTurn(ctx context.Context, random *rand.Rand, nodes, edges int) (turn, error) {
	var lines [][]byte
	size := 0
	for range largeBatch / nodes {
		line, n := largeGraph(random, nodes, edges)
		lines, size = append(lines, line), size+nodes+n
	}
	const k = 7
	var c schemas.Candidates
	decoder, f, surrogates := schemas.NewDecoder(b.config.Limits()), flow.New(flow.Config{K: k}), make([]float32, k*len(lines))
	decode := func() error {
		c = schemas.Candidates{}
		for _, line := range lines {
			if refused := decoder.Candidate(&c, line); refused != nil {
				return refused
			}
		}
		return nil
	}
	if err := decode(); err != nil {
		return nil, err
	}
	trunk, err := encoders.NewTrunk(encoders.TrunkConfig{K: k, Proxies: 1, Seed: b.config.Seed})
	if err != nil {
		return nil, err
	}
	model, err := headedModel(ctx, trunk, "dag", "any", &c.Graphs, counting(2), b.config.Seed)
	if err != nil {
		return nil, err
	}
	work := encoders.NewWorkspace(1)
	return repeated(turnTime/2, coreTime, func() (float64, error) {
		if err := decode(); err != nil {
			return 0, err
		}
		f.Surrogates(surrogates, &c.Graphs)
		model.Predict(work, &c.Graphs, counting(len(lines)))
		return float64(size), nil
	}), nil
}

// largeGraph returns a candidate whose nodes read from some of the thirty before
// them, and how many edges it has.
func largeGraph(random *rand.Rand, nodes, edges int) (line []byte, count int) {
	var ops, pairs strings.Builder
	for v := range nodes {
		if v > 0 {
			ops.WriteByte(',')
		}
		fmt.Fprintf(&ops, "%q", [...]string{"conv", "pool", "add", "attention"}[random.IntN(4)])
		before := random.Perm(min(v, 30))
		for _, back := range before[:min(edges, len(before))] {
			if count > 0 {
				pairs.WriteByte(',')
			}
			fmt.Fprintf(&pairs, "[%d,%d]", v-1-back, v)
			count++
		}
	}
	return fmt.Appendf(nil, `{"space":"dag","ops":[%s],"edges":[%s]}`, ops.String(), pairs.String()), count
}
