package encoders

import (
	"bytes"
	"math"
	"slices"

	"archflow/schemas"
)

// Compose returns a model of one space that answers the tasks taken as newer does
// and the tasks kept as older does, in order of their names, under the version of
// newer. Members and remembered networks that neither needs any more are left
// out. Both models stay as they are.
func Compose(newer, older *Model, taken, kept []string) (*Model, error) {
	type part struct {
		model *Model
		task  int
	}
	var parts []part
	for _, name := range taken {
		parts = append(parts, part{newer, newer.Task(name)})
	}
	for _, name := range kept {
		parts = append(parts, part{older, older.Task(name)})
	}
	slices.SortFunc(parts, func(a, b part) int {
		return bytes.Compare([]byte(a.model.Tasks[a.task].Name), []byte(b.model.Tasks[b.task].Name))
	})
	var members []*Member
	place := map[*Member]int{}
	for _, m := range []*Model{newer, older} { // the embedding is that of the newest member
		for i, member := range m.Members {
			used := slices.ContainsFunc(parts, func(p part) bool {
				return p.model == m && slices.ContainsFunc(m.Tasks[p.task].Heads, func(h Head) bool { return h.Member == i })
			})
			if _, placed := place[member]; used && !placed {
				place[member] = len(members)
				members = append(members, member)
			}
		}
	}
	tasks := make([]Task, len(parts))
	for i, p := range parts {
		tasks[i] = p.model.Tasks[p.task]
		tasks[i].Heads = slices.Clone(tasks[i].Heads)
		for h := range tasks[i].Heads {
			tasks[i].Heads[h].Member = place[p.model.Members[tasks[i].Heads[h].Member]]
		}
	}
	m, err := NewModel(newer.Space, newer.Version, members, tasks)
	if err != nil {
		return nil, err
	}
	var ids []schemas.ID
	scores := make([][]float64, len(parts))
	add := func(id schemas.ID) {
		known := false
		for i, p := range parts {
			score := math.NaN()
			if own := p.model.Known.Scores(id); own != nil {
				score = own[p.task]
			}
			known = known || score == score
			scores[i] = append(scores[i], score)
		}
		if known {
			ids = append(ids, id)
			return
		}
		for i := range scores {
			scores[i] = scores[i][:len(ids)]
		}
	}
	for _, id := range newer.Known.IDs() {
		add(id)
	}
	for _, id := range older.Known.IDs() {
		if newer.Known.Scores(id) == nil {
			add(id)
		}
	}
	if len(ids) > 0 {
		m.Known = NewKnown(ids, scores)
	}
	return m, nil
}
