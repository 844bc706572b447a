package teacher

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"archflow/schemas"
)

// randomGraphs returns graphs whose edges are there with a probability.
func randomGraphs(n, nodes int, dense float64) *schemas.Graphs {
	random := rand.New(rand.NewPCG(1, 2))
	var g schemas.Graphs
	for range n {
		ops := make([]schemas.Symbol, nodes)
		var edges []int32
		for i := range ops {
			ops[i] = schemas.MustIntern(fmt.Sprint("op", random.IntN(3)))
			for j := range i {
				if random.Float64() < dense {
					edges = append(edges, int32(j), int32(i))
				}
			}
		}
		g.Append(ops, edges)
	}
	return &g
}

// slowClasses is classes by looking at every edge for every node.
func slowClasses(g *schemas.Graphs) equals {
	number := map[uint64]int{}
	class := make([]int, g.Len())
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		colours := [2][]uint64{}
		for _, op := range ops {
			for s := range colours {
				colours[s] = append(colours[s], mix(uint64(op)+1))
			}
		}
		pass := func(t, side int, a, b uint64) {
			sum := uint64(0)
			for e := 0; e < len(edges); e += 2 {
				if int(edges[e+1-side]) == t {
					sum += mix(colours[side][edges[e+side]])
				}
			}
			colours[side][t] = mix(colours[side][t] ^ mix(sum+a) ^ mix(colours[1-side][t]+b))
		}
		for range 3 {
			for t := range ops {
				pass(t, 0, 7, 11)
			}
			for t := len(ops) - 1; t >= 0; t-- {
				pass(t, 1, 13, 17)
			}
		}
		sum := uint64(len(ops))
		for _, h := range colours[1] {
			sum += mix(h)
		}
		if _, ok := number[sum]; !ok {
			number[sum] = len(number)
		}
		class[i] = number[sum]
	}
	return equals{class, len(number)}
}

func TestClassesAgainstSlowOnes(t *testing.T) {
	for _, nodes := range []int{1, 2, 3, 5, 9} {
		g := randomGraphs(200, nodes, .5)
		got, want := classes(g), slowClasses(g)
		if got.count != want.count || !slices.Equal(got.class, want.class) {
			t.Errorf("%d nodes: %d classes, want %d", nodes, got.count, want.count)
		}
	}
}

// TestContractionIsBounded: in a dense graph the ways through the nodes of an operation
// are more than any memory holds.
func TestContractionIsBounded(t *testing.T) {
	if _, ok := contract(randomGraphs(1, 280, 1), schemas.MustIntern("op1")); ok {
		t.Error("280 nodes with all edges were contracted")
	}
	if g, ok := contract(randomGraphs(50, 8, .5), schemas.MustIntern("op1")); !ok || g.Len() != 50 {
		t.Error("small graphs were not")
	}
}
