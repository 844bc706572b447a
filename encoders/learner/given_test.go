package learner

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"archflow/encoders"
	"archflow/encoders/metrics"
	"archflow/schemas"
)

// latency depends on the architecture as given, dead operations included.
func (w *world) latency(i int) float64 { return truth(w.c.Graphs.Graph(i)) }

func (w *world) ofGiven(i int) schemas.Label {
	x := w.byID(i, "latency", w.latency(i))
	x.GoalGiven, x.Minimise, x.OfGiven, x.OfArchitecture = true, true, true, true
	return x
}

func TestTasksOfTheArchitectureAsGiven(t *testing.T) {
	w := cells(t, synflow, some(50, 150)...)
	cfg := tiny("nb201")
	cfg.Buffer = 500
	l := New(cfg)
	for i := range 100 {
		l.Observe(&w.c, i)
	}
	// The first labels do not say yet of which graph the task is, some come
	// before their candidates, and one task is of networks.
	for i := range 20 {
		x := w.ofGiven(i)
		x.OfGiven, x.OfArchitecture = false, false
		l.Label(x)
		l.Label(w.byID(i, "acc", w.value(i)))
	}
	for i := 20; i < 120; i++ {
		l.Label(w.ofGiven(i))
	}
	for i := 100; i < 150; i++ {
		l.Observe(&w.c, i)
	}
	for l.Due(false) {
		work(t, l)
	}
	m := l.Champion()
	task := m.Task("latency")
	if task < 0 || m.Tasks[task].Of != encoders.OfArchitecture || m.Tasks[task].Labels != 120 || m.Tasks[m.Task("acc")].Of != "" {
		t.Fatalf("tasks %+v", m.Tasks)
	}
	if got := l.Tasks(); len(got) != 2 || got[1].Name != "latency" || got[1].Labels != 120 || !got[1].Served {
		t.Errorf("states %+v", got)
	}
	answers := m.Answer(encoders.NewWorkspace(1), &w.c.Networks, &w.c.Graphs, w.c.Network, w.c.Architecture, counting(150))
	var score, truth []float64
	apart := false
	for i := 120; i < 150; i++ {
		score, truth = append(score, answers.Score[task][i]), append(truth, -w.latency(i))
		known, _ := m.CachedScores(w.c.Network[i], w.c.Architecture[i])
		if known == nil || known[task] != score[i-120] {
			t.Errorf("candidate %d is remembered with %v and answered with %v", i, known, score[i-120])
		}
		apart = apart || w.c.Network[i] != w.c.Architecture[i]
	}
	if tau := metrics.KendallTau(score, truth); tau < 0.75 || !apart {
		t.Errorf("tau %.3f of latency on candidates without a label", tau)
	}
	// A model of the registry is taken apart and put together again.
	other := New(l.cfg)
	other.Serve(m)
	if other.given == nil || other.champion.Task("latency") >= 0 || other.given.champion.Task("acc") >= 0 || other.Champion() != m {
		t.Error("the parts of a model that is served have changed")
	}
}

func TestInterruptedWithBothKindsOfTasks(t *testing.T) {
	w := cells(t, synflow, some(60, 50)...)
	cfg := tiny("nb201")
	cfg.Buffer, cfg.Remember, cfg.Epochs = 64, 80, 3
	r := rand.New(rand.NewPCG(3, 3))
	steps := life(w, 5)
	for range 24 {
		i := r.IntN(len(w.c.Space))
		steps = append(steps, func(_ testing.TB, l *Learner) { l.Label(w.ofGiven(i)) }, work, func(_ testing.TB, l *Learner) { l.Observe(&w.c, i) }, work)
	}
	for range 30 {
		steps = append(steps, work)
	}
	plain, interrupted := New(cfg), New(cfg)
	for _, step := range steps {
		step(t, plain)
	}
	interruptions := 0
	for _, step := range steps {
		step(t, interrupted)
		if r.IntN(4) == 0 && interrupted.Quiet() {
			interrupted = reborn(t, interrupted)
			interruptions++
		}
	}
	if interruptions < 20 {
		t.Fatalf("%d interruptions: too few to show anything", interruptions)
	}
	if task := plain.Champion().Task("latency"); task < 0 || plain.Champion().Tasks[task].Of == "" {
		t.Fatal("no model of the architecture as given: too few steps to show anything")
	}
	if !bytes.Equal(modelBytes(t, plain), modelBytes(t, interrupted)) || !bytes.Equal(stateBytes(t, plain), stateBytes(t, interrupted)) {
		t.Error("the learner differs after interruptions")
	}
}
