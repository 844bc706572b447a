package learner

import "archflow/schemas"

// waitingBytes bounds the memory of the names of waiting labels; an id can be as long as
// a message.
const waitingBytes = 64 << 20

// waiting holds labels whose candidates have not come, up to a capacity beyond which the
// oldest is given up.
type waiting struct {
	capacity int
	byKey    map[string][]waited
	order    []place // of the labels held, oldest first, and of some that have gone
	next     int64   // number of the next label
	held     int
	bytes    int
	gone     int64          // labels given up
	values   map[string]int // labels held that are no withdrawals, by task
}

type waited struct {
	label  schemas.Label
	number int64
}

type place struct {
	key    string
	number int64
}

func newWaiting(capacity int) *waiting {
	return &waiting{capacity: capacity, byKey: map[string][]waited{}, values: map[string]int{}}
}

// add takes in a label and gives up the oldest ones beyond the capacity. Withdrawals wait
// too.
func (w *waiting) add(key string, x schemas.Label) {
	if same := w.byKey[key]; x.Withdrawn {
		for i := range same {
			if earlier := &same[i].label; earlier.Task == x.Task {
				w.count(earlier, -1)
				earlier.Value, earlier.Withdrawn = 0, true
			}
		}
	}
	w.count(&x, 1)
	w.byKey[key] = append(w.byKey[key], waited{x, w.next})
	w.order = append(w.order, place{key, w.next})
	w.next++
	w.held++
	w.bytes += len(key) + len(x.ID) + len(x.Task)
	for w.held > w.capacity || w.bytes > waitingBytes && w.held > 1 {
		w.oldest()
	}
	if len(w.order) > 2*w.held+16 { // most have gone: close the gaps
		kept := w.order[:0]
		for _, p := range w.order {
			if w.holds(p) {
				kept = append(kept, p)
			}
		}
		w.order = kept
	}
}

// holds says whether a label still waits. Those of a key are in order and go
// from the front, or all at once.
func (w *waiting) holds(p place) bool {
	same := w.byKey[p.key]
	return len(same) > 0 && same[0].number <= p.number
}

// oldest gives up the label that has waited longest.
func (w *waiting) oldest() {
	for !w.holds(w.order[0]) {
		w.order = w.order[1:]
	}
	key := w.order[0].key
	w.order = w.order[1:]
	same := w.byKey[key]
	w.drop(key, same[0].label)
	w.gone++
	if len(same) == 1 {
		delete(w.byKey, key)
		return
	}
	w.byKey[key] = same[1:]
}

func (w *waiting) drop(key string, x schemas.Label) {
	w.held--
	w.count(&x, -1)
	w.bytes -= len(key) + len(x.ID) + len(x.Task)
}

// take returns the labels that waited under a key, which wait no longer.
func (w *waiting) take(key string) []schemas.Label {
	same := w.byKey[key]
	if len(same) == 0 {
		return nil
	}
	labels := make([]schemas.Label, len(same))
	for i, x := range same {
		labels[i] = x.label
		w.drop(key, x.label)
	}
	delete(w.byKey, key)
	return labels
}

// wants says whether a label that would count for a task waits.
func (w *waiting) wants(task string) bool { return w.values[task] > 0 }

// count notes that a label came or went.
func (w *waiting) count(x *schemas.Label, by int) {
	if x.Withdrawn {
		return
	}
	if w.values[x.Task] += by; w.values[x.Task] == 0 {
		delete(w.values, x.Task)
	}
}

// all returns the labels that wait, oldest first.
func (w *waiting) all() []schemas.Label {
	var labels []schemas.Label
	front := map[string]int{} // of those of a key
	for _, p := range w.order {
		if !w.holds(p) {
			continue
		}
		same := w.byKey[p.key]
		labels = append(labels, same[front[p.key]].label)
		front[p.key]++
	}
	return labels
}
