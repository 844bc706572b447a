package schemas

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// IDs are in users' tables: these may never change.
func TestGoldenIDs(t *testing.T) {
	d := NewDecoder(Limits{})
	for _, x := range []struct{ value, architecture, network string }{
		{`{"space":"dag","ops":["input"],"edges":[]}`, "c53e1808547dd92a4cba55c9f2a965e4", "c53e1808547dd92a4cba55c9f2a965e4"},
		{`{"space":"dag",` + chain + `}`, "c75fa76a8d66d778cbe0680fea4e790a", "c75fa76a8d66d778cbe0680fea4e790a"},
		{`{"space":"nb201",` + nb201Arch + `}`, "dfeba7e78bf496d75264893a79618854", "004b4547545c260862d24ce2d3e151d9"},
		{`{"space":"dag","ops":["input","an operation with a longer name","Größe","output"],"edges":[[0,1],[0,2],[1,3],[2,3],[0,3]]}`, "e3a8942ed0b13e152a7abf70e4138b85", "e3a8942ed0b13e152a7abf70e4138b85"},
		{`{"space":"nb301","arch":` + mustSpace("nb301").Notation + `}`, "bcc8c270a6ad23f0683d65a979c42844", "bcc8c270a6ad23f0683d65a979c42844"},
	} {
		var c Candidates
		if r := d.Candidate(&c, []byte(x.value)); r != nil {
			t.Fatal(r)
		}
		if c.Architecture[0].String() != x.architecture || c.Network[0].String() != x.network {
			t.Errorf("%s\n\tgot  %q, %q\n\twant %q, %q", x.value, c.Architecture[0], c.Network[0], x.architecture, x.network)
		}
	}
}

func mustSpace(name string) *Space {
	s, ok := SpaceOf(name)
	if !ok {
		panic(name)
	}
	return s
}

// graphMessage writes a graph as a message with node v called at[v].
func graphMessage(ops []string, edges [][2]int, at []int) []byte {
	names := make([]string, len(ops))
	for v, op := range ops {
		names[at[v]] = op
	}
	pairs := make([][2]int, len(edges))
	for e, edge := range edges {
		pairs[e] = [2]int{at[edge[0]], at[edge[1]]}
	}
	value, err := json.Marshal(map[string]any{"space": "dag", "ops": names, "edges": pairs})
	if err != nil {
		panic(err)
	}
	return value
}

// drawGraph draws a DAG with few kinds of operations, so that many nodes are
// alike.
func drawGraph(t *rapid.T) (ops []string, edges [][2]int) {
	n := rapid.IntRange(1, 12).Draw(t, "nodes")
	for range n {
		ops = append(ops, rapid.SampledFrom([]string{"a", "b", "input", "output", "reduce:input"}).Draw(t, "op"))
	}
	for to := range n {
		for from := range to {
			if rapid.IntRange(0, 2).Draw(t, "edge") == 0 {
				edges = append(edges, [2]int{from, to})
			}
		}
	}
	return ops, edges
}

func TestRenumbering(t *testing.T) {
	d := NewDecoder(Limits{})
	rapid.Check(t, func(t *rapid.T) {
		ops, edges := drawGraph(t)
		same := make([]int, len(ops))
		for v := range same {
			same[v] = v
		}
		at := rapid.Permutation(same).Draw(t, "numbers")
		shuffled := rapid.Permutation(edges).Draw(t, "edges")
		var c Candidates
		for _, value := range [][]byte{graphMessage(ops, edges, same), graphMessage(ops, shuffled, at)} {
			if r := d.Candidate(&c, value); r != nil {
				t.Fatal(r)
			}
		}
		if c.Architecture[0] != c.Architecture[1] || c.Network[0] != c.Network[1] {
			t.Fatal("renumbering changed an id")
		}
		got, flat := c.Graphs.Graph(0)
		var given []int32
		for _, e := range edges {
			given = append(given, int32(e[0]), int32(e[1]))
		}
		if !reflect.DeepEqual(namesOf(got), ops) || len(flat) != len(given) || len(flat) > 0 && !reflect.DeepEqual(flat, given) {
			t.Fatal("a graph in topological order did not keep its order")
		}
	})
}

// All DAGs of up to four nodes with two operations: two graphs have one ID if
// and only if one is a renumbering of the other.
func TestIDsOfAllSmallGraphs(t *testing.T) {
	d := NewDecoder(Limits{})
	byID, byForm := map[ID]string{}, map[string]ID{}
	for n := 1; n <= 4; n++ {
		pairs := n * (n - 1) / 2
		for kinds := range 1 << n {
			for bits := range 1 << pairs {
				ops, edges := make([]string, n), [][2]int{}
				for v := range ops {
					ops[v] = string(rune('a' + kinds>>v&1))
				}
				bit := 0
				for to := range n {
					for from := range to {
						if bits>>bit&1 == 1 {
							edges = append(edges, [2]int{from, to})
						}
						bit++
					}
				}
				var c Candidates
				same := []int{0, 1, 2, 3}[:n]
				if r := d.Candidate(&c, graphMessage(ops, edges, same)); r != nil {
					t.Fatal(r)
				}
				form, id := canonicalForm(ops, edges), c.Architecture[0]
				if other, ok := byID[id]; ok && other != form {
					t.Fatalf("one id for %s and %s", form, other)
				}
				if other, ok := byForm[form]; ok && other != id {
					t.Fatalf("two ids for %s", form)
				}
				byID[id], byForm[form] = form, id
			}
		}
	}
	if len(byID) < 100 {
		t.Errorf("only %d graphs", len(byID))
	}
}

// canonicalForm is the least description of a graph over all numberings.
func canonicalForm(ops []string, edges [][2]int) string {
	n := len(ops)
	smallest := ""
	at := make([]int, 0, n)
	var try func(used int)
	try = func(used int) {
		if len(at) == n {
			var matrix [4][4]byte
			names := make([]string, n)
			for v, op := range ops {
				names[at[v]] = op
			}
			for _, e := range edges {
				matrix[at[e[0]]][at[e[1]]] = 1
			}
			if form := fmt.Sprint(strings.Join(names, ""), matrix); smallest == "" || form < smallest {
				smallest = form
			}
			return
		}
		for v := range n {
			if used>>v&1 == 0 {
				at = append(at, v)
				try(used | 1<<v)
				at = at[:len(at)-1]
			}
		}
	}
	try(0)
	return smallest
}

// The number of a symbol depends on earlier symbols; an ID must not.
func TestIDsDoNotDependOnSymbols(t *testing.T) {
	ids := identifier{}
	a, b := MustIntern("identity test 1"), MustIntern("identity test 2")
	if ids.operation(a).hash != hashName("identity test 1").scaled() || ids.operation(b).hash == ids.operation(a).hash {
		t.Error("an operation's hash is not its name's")
	}
	seen := map[colour]string{}
	for i := range 2000 {
		for _, name := range []string{fmt.Sprint("op", i), strings.Repeat("x", i), strings.Repeat("\x00", i)} {
			h := hashName(name)
			if other, ok := seen[h]; ok && other != name {
				t.Fatalf("%q and %q hash alike", name, other)
			}
			seen[h] = name
		}
	}
}
