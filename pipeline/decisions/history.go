package decisions

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

const (
	keptOfTask = 16   // decisions of one task
	keptTasks  = 4096 // tasks; beyond, the one that was decided of longest ago is forgotten
)

// History is the newest decisions of every task as this process has followed
// them: whoever adds one has first made sure that the process answers with its
// Model. It is safe for concurrent use.
type History struct {
	mu    sync.Mutex
	tasks map[string]*taskHistory // by key
	due   map[string]bool         // spaces with labels about which the first decision is to come
	count int64                   // decisions added
	any   Decision                // the newest of those that reach furthest, of any space
	more  chan struct{}           // closed with the next decision
}

// taskHistory is the decisions of one task, oldest first, and when each came.
type taskHistory struct {
	decisions []Decision
	order     []int64
}

func (t *taskHistory) newest() *Decision { return &t.decisions[len(t.decisions)-1] }

// NewHistory returns one without decisions.
func NewHistory() *History {
	return &History{tasks: map[string]*taskHistory{}, due: map[string]bool{}, more: make(chan struct{})}
}

// Expect notes that a space has labels. Until it has a decision of its own, those about
// other spaces say nothing about its labels.
func (h *History) Expect(space string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due[space] = true
}

// Add puts d in front of those before it.
func (h *History) Add(d Decision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tasks[d.Key()]
	if t == nil {
		if len(h.tasks) >= keptTasks {
			h.forget()
		}
		t = &taskHistory{}
		h.tasks[d.Key()] = t
	}
	h.count++
	t.decisions, t.order = append(t.decisions, d), append(t.order, h.count)
	if over := len(t.decisions) - keptOfTask; over > 0 {
		t.decisions, t.order = slices.Delete(t.decisions, 0, over), slices.Delete(t.order, 0, over)
	}
	if d.reaches(&h.any) {
		h.any = d
	}
	close(h.more)
	h.more = make(chan struct{})
}

func (h *History) forget() {
	oldest, at := "", h.count+1
	for key, t := range h.tasks {
		if last := t.order[len(t.order)-1]; last < at {
			oldest, at = key, last
		}
	}
	delete(h.tasks, oldest)
}

// Newest returns the decisions of a space, of all when it is "", newest first.
func (h *History) Newest(space string) []Decision {
	h.mu.Lock()
	defer h.mu.Unlock()
	type entry struct {
		Decision
		at int64
	}
	var all []entry
	for _, t := range h.tasks {
		if space != "" && t.newest().Space != space {
			continue
		}
		for i, d := range t.decisions {
			all = append(all, entry{d, t.order[i]})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(b.at, a.at) })
	list := make([]Decision, len(all))
	for i := range all {
		list[i] = all[i].Decision
	}
	return list
}

// Last returns the newest decision of a task.
func (h *History) Last(space, task string) (Decision, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tasks[space+"/"+task]
	if t == nil {
		return Decision{}, false
	}
	return *t.newest(), true
}

// Learnt returns TOPIC/PARTITION -> next offset of the labels of a task that have
// been considered; nil before its first decision.
func (h *History) Learnt(space, task string) map[string]int64 {
	d, _ := h.Last(space, task)
	return d.Learnt
}

// Considered reports whether all labels of a space below learnt, next offsets by
// partition, have been considered. A decision covers every task of its space: the
// trainer takes labels in order and looks at all tasks of a space at once. A space
// without a decision, and that none is expected about, has no label below the positions
// of a decision about another.
func (h *History) Considered(space string, learnt map[int32]int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.considered(space, learnt)
}

func (h *History) considered(space string, learnt map[int32]int64) bool {
	known := false
	for _, t := range h.tasks {
		if d := t.newest(); d.Space == space {
			known = true
			if d.Covers(learnt) {
				return true
			}
		}
	}
	return !known && !h.due[space] && h.any.Covers(learnt)
}

// Wait returns once the labels below learnt have been considered in each of the
// spaces, so that this process answers with models that know them. The error is
// that of ctx.
func (h *History) Wait(ctx context.Context, spaces []string, learnt map[int32]int64) error {
	for {
		h.mu.Lock()
		more, missing := h.more, false
		for _, space := range spaces {
			missing = missing || !h.considered(space, learnt)
		}
		h.mu.Unlock()
		if !missing {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
