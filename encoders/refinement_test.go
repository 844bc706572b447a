package encoders

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"archflow/schemas"
)

// surroundings writes out a node's neighbourhood of that many steps.
func surroundings(ops []schemas.Symbol, edges []int32, node int32, steps int) string {
	if steps == 0 {
		return fmt.Sprint(ops[node])
	}
	var near []string
	for e := 0; e < len(edges); e += 2 {
		switch node {
		case edges[e]:
			near = append(near, surroundings(ops, edges, edges[e+1], steps-1))
		case edges[e+1]:
			near = append(near, surroundings(ops, edges, edges[e], steps-1))
		}
	}
	slices.Sort(near)
	return surroundings(ops, edges, node, steps-1) + "(" + strings.Join(near, ",") + ")"
}

// Nodes share a state only if they see the same, and then always, up to the
// number that may.
func TestColoursAreNeighbourhoods(t *testing.T) {
	const layers = 3
	g := randomGraphs(60, 7, 11)
	hub := make([]int32, 0, 60) // more neighbours than are sorted by insertion
	for i := int32(1); i <= 30; i++ {
		hub = append(hub, 0, i)
	}
	star := make([]schemas.Symbol, 31)
	for i := range star {
		star[i] = schemas.MustIntern(testOperations[i%len(testOperations)])
	}
	g.Append(star, hub)
	rows := allRows(g.Len())
	rows = append(rows, 3, 3, 7) // graphs may come twice
	v, err := NewVocabulary(testOperations...)
	if err != nil {
		t.Fatal(err)
	}
	var b batch
	for _, most := range []int32{math.MaxInt32, 2, 1} {
		b.build(v, g, rows, layers, most)
		for l := 1; l <= layers; l++ {
			nodes, seen := map[string]int32{}, map[int32]string{}
			node := 0
			for _, i := range rows {
				ops, edges := g.Graph(i)
				for u := range ops {
					what, state := surroundings(ops, edges, int32(u), l), b.rounds[l].colours[node]
					if w, ok := seen[state]; ok && w != what {
						t.Fatalf("level %d: state %d is shared by nodes that see different things", l, state)
					}
					seen[state] = what
					nodes[what]++
					node++
				}
			}
			want := 0
			for _, n := range nodes {
				want += int((int64(n) + int64(most) - 1) / int64(most))
			}
			if b.rounds[l].size() != want {
				t.Fatalf("level %d has %d states, want %d with at most %d nodes in one", l, b.rounds[l].size(), want, most)
			}
		}
	}
}

// The order of nodes and edges decides nothing in a state: the embeddings of a
// renumbered graph differ by the rounding of the last mean only.
func TestStatesOfRenumberedGraphs(t *testing.T) {
	g := randomGraphs(20, 9, 12)
	f := testTraining(t, "resgated", 16)
	rng := rand.New(rand.NewPCG(13, 13))
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		order := rng.Perm(len(ops))
		other, turned := make([]schemas.Symbol, len(ops)), make([]int32, len(edges))
		for u, op := range ops {
			other[order[u]] = op
		}
		pairs := rng.Perm(len(edges) / 2)
		for e, p := range pairs {
			turned[2*e], turned[2*e+1] = int32(order[edges[2*p]]), int32(order[edges[2*p+1]])
		}
		var both schemas.Graphs
		both.Append(ops, edges)
		both.Append(other, turned)
		var b batch
		b.build(f.vocabulary, &both, []int{0, 1}, f.shape.Layers, math.MaxInt32)
		last := &b.rounds[f.shape.Layers]
		for u := range ops {
			if a, z := last.colours[u], last.colours[len(ops)+order[u]]; a != z {
				t.Fatalf("graph %d: node %d has state %d, renumbered %d", i, u, a, z)
			}
		}
	}
}
