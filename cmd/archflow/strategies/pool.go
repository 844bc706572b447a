package strategies

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"archflow/schemas"
)

// Pool is the architectures that a search chooses from, one a network.
type Pool struct {
	Candidates []Candidate
	byNetwork  map[schemas.ID]int
	byID       map[string]int
	words      []string // operations that mutations put in
	decoder    *schemas.Decoder

	features     [][]int32 // of each candidate, for policies; made when one asks
	featureCount int
}

// Candidate is one of a pool.
type Candidate struct {
	ID      string // as text
	Message []byte // as it is published
	cell    cell
}

// cell is the part of a message that mutations change.
type cell struct {
	Space       string          `json:"space"`
	Ops         []string        `json:"ops"`
	Edges       [][2]int        `json:"edges"`
	OpsReduce   json.RawMessage `json:"ops_reduce,omitempty"`
	EdgesReduce json.RawMessage `json:"edges_reduce,omitempty"`
}

// NewPool returns an empty pool for candidates within limits.
func NewPool(limits schemas.Limits) *Pool {
	return &Pool{byNetwork: map[schemas.ID]int{}, byID: map[string]int{}, decoder: schemas.NewDecoder(limits)}
}

// Add puts in a candidate message unless its network is there. The error says why
// it is none.
func (p *Pool) Add(message []byte) error {
	var rows schemas.Candidates
	if refused := p.decoder.Candidate(&rows, message); refused != nil {
		return refused
	}
	if _, known := p.byNetwork[rows.Network[0]]; known {
		return nil
	}
	c := Candidate{ID: string(schemas.AppendIDText(nil, rows.ID.At(0)))}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(message, &fields); err != nil {
		return err
	}
	for name := range fields {
		switch name {
		case "labels", "hw", "numbers": // of benchmark tables; a searcher must not see them
			delete(fields, name)
		}
	}
	if c.ID == "" {
		c.ID = rows.Architecture[0].String()
		fields["id"] = fmt.Appendf(nil, "%q", c.ID)
	}
	var err error
	if c.Message, err = json.Marshal(fields); err != nil {
		return err
	}
	if err := json.Unmarshal(message, &c.cell); err != nil || len(c.cell.Ops) == 0 {
		c.cell = graphOf(&rows)
	}
	for _, op := range c.cell.Ops {
		if op != "input" && op != "output" && len(p.words) < 256 && !slices.Contains(p.words, op) {
			p.words = append(p.words, op)
		}
	}
	p.byNetwork[rows.Network[0]] = len(p.Candidates)
	p.byID[c.ID] = len(p.Candidates)
	p.Candidates = append(p.Candidates, c)
	return nil
}

// graphOf returns the graph of a message that has a notation.
func graphOf(rows *schemas.Candidates) cell {
	c := cell{Space: schemas.Name(rows.Space[0])}
	for _, op := range rows.Graphs.Ops {
		c.Ops = append(c.Ops, schemas.Name(op))
	}
	for i := 0; i+1 < len(rows.Graphs.Edges); i += 2 {
		c.Edges = append(c.Edges, [2]int{int(rows.Graphs.Edges[i]), int(rows.Graphs.Edges[i+1])})
	}
	return c
}

// Of returns the place of a candidate by its id.
func (p *Pool) Of(id string) (place int, ok bool) {
	place, ok = p.byID[id]
	return place, ok
}

// tries bounds how often a mutation is drawn until one is in the pool.
const tries = 200

// Mutate returns the place of a network of the pool that is one operation or one
// edge away, of a random one when none is found.
func (p *Pool) Mutate(place int, random *rand.Rand) int {
	from := &p.Candidates[place].cell
	for range tries {
		if at, ok := p.find(p.changed(from, random)); ok && at != place {
			return at
		}
	}
	return random.IntN(len(p.Candidates))
}

func (p *Pool) changed(from *cell, random *rand.Rand) cell {
	c := *from
	n := len(c.Ops)
	if n < 3 || len(p.words) == 0 {
		return c
	}
	if random.IntN(2) == 0 {
		c.Ops = slices.Clone(c.Ops)
		c.Ops[1+random.IntN(n-2)] = p.words[random.IntN(len(p.words))]
		return c
	}
	i := random.IntN(n - 1)
	edge := [2]int{i, i + 1 + random.IntN(n-1-i)}
	if at := slices.Index(c.Edges, edge); at >= 0 {
		c.Edges = slices.Delete(slices.Clone(c.Edges), at, at+1)
	} else {
		c.Edges = append(slices.Clone(c.Edges), edge)
	}
	return c
}

func (p *Pool) find(c cell) (int, bool) {
	message, err := json.Marshal(c)
	if err != nil {
		return 0, false
	}
	var rows schemas.Candidates
	if p.decoder.Candidate(&rows, message) != nil {
		return 0, false
	}
	at, ok := p.byNetwork[rows.Network[0]]
	return at, ok
}
