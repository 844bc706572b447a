package learner

import (
	"fmt"
	"testing"
)

// TestTasksAreBounded: a flood of names of tasks, each with a label that never comes again,
// leaves the tasks that have labels alone.
func TestTasksAreBounded(t *testing.T) {
	w := cells(t, nil, 7000, 8000, 9000)
	l := New(tiny("nb201"))
	for i := range 3 {
		l.Observe(&w.c, i)
		l.Label(w.byID(i, "acc", float64(i)))
	}
	for i := range 3 * maxTasks {
		l.Label(w.byID(i%3, fmt.Sprintf("trial-%d", i), 1))
	}
	if n := len(l.Tasks()); n != maxTasks {
		t.Errorf("%d tasks", n)
	}
	l.Label(w.byID(0, "later", 5))
	l.Label(w.byID(1, "later", 6))
	wantLabels(t, l, 0, 1, 2)
	if !l.has("later") || len(l.task("later").labels) != 2 {
		t.Error("a task that comes after the flood is not learnt")
	}
}
