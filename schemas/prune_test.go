package schemas

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// plainNetwork prunes as prune.go says in words, by looking along every edge
// until nothing changes.
func plainNetwork(null Symbol, ops []Symbol, edges []int32) (keptOps []Symbol, keptEdges []int32) {
	n := len(ops)
	// Without names, an end is a node without an edge on its other side.
	ends := func(want role, side int) []bool {
		is := make([]bool, n)
		for v, op := range ops {
			is[v] = roleOf(Name(op)) == want
		}
		if !slices.Contains(is, true) {
			for v := range is {
				is[v] = true
			}
			for e := side; e < len(edges); e += 2 {
				is[edges[e]] = false
			}
		}
		return is
	}
	inputs, outputs := ends(roleInput, 1), ends(roleOutput, 0)
	behind, before := slices.Clone(inputs), slices.Clone(outputs)
	for range n {
		for e := 0; e < len(edges); e += 2 {
			u, v := edges[e], edges[e+1]
			behind[v] = behind[v] || behind[u] && ops[v] != null
			before[u] = before[u] || before[v] && (ops[u] != null || inputs[u])
		}
	}
	number := make([]int32, n)
	for v, op := range ops {
		number[v] = int32(len(keptOps))
		if inputs[v] || outputs[v] || behind[v] && before[v] {
			keptOps = append(keptOps, op)
		}
	}
	for e := 0; e < len(edges); e += 2 {
		if u, v := edges[e], edges[e+1]; behind[u] && before[v] {
			keptEdges = append(keptEdges, number[u], number[v])
		}
	}
	return keptOps, keptEdges
}

func TestPruneAgainstPlain(t *testing.T) {
	var p pruner
	var ids identifier
	null := MustIntern("a")
	differ := 0
	rapid.Check(t, func(t *rapid.T) {
		names, pairs := drawGraph(t)
		ops, edges := internAll(names), []int32{}
		for _, pair := range pairs {
			edges = append(edges, int32(pair[0]), int32(pair[1]))
		}
		var in, rows predecessors
		in.build(len(ops), edges)
		for _, null := range []Symbol{null, NoSymbol} {
			gotOps, gotEdges := ops, edges
			if p.prune(&ids, null, ops, edges, &in, nil) {
				differ++
				gotOps, gotEdges = p.ops, p.edges
				rows.build(len(gotOps), gotEdges)
				if !slices.Equal(p.in.start, rows.start) || !slices.Equal(p.in.node, rows.node) {
					t.Fatalf("predecessors %v, want %v", p.in, rows)
				}
			}
			wantOps, wantEdges := plainNetwork(null, ops, edges)
			if !slices.Equal(gotOps, wantOps) || !slices.Equal(gotEdges, wantEdges) {
				t.Fatalf("%v %v is pruned to %v %v, want %v %v", names, edges, namesOf(gotOps), gotEdges, namesOf(wantOps), wantEdges)
			}
		}
	})
	if differ == 0 {
		t.Error("nothing was ever pruned")
	}
}
