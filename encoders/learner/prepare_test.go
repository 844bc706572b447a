package learner

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
)

// Preparation between fits changes no bit of any model.
func TestPreparationChangesNothing(t *testing.T) {
	w := cells(t, synflow, some(61, 140)...)
	run := func(prepare func() bool) (models [][]byte) {
		l := New(tiny("nb201"))
		steps := rand.New(rand.NewPCG(61, 3))
		observed, labelled := 0, 0
		for range 200 {
			switch k := steps.IntN(20); {
			case k == 0 && observed < 140:
				for to := min(observed+20, 140); observed < to; observed++ {
					l.Observe(&w.c, observed)
				}
			case k == 1 && labelled < min(observed, 60):
				for to := min(labelled+5, observed); labelled < to; labelled++ {
					l.Label(w.byID(labelled, "acc", w.value(labelled)))
				}
			case prepare() && l.Unprepared():
				ctx, cancel := context.WithCancel(t.Context())
				if steps := l.Steps(); steps%3 == 0 {
					cancel() // broken off
				}
				if err := l.Prepare(ctx); err == nil && l.Unprepared() {
					t.Fatal("prepared and unprepared")
				}
				cancel()
			}
			if l.Due(true) {
				p, err := l.Work(t.Context(), true)
				if err != nil {
					t.Fatal(err)
				}
				if p.Challenger != nil {
					models = append(models, modelBytes(t, l))
				}
			}
		}
		return models
	}
	never := run(func() bool { return false })
	sometimes := rand.New(rand.NewPCG(61, 4))
	for name, prepare := range map[string]func() bool{"always": func() bool { return true }, "sometimes": func() bool { return sometimes.IntN(3) == 0 }} {
		got := run(prepare)
		if len(got) != len(never) || len(got) < 3 {
			t.Fatalf("%d models prepared %s, %d without", len(got), name, len(never))
		}
		for i := range got {
			if !bytes.Equal(got[i], never[i]) {
				t.Fatalf("model %d of %d prepared %s differs", i, len(got), name)
			}
		}
	}
}

// A refit that pre-training asked for gives way to labels.
func TestRefitYields(t *testing.T) {
	w := cells(t, synflow, some(62, 96)...)
	l, _ := fitOnce(t, tiny("nb201"), w, 30)
	l.early, l.pretrain.debt = true, 0
	for l.fitting == nil {
		if _, err := l.Work(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	if !l.Yields() {
		t.Fatal("a refit is under way that yields to nothing")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	before := l.fitting.next
	if _, err := l.Work(ended, true); err == nil || l.fitting.next != before {
		t.Fatal("a piece of a refit that was broken off counts:", err)
	}
	l.Label(w.byID(30, "acc", w.value(30)))
	if _, err := l.Work(t.Context(), true); err != nil || l.Yields() || l.fitting == nil {
		t.Fatal("the label waits for the refit", err)
	}
}
