package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"archflow/ops"
	"archflow/schemas"
)

// Where ask takes candidates from.
const (
	FromKnown = "known" // those that were published
	FromNew   = "new"   // made by mutation of them
	FromBoth  = "both"
)

const (
	newPerAsked  = 50   // candidates that are made for each that is asked for
	maxNew       = 2000 // in all
	parentsOfNew = 20   // the best, whose mutations are half of what is made
	maxChanges   = 12   // of a candidate that is made from one at random
	seenSample   = 1000 // networks that tell what a space is made of
	maxSeen      = 256  // values of an attribute, and operations
)

// draft is a candidate message in the parts that mutations change.
type draft struct {
	Space       string         `json:"space"`
	ID          string         `json:"id,omitempty"`
	Ops         []any          `json:"ops,omitempty"` // names, or objects with attributes
	Edges       [][2]int       `json:"edges,omitempty"`
	OpsReduce   []any          `json:"ops_reduce,omitempty"`
	EdgesReduce [][2]int       `json:"edges_reduce,omitempty"`
	Hyper       map[string]any `json:"hyperparameters,omitempty"`
}

// generator makes candidates of a space by mutation of those that are known:
// operations and attributes are exchanged for others that were seen, numbers within
// the range that was seen; graphs of own spaces lose and gain edges and nodes.
type generator struct {
	decoder *schemas.Decoder
	random  *rand.Rand
	ops     []any            // that were seen, with their attributes
	values  map[string][]any // attribute or hyperparameter -> values that were seen
	edges   bool             // graphs may change, not only what is on them
	bound   [2]int           // nodes and edges of the largest graph that was seen
}

// draftOf returns the parts of a known candidate; ok is false where they do not
// describe it, as with operations on edges.
func (g *generator) draftOf(e *entry) (d draft, ok bool) {
	if json.Unmarshal(e.message, &d) != nil {
		return d, false
	}
	d.ID = ""
	if len(d.Ops) == 0 && len(d.Hyper) == 0 { // a notation
		var rows schemas.Candidates
		if g.decoder.Candidate(&rows, e.message) != nil {
			return d, false
		}
		cells := Cells(&rows.Graphs, 0)
		d.Ops, d.Edges = anyOf(cells[0]), cells[0].Edges
		if len(cells) > 1 {
			d.OpsReduce, d.EdgesReduce = anyOf(cells[1]), cells[1].Edges
		}
	}
	text, err := json.Marshal(d)
	if err != nil {
		return d, false
	}
	var rows schemas.Candidates
	return d, g.decoder.Candidate(&rows, text) == nil && rows.Network[0] == e.network
}

func anyOf(c ops.Cell) (list []any) {
	for _, op := range c.Ops {
		list = append(list, op)
	}
	return list
}

// newGenerator looks at what a space is made of.
func newGenerator(v *view, d *schemas.Decoder, random *rand.Rand) *generator {
	g := &generator{decoder: d, random: random, values: map[string][]any{}}
	for _, e := range v.entries[:min(len(v.entries), seenSample)] {
		one, ok := g.draftOf(e)
		if !ok {
			continue
		}
		g.edges = !schemas.BuiltIn(e.space) || e.space == "nb101" || e.space == "dag"
		g.bound = [2]int{max(g.bound[0], len(one.Ops)), max(g.bound[1], len(one.Edges))}
		for _, op := range slices.Concat(one.Ops, one.OpsReduce) {
			if !isEnd(op) {
				g.ops = withSeen(g.ops, op)
			}
			if attributes, ok := op.(map[string]any); ok {
				g.note("op ", attributes)
			}
		}
		g.note("", one.Hyper)
	}
	return g
}

func (g *generator) note(kind string, values map[string]any) {
	for name, x := range values {
		if name != "op" {
			g.values[kind+name] = withSeen(g.values[kind+name], x)
		}
	}
}

// withSeen adds a value that is not there, up to maxSeen.
func withSeen(seen []any, x any) []any {
	key := fmt.Sprint(x)
	if len(seen) >= maxSeen || slices.ContainsFunc(seen, func(y any) bool { return fmt.Sprint(y) == key }) {
		return seen
	}
	return append(seen, x)
}

