package pipeline

import (
	"slices"

	"archflow/internal/finite"
	"archflow/ops"
	"archflow/pipeline/api"
	"archflow/schemas"
)

// bestOf lists the best networks of a task, best first, one entry a network. An entry by
// an earlier model stays until the newest model scores its network.
type bestOf struct {
	list []ops.BestState
	on   map[schemas.ID]bool // the networks of list
}

// bests are the best of each task of a space.
type bests map[string]*bestOf

// shownBest is how many of a task the page shows.
const shownBest = 12

// offer enters a candidate into the lists of the tasks for which it ranks high enough.
func (s bests) offer(c *schemas.Candidates, p *schemas.Predictions, i int) {
	for task := p.TaskStart[i]; task < p.TaskStart[i+1]; task++ {
		percentile := finite.Float(p.Percentile[task])
		if !finite.Is(float64(percentile)) {
			continue
		}
		name := schemas.Name(p.Task[task])
		b := s[name]
		if b == nil {
			b = &bestOf{on: map[schemas.ID]bool{}}
			s[name] = b
		}
		if n := len(b.list); !b.on[c.Network[i]] && n == shownBest && percentile <= b.list[n-1].Percentile {
			continue
		}
		entry := b.take(c, i)
		entry.Task, entry.Model, entry.Percentile, entry.Top = name, schemas.Name(p.Model[i]), percentile, defined(p.Top[task])
		entry.Value, entry.Low, entry.High = finite.Float(p.Value[task]), finite.Float(p.Low[task]), finite.Float(p.High[task])
		b.put(entry, c.Network[i])
	}
}

// take removes the entry of a candidate's network, or makes one.
func (b *bestOf) take(c *schemas.Candidates, i int) ops.BestState {
	network := c.Network[i].String()
	if at := slices.IndexFunc(b.list, func(e ops.BestState) bool { return e.Network == network }); at >= 0 {
		entry := b.list[at]
		b.list = slices.Delete(b.list, at, at+1)
		return entry
	}
	entry := ops.BestState{ID: schemas.PlainID(c.ID.At(i)), Space: c.NameOf(i, c.Space[i]), Network: network, Cells: api.Cells(&c.Graphs, i)}
	if entry.ID == "" {
		entry.ID = c.Architecture[i].String()
	}
	return entry
}

func (b *bestOf) put(entry ops.BestState, network schemas.ID) {
	at, _ := slices.BinarySearchFunc(b.list, entry, func(a, b ops.BestState) int {
		if a.Percentile >= b.Percentile {
			return -1
		}
		return 1
	})
	b.list = slices.Insert(b.list, at, entry)
	b.on[network] = true
	if len(b.list) > shownBest {
		if last, err := schemas.ParseID(b.list[shownBest].Network); err == nil {
			delete(b.on, last)
		}
		b.list = b.list[:shownBest]
	}
}

// mark notes the label of a listed network.
func (s bests) mark(task, network string, value float64) {
	best := s[task]
	if best == nil {
		return
	}
	for i := range best.list {
		if b := &best.list[i]; b.Network == network {
			b.Labelled, b.Label = true, finite.Float(value)
		}
	}
}
