package learner

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"archflow/schemas"
)

// labelled returns the values that the task would learn from.
func labelled(l *Learner, task string) []float64 {
	_, y := l.task(task).training()
	slices.Sort(y)
	return y
}

func wantLabels(t *testing.T, l *Learner, want ...float64) {
	t.Helper()
	if got := labelled(l, "acc"); !slices.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
	check(t, l)
}

func TestLabelBeforeItsCandidate(t *testing.T) {
	w := cells(t, nil, 7000, 8000, 9000)
	l := New(tiny("nb201"))
	for i, x := range []struct {
		name string
		o    Outcome
	}{
		{"by id", l.Label(w.byID(0, "acc", 1))},
		{"by architecture", l.Label(w.byArchitecture(1, "acc", 2))},
	} {
		if x.o.Known {
			t.Errorf("%s: candidate %d is known before it came", x.name, i)
		}
	}
	wantLabels(t, l)
	if waiting := l.Tasks()[0].Waiting; waiting != 2 {
		t.Errorf("%d labels wait, want 2", waiting)
	}
	l.Observe(&w.c, 2)
	wantLabels(t, l)
	if o := l.Observe(&w.c, 0); len(o) != 1 || !o[0].Known || o[0].Network != w.c.Network[0] {
		t.Errorf("outcomes of the first: %+v", o)
	}
	wantLabels(t, l, 1)
	l.Observe(&w.c, 1)
	wantLabels(t, l, 1, 2)
	if o := l.Observe(&w.c, 1); o != nil {
		t.Errorf("a candidate that came twice settled %+v", o)
	}
	if waiting := l.Tasks()[0].Waiting; waiting != 0 {
		t.Errorf("%d labels wait, want none", waiting)
	}
}

// Programs write one id differently: 7, 7.0 and "7", "caf\u00e9" and "café".
func TestIDsAreComparedByWhatTheyAre(t *testing.T) {
	for _, ids := range [][3]string{{`7`, `"7"`, `7.0`}, {`"caf\u00e9"`, `"café"`, `"caf\u00E9"`}} {
		w := cells(t, nil)
		w.add(t, fmt.Sprintf(`{"space":"nb201","id":%s,"arch":%q}`, ids[0], arch(7000)))
		l := New(tiny("nb201"))
		label := func(id string, value float64) Outcome {
			return l.Label(schemas.Label{Space: "nb201", Task: "acc", Value: value, ID: []byte(id)})
		}
		label(ids[1], 1)
		l.Observe(&w.c, 0)
		wantLabels(t, l, 1)
		if o := label(ids[2], 2); !o.Known {
			t.Errorf("the label of %s waits for %s", ids[2], ids[0])
		}
		wantLabels(t, l, 2)
	}
}

// Labels whose candidates never come take bounded memory: the oldest are given
// up, and the others find their candidates.
func TestOldestWaitingLabelsAreGivenUp(t *testing.T) {
	w := cells(t, nil, some(40, 60)...)
	cfg := tiny("nb201")
	cfg.Waiting = 20
	l := New(cfg)
	for i := range 60 {
		if i == 45 { // one of them comes in between
			l.Observe(&w.c, 44)
		}
		l.Label(w.byID(i, "acc", float64(i)))
	}
	if waiting, gone := l.Waiting(); waiting != 20 || gone != 39 {
		t.Errorf("%d wait and %d were given up, want 20 and 39", waiting, gone)
	}
	l = reborn(t, l)
	l.Label(w.byArchitecture(0, "acc", 0)) // the next to wait gives up the oldest, also in another process
	for i := range 60 {
		known := len(l.Observe(&w.c, i)) == 1
		if want := i >= 40 && i != 44 || i == 0; known != want {
			t.Errorf("the label of candidate %d waited: %v, want %v", i, known, want)
		}
	}
	if waiting, _ := l.Waiting(); waiting != 0 || l.waiting.bytes != 0 {
		t.Errorf("%d wait in the end, %d bytes", waiting, l.waiting.bytes)
	}
	long := w.byID(0, "acc", 1)
	long.ID = bytes.Repeat([]byte("x"), waitingBytes/4)
	for i := range 5 {
		long.ID = bytes.Clone(long.ID)
		long.ID[0] = byte(i)
		l.Label(long)
	}
	if waiting, _ := l.Waiting(); waiting != 1 || l.waiting.bytes > waitingBytes {
		t.Errorf("%d labels of %d bytes wait", waiting, l.waiting.bytes)
	}
}

