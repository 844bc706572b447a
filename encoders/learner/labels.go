package learner

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"archflow/encoders/teacher"
	"archflow/schemas"
)

// task is one thing that labels measure.
type task struct {
	name     string
	minimise bool
	results  map[schemas.ID]*results // every result, by architecture
	labels   map[schemas.ID]*label   // of those with results of full trainings
	failed   map[schemas.ID]*network // of those whose full trainings gave none
	fitted   int                     // labels when it was fitted last, 0 before
	changed  int                     // labels given, corrected or withdrawn since
	// trained are the networks whose labels the champion was fitted to, with its
	// held-out scores of them; NaN where those are not known.
	trained     map[schemas.ID]heldOut
	refused     string // why the last model was not taken, "" when it was
	prequential prequential
}

func newTask(name string) *task {
	return &task{name: name, results: map[schemas.ID]*results{}, labels: map[schemas.ID]*label{}, failed: map[schemas.ID]*network{}}
}

// heldOut is a score made without the label, and its uncertainty.
type heldOut struct{ score, spread float64 }

// label is a trained result of one architecture: the mean of its repeats.
type label struct {
	network *network
	value   float64
	repeats int
}

// results are all results of one architecture, by seed and fidelity.
type results struct {
	network *network
	id      string // of the candidate as a label named it last, JSON text
	repeats []repeat
}

// repeat is the result of one training.
type repeat struct {
	seed     string
	lower    bool    // it was less than the full training
	fidelity float64 // how much of it
	failed   bool    // it gave nothing
	value    float64
}

// goal turns values so that more is better.
func (t *task) goal(value float64) float64 {
	if t.minimise {
		return -value
	}
	return value
}

// empty reports that the task has no results left.
func (t *task) empty() bool { return len(t.results) == 0 }

// set records the result in a label. The same seed and fidelity replace; a withdrawal
// takes back its seed and fidelity, or everything where it names neither. A result that
// is not a number changes nothing.
func (t *task) set(architecture schemas.ID, n *network, x *schemas.Label) {
	r := t.results[architecture]
	one := repeat{seed: x.Seed, lower: x.HasFidelity, fidelity: x.Fidelity, failed: x.Failed, value: x.Value}
	same := func(o repeat) bool {
		return o.seed == one.seed && o.lower == one.lower && o.fidelity == one.fidelity
	}
	switch {
	case x.Missing || x.Withdrawn && r == nil:
		return
	case x.Withdrawn:
		before := len(r.repeats)
		r.repeats = slices.DeleteFunc(r.repeats, func(o repeat) bool { return one.seed == "" && !one.lower || same(o) })
		if len(r.repeats) == before {
			return
		}
	case r == nil:
		r = &results{network: n, repeats: []repeat{one}}
		t.results[architecture] = r
		n.labels++
	default:
		if at := slices.IndexFunc(r.repeats, same); at < 0 {
			r.repeats = append(r.repeats, one)
		} else if r.repeats[at] == one {
			return
		} else {
			r.repeats[at] = one
		}
	}
	if len(x.ID) > 0 {
		r.id = string(x.ID)
	}
	if len(r.repeats) == 0 {
		r.network.labels--
		delete(t.results, architecture)
	}
	t.average(architecture, r)
	t.changed++
}

// average puts the repeats of the full training together.
func (t *task) average(architecture schemas.ID, r *results) {
	delete(t.labels, architecture)
	delete(t.failed, architecture)
	slices.SortFunc(r.repeats, func(a, b repeat) int {
		return cmp.Or(cmp.Compare(a.fidelity, b.fidelity), cmp.Compare(a.seed, b.seed), boolean(a.lower, b.lower))
	})
	values, failures := 0, 0
	for _, one := range r.repeats {
		switch {
		case one.lower:
		case one.failed:
			failures++
		default:
			values++
		}
	}
	if values == 0 {
		if failures > 0 {
			t.failed[architecture] = r.network
		}
		return
	}
	mean := 0.
	for _, one := range r.repeats {
		if !one.lower && !one.failed {
			mean += one.value / float64(values)
		}
	}
	t.labels[architecture] = &label{r.network, mean, values}
}

