package learner

import (
	"strings"
	"testing"

	"archflow/schemas"
)

// Repeats are averaged, the same seed replaces, withdrawals take back one seed or
// all, and results of less than the full training are kept apart.
func TestRepeats(t *testing.T) {
	w := cells(t, nil, 5000, 6000)
	l := New(tiny("nb201"))
	observeAll(l, w)
	tell := func(value float64, change func(*schemas.Label)) {
		x := w.byID(0, "acc", value)
		if change != nil {
			change(&x)
		}
		l.Label(x)
	}
	seed := func(s string) func(*schemas.Label) { return func(x *schemas.Label) { x.Seed = s } }
	is := func(when string, value float64, repeats int) {
		t.Helper()
		for _, one := range []*Learner{l, reborn(t, l)} {
			check(t, one)
			got := one.task("acc").labels[w.c.Architecture[0]]
			if repeats == 0 && got != nil || repeats > 0 && (got == nil || got.value != value || got.repeats != repeats) {
				t.Errorf("%s: %+v, want %v of %d", when, got, value, repeats)
			}
		}
	}
	tell(1, seed("1"))
	tell(2, seed("2"))
	tell(6, seed("3"))
	is("three seeds", 3, 3)
	tell(3, seed("3"))
	is("the same seed again", 2, 3)
	tell(50, func(x *schemas.Label) { x.HasFidelity, x.Fidelity = true, 12 })
	is("a lower fidelity", 2, 3)
	changed := l.task("acc").changed
	tell(3, seed("3"))
	tell(0, func(x *schemas.Label) { x.Missing = true })
	if l.task("acc").changed != changed {
		t.Error("a label without effect counts as a change")
	}
	tell(0, func(x *schemas.Label) { x.Seed, x.Failed = "2", true })
	is("a failure among results", 2, 2)
	tell(0, func(x *schemas.Label) { x.Seed, x.Withdrawn = "1", true })
	is("one seed withdrawn", 3, 1)
	tell(0, func(x *schemas.Label) { x.Withdrawn = true })
	if len(l.tasks) != 0 {
		t.Error("all was withdrawn and the task is still there")
	}
	tell(0, func(x *schemas.Label) { x.Failed = true })
	is("a failure alone", 0, 0)
	if rows := reborn(t, l).task("acc").failures(); len(rows) != 1 {
		t.Errorf("failures %v", rows)
	}
}

// A label in another unit is named when it comes and when a model is fitted, by
// its candidate, and a value in its place is not.
func TestSuspectsAreNamed(t *testing.T) {
	w := cells(t, synflow, some(51, 90)...)
	l := New(tiny("nb201"))
	observeAll(l, w)
	for i := range 40 {
		value := 90 + w.value(i)
		if i == 30 {
			value *= 100
		}
		o := l.Label(w.byID(i, "acc", value))
		if (o.Suspect != "") != (i == 30) {
			t.Errorf("label %d: %q", i, o.Suspect)
		}
		if i == 30 && !strings.Contains(o.Suspect, "about 100 times") {
			t.Errorf("label %d: %q", i, o.Suspect)
		}
	}
	all := workAll(t, l)
	if len(all) == 0 || len(all[0].Trials) != 1 {
		t.Fatalf("challengers %+v", all)
	}
	s := all[0].Trials[0].Suspects
	if len(s) != 1 || s[0].Candidate != string(w.c.ID.At(30)) || !strings.Contains(s[0].Why, "another unit?") || !strings.Contains(s[0].Why, "percentile") {
		t.Errorf("suspects %+v", s)
	}
	if value, low, high, _ := l.Champion().Tasks[0].Calibration.At(0, 0); value > 110 || high > 120 || low < 70 {
		t.Errorf("the middle is predicted as %v in %v to %v", value, low, high)
	}
}

