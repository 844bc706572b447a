package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"archflow/pipeline/mutation"
	"archflow/schemas"
)

// Where ask takes candidates from.
const (
	FromKnown = "known" // those that were published
	FromNew   = "new"   // made by mutation of them
	FromBoth  = "both"
)

const (
	newPerAsked    = 50   // candidates that are made for each that is asked for
	maxNew         = 2000 // in all
	parentsOfNew   = 20   // the best of a task, from which half of the candidates are mutated
	maxChanges     = 12   // of a candidate that is made from one at random
	observedSample = 1000 // networks from which a space's values are collected
)

// generate returns networks of a space that are not known: half of them one or two
// changes away from the best that are, half many changes away from any, scored by
// the newest model. There are fewer where the space has no more.
func (s *Server) generate(ctx context.Context, v *view, a askRequest) ([]*entry, error) {
	if len(v.entries) == 0 {
		return nil, nil
	}
	d := s.decoders.Get().(*schemas.Decoder)
	defer s.decoders.Put(d)
	random := rand.New(rand.NewPCG(a.Seed, uint64(len(v.entries))<<32+uint64(v.labelCount)))
	g := mutation.New(d)
	for _, e := range v.entries[:min(len(v.entries), observedSample)] {
		g.Observe(e.message)
	}
	var best []*entry
	for _, task := range a.Tasks {
		best = append(best, v.best(slices.Clone(v.entries), task, parentsOfNew)...)
	}
	want := min(newPerAsked*a.N, maxNew)
	made := map[schemas.ID]bool{}
	var list []*entry
	for try := 0; len(list) < want && try < 10*want; try++ {
		parent, changes := v.entries[random.IntN(len(v.entries))], 1+random.IntN(maxChanges)
		if try%2 == 0 && len(best) > 0 {
			parent, changes = best[random.IntN(len(best))], 1+random.IntN(2)
		}
		draft, ok := g.Draft(parent.message)
		if !ok {
			continue
		}
		c, ok := g.Candidate(g.Mutate(draft, changes, random))
		if !ok || v.byNetwork[c.Network] != nil || made[c.Network] {
			continue
		}
		made[c.Network] = true
		list = append(list, newEntry(a.Space, c.Message, c.Architecture, c.Network))
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
			e = newEntry(a.Space, message, rows.Architecture[0], network)
			added = append(added, e)
		}
		list = append(list, e)
	}
	return list, s.scoreNew(ctx, v, added)
}

// newEntry returns the entry of a candidate that the catalogue does not hold.
func newEntry(space string, message []byte, architecture, network schemas.ID) *entry {
	return &entry{space: space, message: message, network: network, architecture: []schemas.ID{architecture}, labels: map[string]results{}}
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