func TestLabelWithItsGraphNeedsNoCandidate(t *testing.T) {
	w := cells(t, nil)
	l := New(tiny("nb201"))
	if o := l.Label(w.byGraph(t, 7000, "acc", 3)); !o.Known {
		t.Errorf("a label with a graph waits: %+v", o)
	}
	wantLabels(t, l, 3)
}

func TestLabelRepeatedCorrectedWithdrawn(t *testing.T) {
	w := cells(t, nil, 7000, 8000)
	l := New(tiny("nb201"))
	observeAll(l, w)
	l.Label(w.byID(0, "acc", 1))
	l.Label(w.byArchitecture(0, "acc", 1))
	l.Label(w.byGraph(t, 7000, "acc", 1))
	wantLabels(t, l, 1)
	l.Label(w.byID(1, "acc", 5))
	l.Label(w.byArchitecture(0, "acc", 2))
	wantLabels(t, l, 2, 5)
	l.Label(withdrawn(w.byID(0, "acc", 0)))
	wantLabels(t, l, 5)
	l.Label(withdrawn(w.byID(0, "acc", 0))) // nothing is left to withdraw
	l.Label(withdrawn(w.byGraph(t, 9000, "acc", 0)))
	wantLabels(t, l, 5)
	if l.Networks() != 2 {
		t.Errorf("%d networks: a label withdrawn before it was given brought one", l.Networks())
	}
	l.Label(w.byID(0, "acc", 7))
	wantLabels(t, l, 5, 7)
}

func TestWaitingLabelsApplyInTheirOrder(t *testing.T) {
	w := cells(t, nil, 7000, 8000)
	l := New(tiny("nb201"))
	l.Label(w.byID(0, "acc", 1))
	l.Label(w.byID(0, "acc", 2))
	l.Label(w.byID(1, "acc", 3))
	l.Label(withdrawn(w.byID(1, "acc", 0)))
	observeAll(l, w)
	wantLabels(t, l, 2)
}

// The cells differ on the edge to a node from which nothing leaves.
func TestLabelsOfEqualNetworksAreAveraged(t *testing.T) {
	dead := func(first int) int { return first + 3*125 } // input -> first -> nowhere, input -> conv -> output
	w := cells(t, nil, dead(1), dead(2), 7000)
	l := New(tiny("nb201"))
	if w.c.Network[0] != w.c.Network[1] || w.c.Architecture[0] == w.c.Architecture[1] {
		t.Fatal("the cells do not differ in dead operations alone")
	}
	observeAll(l, w)
	l.Label(w.byID(0, "acc", 1))
	l.Label(w.byID(1, "acc", 4))
	l.Label(w.byID(2, "acc", 9))
	wantLabels(t, l, 2.5, 9)
	l.Label(withdrawn(w.byID(0, "acc", 0)))
	wantLabels(t, l, 4, 9)
}

func TestMinimisedLabelsAreTurned(t *testing.T) {
	w := cells(t, nil, 7000, 8000)
	l := New(tiny("nb201"))
	observeAll(l, w)
	x := w.byID(0, "acc", 4)
	x.GoalGiven, x.Minimise = true, true
	l.Label(x)
	l.Label(w.byID(1, "acc", 6)) // the goal is remembered
	wantLabels(t, l, -6, -4)
}

func TestDue(t *testing.T) {
	w := cells(t, nil, some(1, 60)...)
	l := New(tiny("nb201"))
	observeAll(l, w)
	give := func(from, to int) {
		for i := from; i < to; i++ {
			l.Label(w.byID(i, "acc", float64(i)))
		}
	}
	task := l.task("acc")
	due := func(want bool, when string) {
		t.Helper()
		if got := task.due(16, 0.25); got != want {
			t.Errorf("%s: due %v, want %v", when, got, want)
		}
	}
	give(0, 15)
	due(false, "15 labels")
	give(15, 16)
	due(true, "16 labels")
	task.fit(&fitted{labels: len(task.labels), changed: task.changed})
	due(false, "fitted")
	give(16, 19)
	due(false, "16 grown by 3")
	give(19, 20)
	due(true, "16 grown by 4")
	task.fit(&fitted{labels: len(task.labels), changed: task.changed})
	give(0, 20)
	due(false, "the same again")
	for i := range 5 {
		l.Label(w.byID(i, "acc", 100))
	}
	due(true, "20 of which 5 were corrected")
	task.fit(&fitted{labels: len(task.labels), changed: task.changed})
	for i := range 5 {
		l.Label(withdrawn(w.byID(i, "acc", 0)))
	}
	due(false, "15 of 20 left, which is not enough for a first fit")
	give(0, 2)
	due(true, "17 of 20 left")
}