func isEnd(op any) bool { return op == "input" || op == "output" }

// another returns a value of what was seen; numbers come from their range.
func (g *generator) another(seen []any) any {
	x := seen[g.random.IntN(len(seen))]
	low, high, whole := math.Inf(1), math.Inf(-1), true
	for _, y := range seen {
		f, ok := y.(float64)
		if !ok {
			return x
		}
		low, high, whole = min(low, f), max(high, f), whole && f == math.Trunc(f)
	}
	if g.random.IntN(2) == 0 {
		return x
	}
	if whole {
		return low + float64(g.random.Int64N(int64(high-low)+1))
	}
	return low + g.random.Float64()*(high-low)
}

// change makes one change to a draft, which keeps its old parts untouched.
func (g *generator) change(d *draft) {
	var kinds []func(*draft)
	if len(g.ops) > 1 && len(d.Ops) > 0 {
		kinds = append(kinds, g.changeOp)
	}
	if slices.ContainsFunc(d.Ops, hasAttributes) {
		kinds = append(kinds, g.changeAttribute)
	}
	if len(d.Hyper) > 0 {
		kinds = append(kinds, g.changeHyper)
	}
	if g.edges && len(d.Ops) > 2 && len(d.OpsReduce) == 0 {
		kinds = append(kinds, g.changeEdge)
		if !schemas.BuiltIn(d.Space) {
			kinds = append(kinds, g.changeNodes)
		}
	}
	if len(kinds) > 0 {
		kinds[g.random.IntN(len(kinds))](d)
	}
}

func hasAttributes(op any) bool { m, ok := op.(map[string]any); return ok && len(m) > 1 }

func (g *generator) changeOp(d *draft) {
	list := &d.Ops
	if len(d.OpsReduce) > 0 && g.random.IntN(2) == 0 {
		list = &d.OpsReduce
	}
	at := g.random.IntN(len(*list))
	if !isEnd((*list)[at]) {
		*list = slices.Clone(*list)
		(*list)[at] = g.ops[g.random.IntN(len(g.ops))]
	}
}

func (g *generator) changeAttribute(d *draft) {
	at := g.random.IntN(len(d.Ops))
	old, ok := d.Ops[at].(map[string]any)
	if !ok {
		return
	}
	d.Ops = slices.Clone(d.Ops)
	d.Ops[at] = g.changed("op ", old)
}

func (g *generator) changeHyper(d *draft) { d.Hyper = g.changed("", d.Hyper) }

// changed returns a copy with another value under one of the names.
func (g *generator) changed(kind string, old map[string]any) map[string]any {
	names := sortedKeys(old)
	name := names[g.random.IntN(len(names))]
	changed := map[string]any{}
	for n, x := range old {
		changed[n] = x
	}
	if seen := g.values[kind+name]; len(seen) > 0 {
		changed[name] = g.another(seen)
	}
	return changed
}

func (g *generator) changeEdge(d *draft) {
	from := g.random.IntN(len(d.Ops) - 1)
	edge := [2]int{from, from + 1 + g.random.IntN(len(d.Ops)-1-from)}
	if at := slices.Index(d.Edges, edge); at >= 0 {
		d.Edges = slices.Delete(slices.Clone(d.Edges), at, at+1)
	} else if len(d.Edges) < g.bound[1] {
		d.Edges = append(slices.Clone(d.Edges), edge)
	}
}

