package strategies

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"archflow/pipeline/mutation"
	"archflow/schemas"
)

// Pool is the architectures that a search chooses from, one a network. An open pool
// grows by mutations of its members; a closed one has what a table has results of.
type Pool struct {
	Candidates []Candidate
	Open       bool
	decoder    *schemas.Decoder
	generator  *mutation.Generator

	mu             sync.RWMutex // of the places: labels arrive while the pool grows
	byNetwork      map[schemas.ID]int
	byArchitecture map[schemas.ID]int
	byID           map[string]int

	features map[string]int32 // by name, for policies and distances; filled when one asks
}

// Candidate is one of a pool.
type Candidate struct {
	ID       string // as text
	Message  []byte // as it is published
	Made     bool   // for the search, by a mutation or by its id: nobody has published it so
	draft    mutation.Draft
	mutable  bool
	features []int32 // in order; nil until one asks
}

// NewPool returns an empty pool for candidates within limits.
func NewPool(limits schemas.Limits) *Pool {
	d := schemas.NewDecoder(limits)
	return &Pool{
		byNetwork: map[schemas.ID]int{}, byArchitecture: map[schemas.ID]int{}, byID: map[string]int{},
		decoder: d, generator: mutation.New(d), features: map[string]int32{},
	}
}

// Find returns the place of a message's network. An open pool takes in one that is not
// there as made for the search.
func (p *Pool) Find(message []byte) (place int, ok bool, err error) {
	var rows schemas.Candidates
	if refused := p.decoder.Candidate(&rows, message); refused != nil {
		return 0, false, refused
	}
	if place, ok = p.byNetwork[rows.Network[0]]; ok || !p.Open {
		return place, ok, nil
	}
	if err := p.Add(message); err != nil {
		return 0, false, err
	}
	place = len(p.Candidates) - 1
	p.Candidates[place].Made = true
	return place, true, nil
}

// Add puts in a candidate message unless its network is there. The error says why
// it is none.
func (p *Pool) Add(message []byte) error {
	var rows schemas.Candidates
	if refused := p.decoder.Candidate(&rows, message); refused != nil {
		return refused
	}
	id := schemas.IDText(rows.ID.At(0))
	if place, known := p.byNetwork[rows.Network[0]]; known {
		if c := &p.Candidates[place]; c.ID == id {
			c.Made = false
		}
		p.alias(id, rows.Architecture[0], place)
		return nil
	}
	c, err := p.candidate(message, id, rows.Architecture[0])
	if err != nil {
		return err
	}
	p.put(c, rows.Architecture[0], rows.Network[0])
	return nil
}

// candidate makes a candidate of a message. One without an id, or with that of another
// network, gets the hash of its architecture as its id, so that a label can name it.
func (p *Pool) candidate(message []byte, id string, architecture schemas.ID) (Candidate, error) {
	c := Candidate{ID: id}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(message, &fields); err != nil {
		return c, err
	}
	for name := range fields {
		switch name {
		case "labels", "hw", "numbers": // of benchmark tables; a searcher must not see them
			delete(fields, name)
		case "architecture", "network", "tasks", "reason", "unknown": // of answers
			delete(fields, name)
		case "search", "trial", "batch", "goal": // of trials
			delete(fields, name)
		}
	}
	if _, taken := p.Of(id); taken || id == "" {
		c.ID, c.Made = architecture.String(), true
		fields["id"] = fmt.Appendf(nil, "%q", c.ID)
	}
	var err error
	if c.Message, err = json.Marshal(fields); err != nil {
		return c, err
	}
	c.draft, c.mutable = p.generator.Observe(c.Message)
	return c, nil
}

func (p *Pool) put(c Candidate, architecture, network schemas.ID) {
	place := len(p.Candidates)
	p.Candidates = append(p.Candidates, c)
	p.mu.Lock()
	p.byNetwork[network] = place
	p.mu.Unlock()
	p.alias(c.ID, architecture, place)
}

// alias gives a place one more id, unless another has it, and one more architecture.
func (p *Pool) alias(id string, architecture schemas.ID, place int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byArchitecture[architecture] = place
	if _, taken := p.byID[id]; !taken && id != "" {
		p.byID[id] = place
	}
}

