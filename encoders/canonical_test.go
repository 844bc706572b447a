package encoders

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"archflow/schemas"
)

// inCanonicalOrder writes out a graph with its nodes in canonical order.
func inCanonicalOrder(t *testing.T, v *Vocabulary, ops []schemas.Symbol, edges []int32) string {
	t.Helper()
	var g schemas.Graphs
	g.Append(ops, edges)
	var b batch
	b.direct(v, &g, []int{0})
	c := &b.canonical
	c.begin(&b.dag)
	order := c.sort(&b.dag, b.dag.row)
	place := make([]int, len(ops)) // by row
	text := ""
	for p, row := range order {
		place[row] = p
		text += fmt.Sprint(b.dag.code[row], " ")
	}
	var pairs [][2]int
	for row := range b.dag.row {
		for _, to := range b.dag.after.of(row) {
			pairs = append(pairs, [2]int{place[row], place[to]})
		}
	}
	slices.SortFunc(pairs, func(x, y [2]int) int { return slices.Compare(x[:], y[:]) })
	for _, p := range pairs {
		if p[0] >= p[1] {
			t.Errorf("an edge leads from place %d to %d", p[0], p[1])
		}
	}
	return fmt.Sprint(text, pairs)
}

// renumbered gives the nodes and edges of a graph another order.
func renumbered(ops []schemas.Symbol, edges []int32, rng *rand.Rand) (newOps []schemas.Symbol, newEdges []int32) {
	place := rng.Perm(len(ops))
	newOps, newEdges = make([]schemas.Symbol, len(ops)), make([]int32, len(edges))
	for u, op := range ops {
		newOps[place[u]] = op
	}
	for e, p := range rng.Perm(len(edges) / 2) {
		newEdges[2*e], newEdges[2*e+1] = int32(place[edges[2*p]]), int32(place[edges[2*p+1]])
	}
	return newOps, newEdges
}

// A graph in canonical order is the same for every numbering, also where many nodes look
// alike.
func TestCanonicalOrder(t *testing.T) {
	v, err := NewVocabulary(testOperations...)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(31, 1))
	g := randomGraphs(200, 12, 32)
	same := make([]schemas.Symbol, 12)
	for i := range same {
		same[i] = schemas.MustIntern("conv")
	}
	g.Append(same[:8], []int32{0, 4, 1, 5, 2, 6, 3, 7})                                                 // four chains
	g.Append(same[:6], []int32{0, 4, 2, 4, 1, 5, 3, 5})                                                 // two trees: pairs of roots
	g.Append(same, []int32{0, 6, 0, 7, 1, 7, 1, 8, 2, 8, 2, 6, 3, 9, 3, 10, 4, 10, 4, 11, 5, 11, 5, 9}) // two rings
	g.Append(same[:5], nil)
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		want := inCanonicalOrder(t, v, ops, edges)
		for range 5 {
			newOps, newEdges := renumbered(ops, edges, rng)
			if got := inCanonicalOrder(t, v, newOps, newEdges); got != want {
				t.Fatalf("graph %d is %s, renumbered %s", i, want, got)
			}
		}
	}
}

// Graphs of one shape are ordered alike, with any operations.
func TestCanonicalOrderOfOneShape(t *testing.T) {
	g := denseGraphs(50)
	v, err := NewVocabulary(cellOperations...)
	if err != nil {
		t.Fatal(err)
	}
	var b batch
	b.direct(v, g, allRows(50))
	b.number()
	places := func(i int) (p []int32) {
		for _, row := range b.dag.row[b.nodeStart[i]:b.nodeStart[i+1]] {
			p = append(p, b.place[row])
		}
		return p
	}
	for i := range g.Len() {
		if !slices.Equal(places(i), places(0)) {
			t.Errorf("graph %d has places %v, the first %v", i, places(i), places(0))
		}
	}
}
