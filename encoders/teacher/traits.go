package teacher

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"archflow/schemas"
)

// traits are the attributes of nodes and the hyperparameters of graphs as
// columns of numbers: booleans are 0 and 1, texts one column for each of the
// frequent ones. Everything follows names, never symbols.
type traits struct {
	nodes table // a row is a node
	lists table // a row is a place in the lists of hyperparameters of a graph
	whole table // a row is a graph
	names int   // attributes and hyperparameters, a bit each
}

// table holds columns whose rows are grouped by graph.
type table struct {
	start   []int32          // [graphs+1], into rows
	op      []schemas.Symbol // [rows] of nodes; nil otherwise
	depth   []int32          // [rows] generation of a node, place in a list
	columns []trait
}

// trait is one column.
type trait struct {
	bit      int       // of the attribute it comes from
	values   []float64 // [rows], NaN where absent
	scaled   []float64 // logarithms where the values are positive and wide
	positive bool      // all values are
	distinct []float64 // the different values in order; nil when they are more than maxGroups
}

const (
	maxTraits   = maxBits / 2 // attributes of nodes, and hyperparameters: those that vary, the most frequent ones first
	longestList = 1024        // of a list; a candidate has no more hyperparameters
	maxTexts    = 8           // different texts of one attribute that have a column: the most frequent ones
	maxGroups   = 6           // different values of an attribute that nodes are grouped by
	wide        = 4           // largest over smallest value, from which a positive number counts by its logarithm
)

// newTraits reads the attributes of all graphs, nil when there are none.
func newTraits(g *schemas.Graphs) *traits {
	if len(g.Attributes) == 0 {
		return nil
	}
	n := g.Len()
	t := &traits{nodes: table{start: g.NodeStart, op: g.Ops}}
	nodes, whole := newTraitNames(), newTraitNames()
	for i := range n {
		for _, a := range g.AttributesOf(i) {
			if a.Node == schemas.WholeGraph {
				whole.count(a)
			} else {
				nodes.count(a)
			}
		}
		_, edges := g.Graph(i)
		t.nodes.depth = appendDepths(t.nodes.depth, int(g.NodeStart[i+1]-g.NodeStart[i]), edges)
		t.whole.start = append(t.whole.start, int32(i))
	}
	t.whole.start = append(t.whole.start, int32(n))
	t.nodes.columns = nodes.columns(0, len(g.Ops))
	t.whole.columns = whole.columns(nodes.bits, n)
	t.names = nodes.bits + whole.bits
	for i := range n {
		for _, a := range g.AttributesOf(i) {
			if a.Node == schemas.WholeGraph {
				whole.set(t.whole.columns, i, a)
			} else {
				nodes.set(t.nodes.columns, int(g.NodeStart[i]+a.Node), a)
			}
		}
	}
	t.lists = whole.lists(t.whole.columns, n)
	for _, columns := range [][]trait{t.nodes.columns, t.lists.columns, t.whole.columns} {
		for k := range columns {
			columns[k].describe()
		}
	}
	return t
}

// appendDepths appends the length of the longest way to each node.
func appendDepths(dst []int32, nodes int, edges []int32) []int32 {
	from := len(dst)
	dst = append(dst, make([]int32, nodes)...)
	own := dst[from:]
	for moved := true; moved; {
		moved = false
		for e := 0; e < len(edges); e += 2 {
			if u, v := edges[e], edges[e+1]; own[v] <= own[u] {
				own[v], moved = own[u]+1, true
			}
		}
	}
	return dst
}

// depthOf returns the number of nodes on the longest way through a graph.
func depthOf(ops []schemas.Symbol, edges []int32) int {
	deepest := int32(-1)
	for _, d := range appendDepths(nil, len(ops), edges) {
		deepest = max(deepest, d)
	}
	return int(deepest) + 1
}

// traitNames says which column a value belongs in.
type traitNames struct {
	byName map[schemas.Symbol]*traitName
	order  []*traitName // those with columns, by name
	bits   int
}

// traitName describes the attributes of one name.
type traitName struct {
	name    string
	list    string // for an element of a list: the list's name
	place   int    // and its place
	count   int
	numbers bool // some values are numbers or booleans
	first   schemas.Attribute
	varies  bool // not all values are those of the first
	texts   map[schemas.Symbol]int
	number  int                    // column of the numbers, -1 without one
	text    map[schemas.Symbol]int // columns of the texts
}

func newTraitNames() *traitNames { return &traitNames{byName: map[schemas.Symbol]*traitName{}} }

func (x *traitNames) count(a schemas.Attribute) {
	if a.Name < 0 {
		return
	}
	n := x.byName[a.Name]
	if n == nil {
		n = &traitName{name: schemas.Name(a.Name), number: -1, texts: map[schemas.Symbol]int{}, text: map[schemas.Symbol]int{}}
		if dot := strings.LastIndexByte(n.name, '.'); dot > 0 {
			if place, err := strconv.Atoi(n.name[dot+1:]); err == nil && place >= 0 {
				n.list, n.place = n.name[:dot], place
			}
		}
		x.byName[a.Name] = n
	}
	if n.count++; n.count == 1 {
		n.first = a
	}
	n.varies = n.varies || a.Kind != n.first.Kind || a.Number != n.first.Number || a.Text != n.first.Text
	if a.Kind == schemas.TextKind {
		n.texts[a.Text]++
	} else {
		n.numbers = true
	}
}