// Failures are predicted as a probability, networks that failed rank below all that were
// trained, and a model without failures predicts none.
func TestFailuresAreLearnt(t *testing.T) {
	w := cells(t, synflow, some(61, 90)...)
	l := New(tiny("nb201"))
	observeAll(l, w)
	for i := range 40 {
		x := w.byID(i, "acc", w.value(i))
		x.Failed = i%8 == 1
		l.Label(x)
		l.Label(w.byID(i, "clean", w.value(i)))
	}
	l = reborn(t, l)
	workAll(t, l)
	m := l.Champion()
	acc := m.Task("acc")
	worst := 1e9
	for i := range 40 {
		if i%8 != 1 {
			worst = min(worst, m.Cache.Lookup(w.c.Network[i])[acc])
		}
	}
	for i := 1; i < 40; i += 8 {
		if score := m.Cache.Lookup(w.c.Network[i])[acc]; score >= worst {
			t.Errorf("network %d failed and scores %v, the worst that was trained %v", i, score, worst)
		}
	}
	labels, sd, fails := m.Tasks[acc].Told(0, 0, true)
	if labels != 35 || !(sd > 0) || fails < .02 || fails > .5 {
		t.Errorf("%v labels, sd %v, fails with %v", labels, sd, fails)
	}
	if labels, _, fails := m.Tasks[m.Task("clean")].Told(0, 0, false); labels != 40 || fails == fails {
		t.Errorf("%v labels, fails with %v though no label failed", labels, fails)
	}
}

// Labels of cheaper trainings count as related ones, of the mean of their repeats,
// and only where they know many more networks; so do other tasks.
func TestRelatedLabels(t *testing.T) {
	w := cells(t, synflow, some(71, 90)...)
	l := New(tiny("nb201"))
	observeAll(l, w)
	for i := range 60 {
		x := w.byID(i, "acc", w.value(i))
		x.HasFidelity, x.Fidelity = true, 12
		l.Label(x)
		if i < 20 {
			l.Label(w.byID(i, "acc", w.value(i)))
			l.Label(w.byID(i, "other", 1))
		}
	}
	related := l.related(l.task("acc"), 20)
	if len(related) != 1 || len(related[0].Labelled) < 40 || len(related[0].Y) != len(related[0].Labelled) {
		t.Fatalf("related %+v", related)
	}
	l = reborn(t, l)
	workAll(t, l)
	if m := l.Champion(); m == nil || m.Tasks[m.Task("acc")].Labels != 20 {
		t.Errorf("champion %+v", m)
	}
	if task := l.task("acc"); len(task.labels) != 20 {
		t.Errorf("%d full labels", len(task.labels))
	}
}

// A task with a handful of labels is answered where another task, or a lower fidelity of
// its own, knows many more networks, and waits for more where none does.
func TestRelatedLabelsStartATask(t *testing.T) {
	for name, c := range map[string]struct {
		own, beside int
		fidelity    bool
		served      bool
	}{
		"beside a task":             {6, 40, false, true},
		"beside a lower fidelity":   {6, 40, true, true},
		"beside a task of as few":   {6, 8, false, false},
		"a lower fidelity of a few": {6, 8, true, false},
		"too few":                   {4, 40, false, false},
	} {
		w := cells(t, synflow, some(72, 90)...)
		l := New(tiny("nb201"))
		observeAll(l, w)
		for i := range c.beside {
			x := w.byID(20+i, "other", w.value(20+i))
			if c.fidelity {
				x.Task, x.HasFidelity, x.Fidelity = "acc", true, 12
			}
			l.Label(x)
		}
		for i := range c.own {
			l.Label(w.byID(i, "acc", 3*w.value(i)))
		}
		l = reborn(t, l)
		workAll(t, l)
		served := l.Champion() != nil && l.Champion().Task("acc") >= 0
		if served != c.served {
			t.Errorf("%s: served %v, want %v", name, served, c.served)
		}
		for _, task := range l.Tasks() {
			if task.Name == "acc" && !c.served && !strings.Contains(task.Reason, "fewer than the 16 labels") {
				t.Errorf("%s: waits because %q", name, task.Reason)
			}
		}
	}
}
