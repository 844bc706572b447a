package encoders

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"archflow/schemas"
)

// BenchmarkLargeGraph embeds one graph of many nodes, the cost of a candidate that is not
// in the score cache.
func BenchmarkLargeGraph(b *testing.B) {
	for _, nodes := range []int{200, 1000, 2000} {
		r := rand.New(rand.NewPCG(1, 1))
		ops := make([]schemas.Symbol, nodes)
		var edges []int32
		for i := range ops {
			ops[i] = schemas.MustIntern(testOperations[i%len(testOperations)])
			if i > 0 {
				edges = append(edges, int32(i-1), int32(i))
			}
			if i > 1 {
				edges = append(edges, int32(r.IntN(i-1)), int32(i))
			}
		}
		var g schemas.Graphs
		g.Append(ops, edges)
		for _, encoder := range Names {
			b.Run(fmt.Sprintf("%d/%s", nodes, encoder), func(b *testing.B) {
				trunk, err := NewTrunk(TrunkConfig{Encoder: encoder, K: 4, Seed: 1, Cores: 1, Operations: testOperations})
				if err != nil {
					b.Fatal(err)
				}
				z := make([]float32, trunk.Dimension())
				for b.Loop() {
					trunk.Embed(z, &g, []int{0})
				}
			})
		}
	}
}