// OfLabel returns the place of the network that a label is of, by its graph, else by its
// architecture, else by its id. It may be called while the pool grows.
func (p *Pool) OfLabel(l *schemas.Label) (place int, ok bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if l.HasGraph {
		place, ok = p.byNetwork[l.Network]
		return place, ok
	}
	if place, ok = p.byArchitecture[l.Architecture]; ok && l.HasArchitecture {
		return place, ok
	}
	place, ok = p.byID[schemas.IDText(l.ID)]
	return place, ok
}

// Of returns the place of a candidate by its id. It may be called while the pool
// grows.
func (p *Pool) Of(id string) (place int, ok bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	place, ok = p.byID[id]
	return place, ok
}

const (
	tries     = 100 // mutations that are drawn until one serves
	triesEach = 25  // of them with one change, then as many with two, and so on
	near      = 10  // members from which one is drawn where no mutation serves
)

// Mutate returns the place of a network that is one change away, or as few as it
// takes: of an open pool a member or a new one, of a closed pool a member. Where a
// closed pool has none, as a small part of a large space, it is one of the nearest.
func (p *Pool) Mutate(place int, random *rand.Rand) int {
	if from := &p.Candidates[place]; from.mutable {
		for try := range tries {
			if at, ok := p.made(p.generator.Mutate(from.draft, 1+try/triesEach, random)); ok && at != place {
				return at
			}
		}
	}
	return p.neighbour(place, random)
}

// made returns the place of a draft, which an open pool takes in.
func (p *Pool) made(d mutation.Draft) (place int, ok bool) {
	made, ok := p.generator.Candidate(d)
	if !ok {
		return 0, false
	}
	place, ok = p.byNetwork[made.Network]
	if ok || !p.Open {
		return place, ok
	}
	if _, taken := p.Of(made.ID); taken {
		return 0, false
	}
	p.put(Candidate{ID: made.ID, Message: made.Message, Made: true, draft: d, mutable: true}, made.Architecture, made.Network)
	return len(p.Candidates) - 1, true
}

// Grow makes up to n new networks of an open pool by many changes of any member.
func (p *Pool) Grow(n int, random *rand.Rand) {
	const most = 12 // changes
	for end, try := len(p.Candidates)+n, 0; p.Open && len(p.Candidates) > 0 && len(p.Candidates) < end && try < 20*n; try++ {
		if from := &p.Candidates[random.IntN(len(p.Candidates))]; from.mutable {
			p.made(p.generator.Mutate(from.draft, 1+random.IntN(most), random))
		}
	}
}

// neighbour draws one of the members that have most in common with another.
func (p *Pool) neighbour(place int, random *rand.Rand) int {
	if len(p.Candidates) < 2 {
		return place
	}
	type member struct{ place, apart int }
	var nearest []member // in order
	from := p.featuresOf(place)
	for at := range p.Candidates {
		if at == place {
			continue
		}
		m := member{at, apart(from, p.featuresOf(at))}
		i, _ := slices.BinarySearchFunc(nearest, m.apart+1, func(m member, apart int) int { return m.apart - apart })
		if i < near {
			nearest = slices.Insert(nearest[:min(len(nearest), near-1)], i, m)
		}
	}
	return nearest[random.IntN(len(nearest))].place
}

// featuresOf returns the numbers of what a candidate consists of, in order, each as
// often as it does.
func (p *Pool) featuresOf(place int) []int32 {
	c := &p.Candidates[place]
	if c.features == nil {
		c.features = []int32{}
		for _, name := range c.draft.Features() {
			number, known := p.features[name]
			if !known {
				number = int32(len(p.features))
				p.features[name] = number
			}
			c.features = append(c.features, number)
		}
		slices.Sort(c.features)
	}
	return c.features
}

// apart counts the features that one of two lists has and the other has not.
func apart(a, b []int32) (n int) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] == b[0]:
			a, b = a[1:], b[1:]
		case a[0] < b[0]:
			a, n = a[1:], n+1
		default:
			b, n = b[1:], n+1
		}
	}
	return n + len(a) + len(b)
}
