package mutation

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"archflow/schemas"
)

const (
	maxObserved = 256 // values of an attribute, and operations, that are kept
	maxChoices  = 16  // values of a number that is a choice, such as the size of a kernel
	timesEach   = 4   // how often a value of a choice was observed on average
)

// Generator makes candidates of one space by mutating those that it has observed. It is
// not for concurrent use.
type Generator struct {
	decoder *schemas.Decoder

	ops    observed             // with their attributes
	values map[string]*observed // by operation and attribute, or by hyperparameter
	graphs int                  // observed so far
	pruned bool                 // some had nodes on no path from an input to an output
	nodes  span                 // of a graph
	excess span                 // of edges over nodes
}

// span is the range of the observed sizes.
type span struct{ low, high int }

func (s *span) add(x int, first bool) {
	if first {
		*s = span{x, x}
	}
	s.low, s.high = min(s.low, x), max(s.high, x)
}

func (s span) holds(x int) bool { return x >= s.low && x <= s.high }

// New returns a generator without observations.
func New(d *schemas.Decoder) *Generator {
	return &Generator{decoder: d, values: map[string]*observed{}}
}

// Observe takes in a candidate of the space; ok is false where it cannot be mutated.
func (g *Generator) Observe(message []byte) (d Draft, ok bool) {
	d, rows, ok := g.draft(message)
	if !ok {
		return d, false
	}
	if len(d.Edges) > 0 {
		g.nodes.add(len(d.Ops), g.graphs == 0)
		g.excess.add(len(d.Edges)-len(d.Ops), g.graphs == 0)
		g.pruned = g.pruned || rows.Architecture[0] != rows.Network[0]
		g.graphs++
	}
	for _, list := range d.lists() {
		for _, op := range *list {
			if !isEnd(op) {
				g.ops.add(op)
			}
			if attributes, ok := op.(map[string]any); ok {
				g.note(kindOf(op), attributes)
			}
		}
	}
	g.note("", d.Hyper)
	return d, true
}

func (g *Generator) note(kind string, values map[string]any) {
	for name, x := range values {
		if kind != "" && name == "op" {
			continue
		}
		if g.values[kind+name] == nil {
			g.values[kind+name] = &observed{}
		}
		g.values[kind+name].add(x)
	}
}

// Mutate returns a draft after some changes.
func (g *Generator) Mutate(d Draft, changes int, random *rand.Rand) Draft {
	for range changes {
		g.change(&d, random)
	}
	return d
}

// Candidate is one that was made.
type Candidate struct {
	ID                    string
	Message               []byte // as it may be published
	Architecture, Network schemas.ID
}

// Candidate returns the candidate of a draft, with an id of its own; ok is false where
// it is none, or its graph is unlike those that were seen.
func (g *Generator) Candidate(d Draft) (c Candidate, ok bool) {
	alike := g.nodes.holds(len(d.Ops)) && g.excess.holds(len(d.Edges)-len(d.Ops))
	if g.editable(&d) && !alike {
		return c, false
	}
	text, err := json.Marshal(d)
	if err != nil {
		return c, false
	}
	var rows schemas.Candidates
	if g.decoder.Candidate(&rows, text) != nil || !g.pruned && rows.Architecture[0] != rows.Network[0] {
		return c, false
	}
	d.ID = "new-" + rows.Architecture[0].String()[:16]
	text, err = json.Marshal(d)
	return Candidate{d.ID, text, rows.Architecture[0], rows.Network[0]}, err == nil
}

// editable reports whether edges and nodes of a draft may change, besides operations and
// attributes.
func (g *Generator) editable(d *Draft) bool {
	free := !schemas.BuiltIn(d.Space) || d.Space == "nb101" || d.Space == "dag"
	return free && len(d.OpsReduce) == 0 && len(d.Ops) > 2 && len(d.Edges) > 0 && len(d.EdgeOps) == 0
}

