package teacher

import (
	"slices"
	"strings"

	"archflow/schemas"
)

const (
	maxFamilies = 4  // more kinds of cells than this are treated as one
	maxClasses  = 16 // rarer operations of a family share its last class
)

// terminal classes of a node, beside the classes 0, 1, ... of its family.
const (
	sourceClass = -1 // an operation that nothing ever flows into, such as an input
	sinkClass   = -2 // an operation that nothing ever flows out of, such as an output
)

// family is a kind of cell: operations that meet in connected components.
type family struct {
	classes int // classes of inner operations
	sources int // kinds of source
}

// vocabulary classifies the operations of a space. Its numbers follow the names of
// operations, so that they do not depend on the order of interning.
type vocabulary struct {
	families []family
	of       map[schemas.Symbol]word
}

// word is the role of one operation.
type word struct {
	family int // of inner operations; -1 for terminals, which follow their component
	class  int // in its family, or a terminal class
	source int // number among the sources, for sourceClass
}

// newVocabulary reads the roles of operations off all graphs.
func newVocabulary(g *schemas.Graphs) *vocabulary {
	type uses struct{ nodes, into, outof int }
	seen := map[schemas.Symbol]*uses{}
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		for _, op := range ops {
			if seen[op] == nil {
				seen[op] = &uses{}
			}
			seen[op].nodes++
		}
		for e := 0; e < len(edges); e += 2 {
			seen[ops[edges[e]]].outof++
			seen[ops[edges[e+1]]].into++
		}
	}
	ops := make([]schemas.Symbol, 0, len(seen))
	for op := range seen {
		ops = append(ops, op)
	}
	sortByName(ops)

	v := &vocabulary{of: make(map[schemas.Symbol]word, len(ops))}
	number := make(map[schemas.Symbol]int, len(ops)) // among the inner operations
	var inner []schemas.Symbol
	sources := 0
	for _, op := range ops {
		switch u := seen[op]; {
		case u.into == 0 && u.outof > 0:
			v.of[op] = word{-1, sourceClass, min(sources, maxClasses-1)}
			sources++
		case u.outof == 0:
			v.of[op] = word{-1, sinkClass, 0}
		default:
			number[op] = len(inner)
			inner = append(inner, op)
		}
	}
	root := unite(g, number, len(inner))
	var roots []int
	for k := range inner {
		if root[k] == k {
			roots = append(roots, k)
		}
	}
	if len(roots) > maxFamilies {
		clear(root)
		roots = []int{0}
	}
	for f, r := range roots {
		var members []schemas.Symbol
		for k, op := range inner {
			if root[k] == r {
				members = append(members, op)
			}
		}
		common := slices.Clone(members)
		slices.SortStableFunc(common, func(a, b schemas.Symbol) int { return seen[b].nodes - seen[a].nodes })
		common = common[:min(len(common), maxClasses)]
		classes := 0
		for _, op := range members {
			if len(members) <= maxClasses || slices.Index(common, op) < maxClasses-1 && slices.Contains(common, op) {
				v.of[op] = word{f, classes, 0}
				classes++
			}
		}
		for _, op := range members {
			if _, ok := v.of[op]; !ok {
				v.of[op] = word{f, maxClasses - 1, 0}
				classes = maxClasses
			}
		}
		v.families = append(v.families, family{classes: classes, sources: min(sources, maxClasses)})
	}
	return v
}

// sortByName sorts operations in an order that is the same in every process.
func sortByName(ops []schemas.Symbol) {
	slices.SortFunc(ops, func(a, b schemas.Symbol) int { return strings.Compare(schemas.Name(a), schemas.Name(b)) })
}

// unite returns for each inner operation the smallest one that it is connected
// with by meeting in components of graphs.
func unite(g *schemas.Graphs, number map[schemas.Symbol]int, n int) []int {
	root := make([]int, n)
	for i := range root {
		root[i] = i
	}
	find := func(parent []int, i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	join := func(parent []int, a, b int) {
		a, b = find(parent, a), find(parent, b)
		parent[max(a, b)] = min(a, b)
	}
	var nodes, first []int
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		nodes = components(nodes[:0], len(ops), edges)
		first = append(first[:0], make([]int, len(ops))...)
		for t, op := range ops {
			k, ok := number[op]
			if !ok {
				continue
			}
			if c := nodes[t]; first[c] == 0 {
				first[c] = k + 1
			} else {
				join(root, first[c]-1, k)
			}
		}
	}
	for i := range root {
		root[i] = find(root, i)
	}
	return root
}

// components appends to dst, for each of n nodes, the smallest node that it is
// connected with.
func components(dst []int, n int, edges []int32) []int {
	for i := range n {
		dst = append(dst, i)
	}
	find := func(i int) int {
		for dst[i] != i {
			dst[i] = dst[dst[i]]
			i = dst[i]
		}
		return i
	}
	for e := 0; e < len(edges); e += 2 {
		a, b := find(int(edges[e])), find(int(edges[e+1]))
		dst[max(a, b)] = min(a, b)
	}
	for i := range dst {
		dst[i] = find(i)
	}
	return dst
}
