package encoders

import (
	"math"
	"math/rand/v2"
	"testing"

	"archflow/schemas"
)

// longChains returns a graph of two chains of that many nodes that touch here and there.
func longChains(nodes int) (ops []schemas.Symbol, edges []int32) {
	for i := range nodes {
		ops = append(ops, schemas.MustIntern(testOperations[i%len(testOperations)]))
		if i >= 2 {
			edges = append(edges, int32(i-2), int32(i))
		}
		if i%50 == 1 {
			edges = append(edges, int32(i-1), int32(i))
		}
	}
	return ops, edges
}

// A batch in its directed form is compared with all paths, found one by one.
func TestDirectedForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 1))
	var g schemas.Graphs
	random := randomGraphs(40, 12, 42)
	for i := range random.Len() {
		ops, edges := random.Graph(i)
		g.Append(renumbered(ops, edges, rng))
	}
	ops, edges := longChains(150) // more than a word of ancestors
	g.Append(renumbered(ops, edges, rng))
	v, err := NewVocabulary(testOperations...)
	if err != nil {
		t.Fatal(err)
	}
	var b batch
	for _, whole := range []bool{true, false} {
		b.direct(v, &g, allRows(g.Len()))
		b.relate(whole)
		d, r := &b.dag, &b.relations
		for i := range g.Len() {
			ops, edges := g.Graph(i)
			n := len(ops)
			row := d.row[b.nodeStart[i]:b.nodeStart[i+1]]
			longest := make([][]int, n) // paths from a node to another; 0: none
			for u := range longest {
				longest[u] = make([]int, n)
			}
			for range n {
				for e := 0; e < len(edges); e += 2 {
					from, to := edges[e], edges[e+1]
					longest[from][to] = max(longest[from][to], 1)
					for u := range n {
						if longest[u][from] > 0 {
							longest[u][to] = max(longest[u][to], longest[u][from]+1)
						}
					}
				}
			}
			for u, own := range row {
				generation := 0
				want := map[int32]uint8{}
				for w, other := range row {
					generation = max(generation, longest[w][u])
					kind := uint8(unrelated)
					switch {
					case u == w:
						kind = itself
					case longest[w][u] > 0:
						kind = ancestor
					case longest[u][w] > 0:
						kind = descendant
					}
					if whole || kind != unrelated {
						want[other] = kind
					}
				}
				for e := 0; e < len(edges) && whole; e += 2 {
					if from, to := int(edges[e]), int(edges[e+1]); from == u {
						want[row[to]] = successor
					} else if to == u {
						want[row[from]] = predecessor
					}
				}
				if from, to := d.rows(generation); int(own) < from || int(own) >= to {
					t.Fatalf("graph %d: node %d of generation %d has row %d, its generation %d to %d", i, u, generation, own, from, to)
				}
				near, kinds := r.related.of(int(own)), r.kindsOf(int(own))
				if len(near) != len(want) || len(near) > r.longest {
					t.Fatalf("graph %d: node %d is related to %d nodes, want %d", i, u, len(near), len(want))
				}
				for j, other := range near {
					if kinds[j] != want[other] {
						t.Fatalf("graph %d: node %d has relation %d to row %d, want %d", i, u, kinds[j], other, want[other])
					}
				}
			}
		}
	}
}

// Every encoder embeds and learns graphs of several hundred nodes.
func TestEncodersOnLargeGraphs(t *testing.T) {
	var g schemas.Graphs
	for _, n := range []int{400, 300, 3} {
		g.Append(longChains(n))
	}
	for _, encoder := range Names {
		trunk, err := NewTrunk(TrunkConfig{Encoder: encoder, Width: 16, Layers: 2, K: 1})
		if err != nil {
			t.Fatal(err)
		}
		before := make([]float32, 3*trunk.Dimension())
		after := make([]float32, len(before))
		losses := trunk.Step(&g, allRows(3), []float32{1, 2, 3}, nil)
		trunk.Embed(before, &g, allRows(3))
		for range 5 {
			losses = trunk.Step(&g, allRows(3), []float32{1, 2, 3}, nil)
		}
		trunk.Embed(after, &g, allRows(3))
		changed := false
		for i, z := range after {
			if math.IsNaN(float64(z)) || math.IsInf(float64(z), 0) {
				t.Fatalf("%s: the embedding holds %v", encoder, z)
			}
			changed = changed || z != before[i]
		}
		if losses.Skipped || !changed {
			t.Errorf("%s: losses %+v, embedding changed: %v", encoder, losses, changed)
		}
	}
}
