package encoders

import (
	"fmt"
	"math"

	"archflow/schemas"
)

// Known remembers the scores of networks that a slower and better teacher has
// ranked, so that the model answers them as the teacher would and everything
// else as the student that learnt from it. A score is NaN where the teacher of a
// task did not rank the network.
type Known struct {
	at     map[schemas.ID]int
	ids    []schemas.ID
	scores []float64 // [networks, tasks]
	tasks  int
}

// NewKnown returns the memory of networks with scores[task][network].
func NewKnown(ids []schemas.ID, scores [][]float64) *Known {
	k := &Known{at: make(map[schemas.ID]int, len(ids)), ids: ids, tasks: len(scores), scores: make([]float64, len(ids)*len(scores))}
	for i, id := range ids {
		k.at[id] = i
		for t := range scores {
			k.scores[i*k.tasks+t] = scores[t][i]
		}
	}
	return k
}

// Len returns the number of networks remembered.
func (k *Known) Len() int {
	if k == nil {
		return 0
	}
	return len(k.ids)
}

// IDs returns the networks remembered. It is a view.
func (k *Known) IDs() []schemas.ID {
	if k == nil {
		return nil
	}
	return k.ids
}

// Scores returns the scores of a network, [tasks], nil when it is not
// remembered. It is a view.
func (k *Known) Scores(id schemas.ID) []float64 {
	if k == nil {
		return nil
	}
	at, ok := k.at[id]
	if !ok {
		return nil
	}
	return k.scores[at*k.tasks : (at+1)*k.tasks]
}

// Remembers says whether the model has a score of its teacher for a task of a
// network.
func (m *Model) Remembers(id schemas.ID, task int) bool {
	scores := m.Known.Scores(id)
	return scores != nil && !math.IsNaN(scores[task])
}

// Recall replaces the scores of networks that the model remembers. ids[rows[i]]
// is the network of answer i.
func (m *Model) Recall(a *Answers, ids []schemas.ID, rows []int) {
	if m.Known.Len() == 0 {
		return
	}
	for i, row := range rows {
		at, ok := m.Known.at[ids[row]]
		if !ok {
			continue
		}
		for t := range a.Score {
			if score := m.Known.scores[at*m.Known.tasks+t]; score == score {
				a.Score[t][i] = score
			}
		}
	}
}

// tensors returns the memory as it is stored.
func (k *Known) tensors() []Tensor {
	if k.Len() == 0 {
		return nil
	}
	flat := make([]byte, 0, len(k.ids)*len(schemas.ID{}))
	for _, id := range k.ids {
		flat = append(flat, id[:]...)
	}
	return []Tensor{
		{"known.networks", []int{len(k.ids), len(schemas.ID{})}, flat},
		{"known.scores", []int{len(k.ids), k.tasks}, k.scores},
	}
}

// readKnown returns the memory that tensors hold for so many tasks, nil when
// they hold none.
func readKnown(tensors []Tensor, tasks int) (*Known, error) {
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
		k := NewKnown(ids, nil)
		k.tasks, k.scores = tasks, scores
		return k, nil
	}
	return nil, nil
}
