package micro

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func TestNotationRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 500 {
		a := Sample(rng)
		b, err := parse(a.Arch)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%s: drew %v, read %v", a.Arch, a, b)
		}
	}
}

func TestNotationByHand(t *testing.T) {
	// A chain of four operations with a shortcut from the first to the output.
	// Rows: 10000 from the input, then 1001, 100, 10 and 1.
	a, err := parse("6|100001001100101|0123")
	if err != nil {
		t.Fatal(err)
	}
	want := Architecture{
		Ops:   []string{"input", "linear", "relu", "tanh", "square", "output"},
		Edges: [][2]int{{0, 1}, {1, 2}, {1, 5}, {2, 3}, {3, 4}, {4, 5}},
		Arch:  "6|100001001100101|0123",
	}
	if !reflect.DeepEqual(a, want) {
		t.Fatalf("read %v, want %v", a, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for arch, word := range map[string]string{
		"":                          "parts",
		"6|100001000100101":         "parts",
		"x|100001000100101|0123":    "nodes",
		"5|1000100101|012":          "nodes",
		"9|1|0":                     "nodes",
		"6|10000100010010|0123":     "15 digits",
		"6|100001000100102|0123":    "15 digits",
		"6|100001001100101|012":     "4 digits",
		"6|100001001100101|0125":    "4 digits",
		"6|100001001100000|0123":    "path",
		"6|000001001100101|0123":    "path",
		"-6|100001001100101|0123":   "nodes",
		"6|100001001100101|0123|":   "parts",
		"06 |100001001100101|0123":  "nodes",
		"6|１00001001100101|0123":    "15 digits",
		strings.Repeat("6|", 10000): "parts",
	} {
		_, err := parse(arch)
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%.40q: error %v, want one about %q", arch, err, word)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%.40q: an error of %d bytes", arch, len(err.Error()))
		}
	}
}

// reaches says which nodes a walk along edges finds from start.
func reaches(edges [][2]int, start, n int, back bool) []bool {
	seen := make([]bool, n)
	seen[start] = true
	for range n {
		for _, e := range edges {
			from, to := e[0], e[1]
			if back {
				from, to = to, from
			}
			seen[to] = seen[to] || seen[from]
		}
	}
	return seen
}

func TestEveryOperationLiesOnAPath(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	a := Sample(rng)
	for i := range 2000 {
		if i%2 == 0 {
			a = Sample(rng)
		} else {
			before := a.Arch
			if a = Mutate(a, rng); a.Arch == before {
				t.Fatalf("%s: the neighbour is the same", before)
			}
		}
		n := len(a.Ops)
		if n < MinOperations+2 || n > MaxOperations+2 || a.Ops[0] != "input" || a.Ops[n-1] != "output" {
			t.Fatalf("%s: operations %v", a.Arch, a.Ops)
		}
		down, up := reaches(a.Edges, 0, n, false), reaches(a.Edges, n-1, n, true)
		for v := range n {
			if !down[v] || !up[v] {
				t.Fatalf("%s: node %d lies on no path", a.Arch, v)
			}
		}
	}
}

// renumber returns a in another topological order.
func renumber(a Architecture, rng *rand.Rand) Architecture {
	c := a.cell()
	n := len(c.ops)
	place, placed := make([]int, n), make([]bool, n)
	for at := range n {
		var ready []int
		for v := range n {
			ok := !placed[v] && (v < n-1 || at == n-1)
			for u := range v {
				ok = ok && (placed[u] || !c.edges[u][v])
			}
			if ok && (v > 0 || at == 0) && (at > 0 || v == 0) {
				ready = append(ready, v)
			}
		}
		v := ready[rng.IntN(len(ready))]
		place[v], placed[v] = at, true
	}
	d := newCell(n)
	for u := range n {
		d.ops[place[u]] = c.ops[u]
		for v := range n {
			if c.edges[u][v] {
				d.edges[place[u]][place[v]] = true
			}
		}
	}
	return d.architecture()
}

func TestCanonicalForgetsTheNumbering(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	changed := 0
	for range 500 {
		a := Sample(rng)
		b := renumber(a, rng)
		if b.Arch != a.Arch {
			changed++
		}
		if got := b.cell().canonical().notation(); got != a.Arch {
			t.Fatalf("%s renumbered as %s is canonical as %s", a.Arch, b.Arch, got)
		}
	}
	if changed < 100 {
		t.Fatalf("only %d of 500 were renumbered: the test tests nothing", changed)
	}
}
