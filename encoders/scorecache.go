package encoders

import (
	"fmt"
	"math"
	"slices"

	"archflow/encoders/safetensors"
	"archflow/schemas"
)

// ScoreCache remembers the scores of networks that a slower and better teacher has
// ranked, so that the model answers them as the teacher would and everything
// else as the student that learnt from it. A score is NaN where the teacher of a
// task did not rank the network.
type ScoreCache struct {
	at     map[schemas.ID]int
	ids    []schemas.ID
	scores []float64 // [networks, tasks]
	// spreads [networks, tasks] say how unsure each score is, see Calibrate, NaN where
	// that is not known; nil in models from before they were kept.
	spreads []float64
	tasks   int
}

// NewScoreCache returns the memory of networks with scores[task][network] and, unless it
// is nil, how unsure each is.
func NewScoreCache(ids []schemas.ID, scores, spreads [][]float64) *ScoreCache {
	c := &ScoreCache{at: make(map[schemas.ID]int, len(ids)), ids: ids, tasks: len(scores), scores: transposed(scores, len(ids))}
	if spreads != nil {
		c.spreads = transposed(spreads, len(ids))
	}
	for i, id := range ids {
		c.at[id] = i
	}
	return c
}

// transposed returns columns [columns][n] as [n, columns].
func transposed(columns [][]float64, n int) []float64 {
	out := make([]float64, n*len(columns))
	for t, column := range columns {
		for i := range n {
			out[i*len(columns)+t] = column[i]
		}
	}
	return out
}

// Len returns the number of networks remembered.
func (k *ScoreCache) Len() int {
	if k == nil {
		return 0
	}
	return len(k.ids)
}

// IDs returns the networks remembered. It is a view.
func (k *ScoreCache) IDs() []schemas.ID {
	if k == nil {
		return nil
	}
	return k.ids
}

// Lookup returns the scores of a network, [tasks], nil when it is not
// remembered. It is a view.
func (k *ScoreCache) Lookup(id schemas.ID) []float64 {
	if k == nil {
		return nil
	}
	at, ok := k.at[id]
	if !ok {
		return nil
	}
	return k.scores[at*k.tasks : (at+1)*k.tasks]
}

// LookupSpread returns how unsure the scores of a network are, [tasks], nil when that is
// not known. It is a view.
func (k *ScoreCache) LookupSpread(id schemas.ID) []float64 {
	if k == nil || k.spreads == nil {
		return nil
	}
	at, ok := k.at[id]
	if !ok {
		return nil
	}
	return k.spreads[at*k.tasks : (at+1)*k.tasks]
}

// Cached says whether the model has a score of its teacher for a task of a
// network.
func (m *Model) Cached(id schemas.ID, task int) bool {
	scores := m.Cache.Lookup(id)
	return scores != nil && !math.IsNaN(scores[task])
}

// UseCache replaces the scores of networks that the model remembers. ids[rows[i]]
// is the network of answer i.
func (m *Model) UseCache(a *Answers, ids []schemas.ID, rows []int) {
	if m.Cache.Len() == 0 {
		return
	}
	for i, row := range rows {
		at, ok := m.Cache.at[ids[row]]
		if !ok {
			continue
		}
		for t := range a.Score {
			if score := m.Cache.scores[at*m.Cache.tasks+t]; score == score {
				a.Score[t][i], a.Spread[t][i] = score, math.NaN()
				if m.Cache.spreads != nil {
					a.Spread[t][i] = m.Cache.spreads[at*m.Cache.tasks+t]
				}
			}
		}
	}
}

// tensors returns the memory as it is stored.
func (k *ScoreCache) tensors() []safetensors.Tensor {
	if k.Len() == 0 {
		return nil
	}
	flat := make([]byte, 0, len(k.ids)*len(schemas.ID{}))
	for _, id := range k.ids {
		flat = append(flat, id[:]...)
	}
	tensors := []safetensors.Tensor{
		{Name: "known.networks", Shape: []int{len(k.ids), len(schemas.ID{})}, Data: flat},
		{Name: "known.scores", Shape: []int{len(k.ids), k.tasks}, Data: k.scores},
	}
	if k.spreads != nil {
		tensors = append(tensors, safetensors.Tensor{Name: "known.spreads", Shape: []int{len(k.ids), k.tasks}, Data: k.spreads})
	}
	return tensors
}

// readScoreCache returns the cache that tensors hold for that many tasks, nil when they
// hold none.
func readScoreCache(tensors []safetensors.Tensor, tasks int) (*ScoreCache, error) {
	for _, t := range tensors {
		if t.Name != "known.networks" {
			continue
		}
		flat, ok := t.Data.([]byte)
		width := len(schemas.ID{})
		if !ok || len(flat)%width != 0 {
			return nil, fmt.Errorf("tensor %q has type %T and %v bytes, want %d a network", t.Name, t.Data, t.Shape, width)
		}
		ids := make([]schemas.ID, len(flat)/width)
		for i := range ids {
			copy(ids[i][:], flat[i*width:])
		}
		scores, err := findTensor[float64](tensors, "known.scores", len(ids)*tasks)
		if err != nil {
			return nil, err
		}
		k := NewScoreCache(ids, nil, nil)
		k.tasks, k.scores = tasks, scores
		if slices.ContainsFunc(tensors, func(t safetensors.Tensor) bool { return t.Name == "known.spreads" }) {
			if k.spreads, err = findTensor[float64](tensors, "known.spreads", len(scores)); err != nil {
				return nil, err
			}
		}
		return k, nil
	}
	return nil, nil
}