// changeNodes puts a node on an edge, or takes one out and joins its neighbours.
func (g *generator) changeNodes(d *draft) {
	if len(d.Edges) == 0 {
		return
	}
	edge := d.Edges[g.random.IntN(len(d.Edges))]
	if g.random.IntN(2) == 0 && len(d.Ops) < g.bound[0] {
		at := edge[1] // what stood there and behind moves on by one
		if at <= edge[0] {
			return // not in topological order
		}
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
		d.Ops = slices.Insert(slices.Clone(d.Ops), at, g.ops[g.random.IntN(len(g.ops))])
		return
	}
	gone := edge[1]
	if isEnd(d.Ops[gone]) || gone == len(d.Ops)-1 {
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

// generate returns networks of a space that are not known: half of them one or two
// changes away from the best that are, half many changes away from any, scored by
// the newest model. There are fewer where the space has no more.
func (s *Server) generate(ctx context.Context, v *view, a askRequest) ([]*entry, error) {
	if len(v.entries) == 0 {
		return nil, nil
	}
	d := s.decoders.Get().(*schemas.Decoder)
	defer s.decoders.Put(d)
	random := rand.New(rand.NewPCG(a.Seed, uint64(len(v.entries))<<32+uint64(v.told)))
	g := newGenerator(v, d, random)
	best := v.best(slices.Clone(v.entries), a.Tasks[0], parentsOfNew)
	want := min(newPerAsked*a.N, maxNew)
	made := map[schemas.ID]bool{}
	var list []*entry
	for try := 0; len(list) < want && try < 10*want; try++ {
		parent, changes := v.entries[random.IntN(len(v.entries))], 1+random.IntN(maxChanges)
		if try%2 == 0 && len(best) > 0 {
			parent, changes = best[random.IntN(len(best))], 1+random.IntN(2)
		}
		draft, ok := g.draftOf(parent)
		if !ok {
			continue
		}
		for range changes {
			g.change(&draft)
		}
		if e := g.entry(draft); e != nil && v.byNetwork[e.network] == nil && !made[e.network] {
			made[e.network] = true
			list = append(list, e)
		}
	}
	return list, s.scoreNew(ctx, v, list)
}

// given returns the entries of the candidates that came with a question, one a
// network: of known ones that of the catalogue, of others new ones, scored by the
// newest model.
func (s *Server) given(ctx context.Context, v *view, a askRequest) ([]*entry, error) {
	d := s.decoders.Get().(*schemas.Decoder)
	defer s.decoders.Put(d)
	var list, added []*entry
	taken := map[schemas.ID]bool{}
	for i, message := range a.Candidates {
		var rows schemas.Candidates
		if refused := d.Candidate(&rows, message); refused != nil {
			e := rejected(refused.Class, refused.Reason)
			e.Message = fmt.Sprintf("candidates[%d]: %s", i, e.Message)
			return nil, e
		}
		if space := schemas.Name(rows.Space[0]); space != a.Space {
			return nil, refuse(http.StatusBadRequest, ClassParameter, "ask for each space by itself", "candidates[%d] is of space %.80q, the question of %.80q", i, space, a.Space)
		}
		network := rows.Network[0]
		if taken[network] {
			continue
		}
		taken[network] = true
		e := v.byNetwork[network]
		if e == nil {
			e = &entry{space: a.Space, message: message, network: network, architecture: []schemas.ID{rows.Architecture[0]}, labels: map[string]results{}}
			added = append(added, e)
		}
		list = append(list, e)
	}
	return list, s.scoreNew(ctx, v, added)
}

// entry returns the entry of a draft, nil where it is no candidate.
func (g *generator) entry(d draft) *entry {
	text, err := json.Marshal(d)
	if err != nil {
		return nil
	}
	var rows schemas.Candidates
	if g.decoder.Candidate(&rows, text) != nil {
		return nil
	}
	d.ID = "new-" + rows.Architecture[0].String()[:16]
	if text, err = json.Marshal(d); err != nil {
		return nil
	}
	return &entry{space: d.Space, message: text, network: rows.Network[0], architecture: []schemas.ID{rows.Architecture[0]}, labels: map[string]results{}}
}

// scoreNew asks the model about entries that the catalogue does not hold.
func (s *Server) scoreNew(ctx context.Context, v *view, list []*entry) error {
	if v.model == "" {
		return nil
	}
	now := time.Now().UnixMilli()
	for part := range slices.Chunk(list, rowsOfBatch) {
		messages := make([][]byte, len(part))
		for i, e := range part {
			messages[i] = e.message
		}
		b, err := s.predictor.process(ctx, messages, v.version, now)
		if err != nil {
			return err
		}
		c, p := schemas.ViewCandidates(b.Rows), schemas.ViewPredictions(b.Rows)
		for row := range c.Len() {
			part[c.Offset[row]].scores = v.scoresOf(&p, row)
		}
		b.Rows.Release()
	}
	return nil
}