// keepLists leaves as lists those of which at least half of the places are there and that
// fit into a candidate. What stands behind a dot may also be a date.
func (x *traitNames) keepLists() {
	members, longest := map[string]int{}, map[string]int{}
	for _, n := range x.byName {
		members[n.list]++
		longest[n.list] = max(longest[n.list], n.place)
	}
	for _, n := range x.byName {
		if longest[n.list] >= min(2*members[n.list], longestList) {
			n.list, n.place = "", 0
		}
	}
}

// columns returns empty columns of that many rows for the most frequent names, whose bits
// begin at first. Elements of one list share a bit.
func (x *traitNames) columns(first, rows int) []trait {
	x.keepLists()
	for _, n := range x.byName {
		x.order = append(x.order, n)
	}
	slices.SortFunc(x.order, func(a, b *traitName) int {
		if a.varies != b.varies {
			if a.varies {
				return -1
			}
			return 1
		}
		if a.count != b.count {
			return b.count - a.count
		}
		return strings.Compare(a.name, b.name)
	})
	bits := map[string]int{}
	owner := func(n *traitName) string {
		if n.list != "" {
			return n.list + "."
		}
		return n.name
	}
	x.order = slices.DeleteFunc(x.order, func(n *traitName) bool {
		if _, ok := bits[owner(n)]; !ok && len(bits) < maxTraits {
			bits[owner(n)] = first + len(bits)
		}
		_, ok := bits[owner(n)]
		return !ok
	})
	slices.SortFunc(x.order, func(a, b *traitName) int { return strings.Compare(a.name, b.name) })
	x.bits = len(bits)
	var out []trait
	add := func(bit int) int {
		values := make([]float64, rows)
		for i := range values {
			values[i] = math.NaN()
		}
		out = append(out, trait{bit: bit, values: values})
		return len(out) - 1
	}
	for _, n := range x.order {
		if n.numbers {
			n.number = add(bits[owner(n)])
		}
		for _, s := range n.frequent() {
			n.text[s] = add(bits[owner(n)])
		}
	}
	return out
}

// frequent returns the most frequent texts, by name. Of two that are always
// there one would do, but which of them must not depend on anything.
func (n *traitName) frequent() []schemas.Symbol {
	var texts []schemas.Symbol
	for s := range n.texts {
		if s >= 0 {
			texts = append(texts, s)
		}
	}
	byName := func(a, b schemas.Symbol) int { return strings.Compare(schemas.Name(a), schemas.Name(b)) }
	slices.SortFunc(texts, func(a, b schemas.Symbol) int {
		if n.texts[a] != n.texts[b] {
			return n.texts[b] - n.texts[a]
		}
		return byName(a, b)
	})
	texts = texts[:min(len(texts), maxTexts)]
	slices.SortFunc(texts, byName)
	return texts
}

// set writes a value to its columns.
func (x *traitNames) set(columns []trait, row int, a schemas.Attribute) {
	n := x.byName[a.Name]
	if n == nil {
		return
	}
	if a.Kind != schemas.TextKind {
		if n.number >= 0 {
			columns[n.number].values[row] = a.Number
		}
		return
	}
	for s, k := range n.text {
		v := 0.
		if s == a.Text {
			v = 1
		}
		columns[k].values[row] = v
	}
}

// lists returns the numbers of lists as a table whose rows are places.
func (x *traitNames) lists(columns []trait, n int) table {
	var t table
	at, length := map[string]int{}, make([]int, n)
	for _, name := range x.order {
		if name.list == "" || name.number < 0 {
			continue
		}
		if _, ok := at[name.list]; !ok {
			at[name.list] = len(t.columns)
			t.columns = append(t.columns, trait{bit: columns[name.number].bit})
		}
		for i, v := range columns[name.number].values {
			if v == v {
				length[i] = max(length[i], name.place+1)
			}
		}
	}
	t.start = append(t.start, 0)
	for i := range n {
		for p := range length[i] {
			t.depth = append(t.depth, int32(p))
		}
		t.start = append(t.start, int32(len(t.depth)))
	}
	for k := range t.columns {
		values := make([]float64, len(t.depth))
		for j := range values {
			values[j] = math.NaN()
		}
		t.columns[k].values = values
	}
	for _, name := range x.order {
		if name.list == "" || name.number < 0 {
			continue
		}
		to := t.columns[at[name.list]].values
		for i, v := range columns[name.number].values {
			if v == v {
				to[int(t.start[i])+name.place] = v
			}
		}
	}
	return t
}

// describe finds the kind and range of the values.
func (t *trait) describe() {
	seen := map[float64]bool{}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range t.values {
		if v == v {
			low, high = min(low, v), max(high, v)
			if len(seen) <= maxGroups {
				seen[v] = true
			}
		}
	}
	if len(seen) > 1 && len(seen) <= maxGroups {
		for v := range seen {
			t.distinct = append(t.distinct, v)
		}
		slices.Sort(t.distinct)
	}
	t.positive = low > 0
	t.scaled = t.values
	if t.positive && high >= wide*low && !math.IsInf(high, 0) {
		t.scaled = make([]float64, len(t.values))
		for i, v := range t.values {
			t.scaled[i] = math.Log(v)
		}
	}
}
