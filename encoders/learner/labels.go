package learner

import (
	"math"
	"slices"

	"archflow/schemas"
)

// task is one thing that labels measure.
type task struct {
	name     string
	minimise bool
	labels   map[schemas.ID]*label // by architecture
	fitted   int                   // labels when it was fitted last, 0 before
	changed  int                   // labels given, corrected or withdrawn since
	// trained are the networks whose labels the champion was fitted to, with its
	// held-out scores of them; NaN where those are not known.
	trained map[schemas.ID]float64
	refused string // why the last model was not taken, \"\" when it was
	honest  honest
}

// label is a trained result of one architecture.
type label struct {
	network *network
	value   float64
}

// goal turns values so that more is better.
func (t *task) goal(value float64) float64 {
	if t.minimise {
		return -value
	}
	return value
}

// empty says that nothing is left of what was labelled.
func (t *task) empty() bool { return len(t.labels) == 0 }

// set records a value, replacing an earlier one; withdrawn removes it.
func (t *task) set(architecture schemas.ID, n *network, value float64, withdrawn bool) {
	old := t.labels[architecture]
	switch {
	case withdrawn && old == nil || !withdrawn && old != nil && old.value == value:
		return
	case withdrawn:
		old.network.labels--
		delete(t.labels, architecture)
	case old != nil:
		old.value = value
	default:
		t.labels[architecture] = &label{n, value}
		n.labels++
	}
	t.changed++
}

// due says whether there are enough labels and enough of them have changed
// since the last fit.
func (t *task) due(first int, growth float64) bool {
	return len(t.labels) >= first && (t.fitted == 0 || t.changed >= max(1, int(math.Ceil(growth*float64(t.fitted)))))
}

// fit notes that the labels that a fit began with have been learnt from.
func (t *task) fit(f *fitted) { t.fitted, t.changed = f.labels, max(t.changed-f.changed, 0) }

// training returns the labelled networks, as numbers in the buffer, and what
// to learn for each: the mean over the architectures that share it, turned so
// that more is better. The order is that of the buffer.
func (t *task) training() (rows []int, y []float64) {
	sum, count := map[int]float64{}, map[int]int{}
	for _, id := range sortedIDs(t.labels) {
		l := t.labels[id]
		sum[l.network.slot] += t.goal(l.value)
		count[l.network.slot]++
	}
	for row := range sum {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	for _, row := range rows {
		y = append(y, sum[row]/float64(count[row]))
	}
	return rows, y
}

func sortedIDs[V any](m map[schemas.ID]V) []schemas.ID {
	ids := make([]schemas.ID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b schemas.ID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

func sortedNames[V any](m map[schemas.Symbol]V) []string {
	names := make([]string, 0, len(m))
	for s := range m {
		names = append(names, schemas.Name(s))
	}
	slices.Sort(names)
	return names
}

func waitingID(id []byte) string {
	if len(id) == 0 {
		return ""
	}
	return "id " + string(id)
}

func waitingArchitecture(id schemas.ID) string { return "architecture " + id.String() }