// change makes one change.
func (g *Generator) change(d *Draft, random *rand.Rand) {
	var kinds []func(*Draft, *rand.Rand)
	lists := d.lists()
	if len(g.ops.values) > 1 && len(lists) > 0 {
		kinds = append(kinds, g.changeOp)
	}
	if slices.ContainsFunc(lists, func(list *[]any) bool { return slices.ContainsFunc(*list, hasAttributes) }) {
		kinds = append(kinds, g.changeAttribute)
	}
	if len(d.Hyper) > 0 {
		kinds = append(kinds, g.changeHyper)
	}
	if d.Space == "nb301" {
		kinds = append(kinds, (*Draft).changeRead)
	}
	if g.editable(d) {
		kinds = append(kinds, g.changeEdge)
		if !schemas.BuiltIn(d.Space) && g.nodes.low < g.nodes.high && len(g.ops.values) > 0 {
			kinds = append(kinds, g.changeNodes)
		}
	}
	if len(kinds) > 0 {
		kinds[random.IntN(len(kinds))](d, random)
	}
}

// place draws one of the operations that meet a condition; ok is false without one.
func (d *Draft) place(random *rand.Rand, meets func(any) bool) (list *[]any, at int, ok bool) {
	total := 0
	for _, candidates := range d.lists() {
		for i, op := range *candidates {
			if !meets(op) {
				continue
			}
			if total++; random.IntN(total) == 0 {
				list, at = candidates, i
			}
		}
	}
	return list, at, total > 0
}

func (g *Generator) changeOp(d *Draft, random *rand.Rand) {
	if list, at, ok := d.place(random, func(op any) bool { return !isEnd(op) }); ok {
		replace(list, at, g.ops.values[random.IntN(len(g.ops.values))])
	}
}

func (g *Generator) changeAttribute(d *Draft, random *rand.Rand) {
	if list, at, ok := d.place(random, hasAttributes); ok {
		op := (*list)[at]
		replace(list, at, g.changed(kindOf(op), op.(map[string]any), random))
	}
}

func (g *Generator) changeHyper(d *Draft, random *rand.Rand) {
	d.Hyper = g.changed("", d.Hyper, random)
}

// changed returns a copy with another value under one of the names.
func (g *Generator) changed(kind string, old map[string]any, random *rand.Rand) map[string]any {
	names := sortedNames(old)
	if kind != "" {
		names = slices.DeleteFunc(names, func(name string) bool { return name == "op" })
	}
	name := names[random.IntN(len(names))]
	changed := maps.Clone(old)
	if s := g.values[kind+name]; s != nil {
		changed[name] = s.draw(random)
	}
	return changed
}

// changeEdge takes an edge out, puts one in, or does both.
func (g *Generator) changeEdge(d *Draft, random *rand.Rand) {
	kind := random.IntN(3)
	if kind != 0 && len(d.Edges) > 0 {
		at := random.IntN(len(d.Edges))
		d.Edges = slices.Delete(slices.Clone(d.Edges), at, at+1)
	}
	if kind != 1 {
		from := random.IntN(len(d.Ops) - 1)
		if edge := [2]int{from, from + 1 + random.IntN(len(d.Ops)-1-from)}; !slices.Contains(d.Edges, edge) {
			d.Edges = append(slices.Clone(d.Edges), edge)
		}
	}
}

// changeNodes puts a node on an edge, or takes one out and joins its neighbours.
func (g *Generator) changeNodes(d *Draft, random *rand.Rand) {
	if len(d.Edges) == 0 {
		return
	}
	edge := d.Edges[random.IntN(len(d.Edges))]
	switch {
	case random.IntN(2) != 0:
		d.remove(edge[1])
	case edge[1] > edge[0]: // else the nodes are in no topological order
		d.insert(edge, g.ops.values[random.IntN(len(g.ops.values))])
	}
}