func boolean(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// due says whether there are enough labels and enough of them have changed
// since the last fit.
func (t *task) due(first int, growth float64) bool {
	return len(t.labels) >= first && (t.fitted == 0 || t.changed >= max(1, int(math.Ceil(growth*float64(t.fitted)))))
}

// first returns how many labels a task needs for its first fit. Related labels of many
// more networks, of another task or of a lower fidelity, rank before it has that many
// itself.
func (l *Learner) first(t *task) int {
	n := len(t.labels)
	if n >= l.cfg.FirstLabels || n < teacher.MinLabels || l.cfg.Predictor != PredictorBest {
		return l.cfg.FirstLabels
	}
	enough := max(l.cfg.FirstLabels, relatedShare*n)
	for _, other := range l.tasks {
		if other != t && len(other.labels) >= enough {
			return teacher.MinLabels
		}
	}
	cheap := map[float64]int{}
	for _, r := range t.results {
		for _, one := range r.repeats {
			if one.lower && !one.failed {
				if cheap[one.fidelity]++; cheap[one.fidelity] >= enough {
					return teacher.MinLabels
				}
			}
		}
	}
	return l.cfg.FirstLabels
}

// fit notes that the labels that a fit began with have been learnt from.
func (t *task) fit(f *fitted) { t.fitted, t.changed = f.labels, max(t.changed-f.changed, 0) }

// training returns the labelled networks, as numbers in the buffer and in its order, and
// the target of each: the mean over the architectures that share it, turned so that more
// is better.
func (t *task) training() (rows []int, y []float64) {
	values := map[int][]float64{}
	for _, id := range sortedIDs(t.labels) {
		l := t.labels[id]
		values[l.network.slot] = append(values[l.network.slot], t.goal(l.value))
	}
	for row := range values {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	for _, row := range rows {
		mean := 0.
		for _, v := range values[row] {
			mean += v / float64(len(values[row]))
		}
		y = append(y, mean)
	}
	return rows, y
}

// failures returns the networks, as numbers in the buffer, of which every training
// failed, in order.
func (t *task) failures() []int {
	trained := map[int]bool{}
	for _, l := range t.labels {
		trained[l.network.slot] = true
	}
	var rows []int
	for _, n := range t.failed {
		if !trained[n.slot] {
			rows = append(rows, n.slot)
		}
	}
	slices.Sort(rows)
	return slices.Compact(rows)
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
	return "id " + schemas.IDText(id)
}

func waitingArchitecture(id schemas.ID) string { return "architecture " + id.String() }

// lower returns the labels of trainings that were less than full, a fidelity at a
// time, highest first.
func (t *task) lower() []teacher.Related {
	sums := map[float64]map[int][]float64{}
	for _, id := range sortedIDs(t.results) {
		r := t.results[id]
		for _, one := range r.repeats {
			if !one.lower || one.failed {
				continue
			}
			if sums[one.fidelity] == nil {
				sums[one.fidelity] = map[int][]float64{}
			}
			sums[one.fidelity][r.network.slot] = append(sums[one.fidelity][r.network.slot], t.goal(one.value))
		}
	}
	fidelities := slices.Sorted(maps.Keys(sums))
	slices.Reverse(fidelities)
	var out []teacher.Related
	for _, fidelity := range fidelities {
		var x teacher.Related
		for _, row := range slices.Sorted(maps.Keys(sums[fidelity])) {
			mean, values := 0., sums[fidelity][row]
			for _, v := range values {
				mean += v / float64(len(values))
			}
			x.Labelled, x.Y = append(x.Labelled, row), append(x.Y, mean)
		}
		out = append(out, x)
	}
	return out
}

const (
	// maxRelated is the number of sets of related labels that a task is learnt with; each
	// takes a fit.
	maxRelated = 2
	// relatedShare is how many more networks than the task's own they have to know.
	relatedShare = 2
)

// related returns the labels that may help a task with labels of that many networks: of
// its lower fidelities and of other tasks, largest set first.
func (l *Learner) related(t *task, networks int) []teacher.Related {
	all := t.lower()
	for _, other := range l.tasks {
		if other != t {
			rows, y := other.training()
			all = append(all, teacher.Related{Labelled: rows, Y: y})
		}
	}
	all = slices.DeleteFunc(all, func(x teacher.Related) bool { return len(x.Labelled) < relatedShare*networks })
	slices.SortStableFunc(all, func(a, b teacher.Related) int { return len(b.Labelled) - len(a.Labelled) })
	return all[:min(len(all), maxRelated)]
}
