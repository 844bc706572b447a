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
				own := &m.Tasks[p.task]
				return p.model == m && slices.ContainsFunc(slices.Concat(own.Heads, own.Spreads), func(h Head) bool { return h.Member == i })
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
		moved := func(heads []Head) []Head {
			heads = slices.Clone(heads)
			for h := range heads {
				heads[h].Member = place[p.model.Members[heads[h].Member]]
			}
			return heads
		}
		tasks[i].Heads, tasks[i].Spreads = moved(tasks[i].Heads), moved(tasks[i].Spreads)
	}
	m, err := NewModel(newer.Space, newer.Version, members, tasks)
	if err != nil {
		return nil, err
	}
	var ids []schemas.ID
	scores, spreads := make([][]float64, len(parts)), make([][]float64, len(parts))
	add := func(id schemas.ID) {
		known := false
		for i, p := range parts {
			score, spread := math.NaN(), math.NaN()
			if own := p.model.Cache.Lookup(id); own != nil {
				score = own[p.task]
			}
			if own := p.model.Cache.LookupSpread(id); own != nil {
				spread = own[p.task]
			}
			known = known || score == score
			scores[i], spreads[i] = append(scores[i], score), append(spreads[i], spread)
		}
		if known {
			ids = append(ids, id)
			return
		}
		for i := range scores {
			scores[i], spreads[i] = scores[i][:len(ids)], spreads[i][:len(ids)]
		}
	}
	for _, id := range newer.Cache.IDs() {
		add(id)
	}
	for _, id := range older.Cache.IDs() {
		if newer.Cache.Lookup(id) == nil {
			add(id)
		}
	}
	if len(ids) > 0 {
		m.Cache = NewScoreCache(ids, scores, spreads)
	}
	return m, nil
}