func (d *Draft) insert(edge [2]int, op any) {
	at := edge[1] // this node and those after it move on by one
	moved := func(i int) int {
		if i >= at {
			return i + 1
		}
		return i
	}
	var edges [][2]int
	for _, e := range d.Edges {
		if e != edge {
			edges = append(edges, [2]int{moved(e[0]), moved(e[1])})
		}
	}
	d.Edges = append(edges, [2]int{moved(edge[0]), at}, [2]int{at, at + 1})
	d.Ops = slices.Insert(slices.Clone(d.Ops), at, op)
}

func (d *Draft) remove(gone int) {
	if gone >= len(d.Ops)-1 || isEnd(d.Ops[gone]) {
		return
	}
	moved := func(i int) int {
		if i > gone {
			return i - 1
		}
		return i
	}
	var edges [][2]int
	add := func(a, b int) {
		if e := [2]int{moved(a), moved(b)}; !slices.Contains(edges, e) {
			edges = append(edges, e)
		}
	}
	for _, e := range d.Edges {
		switch {
		case e[0] == gone:
		case e[1] == gone:
			for _, f := range d.Edges {
				if f[0] == gone {
					add(e[0], f[1])
				}
			}
		default:
			add(e[0], e[1])
		}
	}
	d.Ops, d.Edges = slices.Delete(slices.Clone(d.Ops), gone, gone+1), edges
}

// observed is the distinct values of one kind, up to maxObserved.
type observed struct {
	values  []any
	numbers []float64 // of values, in order; empty once one is no number
	known   map[string]bool
	times   int
	other   bool // one is no number
}

func (s *observed) add(x any) {
	s.times++
	if s.known == nil {
		s.known = map[string]bool{}
	}
	key := text(x)
	if len(s.values) >= maxObserved || s.known[key] {
		return
	}
	s.known[key] = true
	s.values = append(s.values, x)
	number, ok := x.(float64)
	if s.other = s.other || !ok; s.other {
		s.numbers = nil
		return
	}
	at, _ := slices.BinarySearch(s.numbers, number)
	s.numbers = slices.Insert(s.numbers, at, number)
}

// draw returns an observed value. For numbers with many values it returns half of the
// time one of their range, whole if all are.
func (s *observed) draw(random *rand.Rand) any {
	x := s.values[random.IntN(len(s.values))]
	if list, ok := x.([]any); ok {
		return s.mixed(list, random)
	}
	choice := len(s.values) <= maxChoices && s.times >= timesEach*len(s.values)
	if s.other || choice || random.IntN(2) == 0 {
		return x
	}
	low, high := s.numbers[0], s.numbers[len(s.numbers)-1]
	share := random.Float64()
	number := low*(1-share) + high*share // high-low may be no number
	if !slices.ContainsFunc(s.numbers, func(n float64) bool { return n != math.Trunc(n) }) {
		number = math.Round(number)
	}
	return min(max(number, low), high)
}

// mixed returns a list, half of the time with an element of another list of the same
// length in its place.
func (s *observed) mixed(list []any, random *rand.Rand) any {
	other, ok := s.values[random.IntN(len(s.values))].([]any)
	if !ok || len(other) != len(list) || len(list) == 0 || random.IntN(2) == 0 {
		return list
	}
	list = slices.Clone(list)
	at := random.IntN(len(list))
	list[at] = other[at]
	return list
}

func hasAttributes(op any) bool { m, ok := op.(map[string]any); return ok && len(m) > 1 }

func opName(op any) string {
	if m, ok := op.(map[string]any); ok {
		op = m["op"]
	}
	return text(op)
}

// kindOf is the key of an operation's attributes.
func kindOf(op any) string { return opName(op) + "\x00" }

// isEnd says whether an operation is an input or the output of a graph, which stay.
func isEnd(op any) bool {
	name := opName(op)
	return name == "input" || name == "output" || strings.HasPrefix(name, "input:") || strings.HasPrefix(name, "hidden:") || strings.HasPrefix(name, "c_k-")
}

func sortedNames(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func text(x any) string { return fmt.Sprint(x) }
