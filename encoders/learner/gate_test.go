package learner

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"archflow/encoders"
	"archflow/encoders/metrics"
)

// One task of noise keeps its own champion and no other's, and every task says
// why.
func TestEachTaskIsDecidedOnItsOwn(t *testing.T) {
	w := cells(t, synflow, some(41, 96)...)
	cfg := tiny("nb201")
	cfg.Buffer = 200
	l := New(cfg)
	observeAll(l, w)
	r := rand.New(rand.NewPCG(5, 5))
	tell := func(from, to int) {
		for i := from; i < to; i++ {
			l.Label(w.byID(i, "acc", w.value(i)))
			l.Label(w.byID(i, "noise", r.Float64()))
		}
	}
	tell(0, 30)
	workAll(t, l)
	first := l.Champion()
	// A champion of the noise that knows the answers cannot be beaten.
	noise, acc := l.task("noise"), first.Task("acc")
	tell(30, 60)
	oracle := *first
	truths := make([][]float64, 2)
	for i, id := range w.c.Network {
		truths[acc] = append(truths[acc], first.Cache.Lookup(id)[acc])
		value := 0.
		if x := noise.labels[w.c.Architecture[i]]; x != nil {
			value = x.value
		}
		truths[1-acc] = append(truths[1-acc], value)
		if _, trained := noise.trained[id]; trained {
			noise.trained[id] = heldOut{score: value}
		}
	}
	oracle.Cache = encoders.NewScoreCache(w.c.Network, truths, nil)
	l.champion = &oracle
	all := workAll(t, l)
	if len(all) == 0 || !all[0].Promoted {
		t.Fatalf("no challenger serves: %+v", all)
	}
	c := all[0]
	for _, trial := range c.Trials {
		if trial.Promoted != (trial.Task == "acc") || trial.Why == "" {
			t.Errorf("task %s: promoted %v, because %q", trial.Task, trial.Promoted, trial.Why)
		}
	}
	m := c.Model
	if m.Tasks[m.Task("acc")].Labels != 60 || m.Tasks[m.Task("noise")].Labels != 30 {
		t.Errorf("the model answers with tasks of %d and %d labels, want 60 and 30", m.Tasks[m.Task("acc")].Labels, m.Tasks[m.Task("noise")].Labels)
	}
	if fresh := len(noise.trained); fresh > 30 {
		t.Errorf("the noise counts %d networks as learnt, want those of its champion", fresh)
	}
	again := reborn(t, l)
	for i := 60; i < 96; i++ {
		for _, one := range []*Learner{l, again} {
			one.Label(w.byID(i, "acc", w.value(i)))
			one.Label(w.byID(i, "noise", float64(i%7)))
		}
	}
	workAll(t, l)
	workAll(t, again)
	if string(modelBytes(t, l)) != string(modelBytes(t, again)) {
		t.Error("a learner of a checkpoint decides otherwise")
	}
}

func TestVerdicts(t *testing.T) {
	nan := math.NaN()
	for _, x := range []struct {
		name     string
		trial    Trial
		promoted bool
		why      string
	}{
		{"undefined", Trial{Labels: 40, OutOfFold: nan, Champion: nan, Challenger: nan}, false, "undefined"},
		{"first", Trial{Labels: 40, OutOfFold: .4, Champion: nan, Challenger: nan}, true, "first model"},
		{"too few to compare", Trial{Labels: 20, ChampionLabels: 16, Compared: 4, OutOfFold: .4, Champion: nan, Challenger: nan}, true, "only 4"},
		{"better", Trial{Labels: 50, ChampionLabels: 40, Compared: 50, OutOfFold: .5, Champion: .4, Challenger: .5, Noise: .2}, true, "better"},
		{"a little worse with more labels", Trial{Labels: 50, ChampionLabels: 40, Compared: 50, OutOfFold: .5, Champion: .51, Challenger: .5, Noise: .02}, true, "beyond chance"},
		{"worse beyond chance", Trial{Labels: 50, ChampionLabels: 40, Compared: 50, OutOfFold: .5, Champion: .6, Challenger: .5, Noise: .02}, false, "worse"},
		{"a little worse with as many labels", Trial{Labels: 40, ChampionLabels: 40, Compared: 40, OutOfFold: .5, Champion: .51, Challenger: .5, Noise: .02}, false, "no more labels"},
		{"a little worse with fewer labels", Trial{Labels: 30, ChampionLabels: 40, Compared: 30, OutOfFold: .5, Champion: .51, Challenger: .5, Noise: .02}, false, "no more labels"},
		{"as many labels, a finished encoder", Trial{Labels: 40, ChampionLabels: 40, Compared: 40, OutOfFold: .5, Champion: .51, Challenger: .5, Noise: .02, riper: true}, true, "pre-training"},
		{"as good with as many labels", Trial{Labels: 40, ChampionLabels: 40, Compared: 40, OutOfFold: .5, Champion: .5, Challenger: .5}, true, "as well"},
		{"against a constant", Trial{Labels: 40, ChampionLabels: 40, Compared: 40, OutOfFold: .5, Champion: nan, Challenger: .5}, true, "nothing"},
	} {
		x.trial.decide()
		if x.trial.Promoted != x.promoted || !strings.Contains(x.trial.Why, x.why) {
			t.Errorf("%s: promoted %v, because %q; want %v and %q", x.name, x.trial.Promoted, x.trial.Why, x.promoted, x.why)
		}
	}
}

// Labels whose differences are lost in their size make no model, and say so; a
// task beside them is served.
func TestLabelsThatDifferTooLittleForTheirSize(t *testing.T) {
	w := cells(t, synflow, some(42, 60)...)
	l := New(tiny("nb201"))
	observeAll(l, w)
	for i := range 30 {
		l.Label(w.byID(i, "acc", w.value(i)))
		l.Label(w.byID(i, "lost", 1e16+float64(2*(i%2))))
	}
	workAll(t, l)
	if l.Champion() == nil || l.Champion().Task("acc") < 0 || l.Champion().Task("lost") >= 0 {
		t.Fatalf("champion %+v", l.Champion())
	}
	for _, task := range l.Tasks() {
		if task.Name == "lost" && (task.Served || !strings.Contains(task.Reason, "too much alike")) {
			t.Errorf("served %v, because %q", task.Served, task.Reason)
		}
	}
}

// A task whose labels were all withdrawn is answered no more, alone or beside
// others.
func TestWithdrawnTaskDisappears(t *testing.T) {
	for _, beside := range []bool{true, false} {
		w := cells(t, synflow, some(43, 60)...)
		l := New(tiny("nb201"))
		observeAll(l, w)
		for i := range 20 {
			if beside {
				l.Label(w.byID(i, "acc", w.value(i)))
			}
			l.Label(w.byID(i, "acd", w.value(i)))
		}
		workAll(t, l)
		if l.Champion().Task("acd") < 0 {
			t.Fatal("the task was never served")
		}
		for i := range 20 {
			l.Label(withdrawn(w.byID(i, "acd", 0)))
		}
		all := workAll(t, l)
		if len(all) == 0 || !all[0].Promoted || len(all[0].Dropped) != 1 || l.Champion().Task("acd") >= 0 || (l.Champion().Task("acc") >= 0) != beside {
			t.Errorf("beside %v: challengers %+v, champion %+v", beside, all, l.Champion().Tasks)
		}
		for _, task := range l.Tasks() {
			if task.Name == "acd" {
				t.Errorf("beside %v: the task is still listed: %+v", beside, task)
			}
		}
		check(t, l)
		if l = reborn(t, l); l.Due(false) {
			t.Error("work is due again")
		}
	}
}

// A model that answers everything alike has no tau and is not promoted, whether or not
// there is a champion; labels whose differences are small beside their size, but not
// lost, are ranked.
func TestConstantAnswersAreNotPromoted(t *testing.T) {
	w := cells(t, synflow, some(44, 60)...)
	l := New(tiny("nb201"))
	observeAll(l, w)
	for i := range 40 {
		l.Label(w.byID(i, "small", 1e9+1e-4*w.value(i)))
	}
	all := workAll(t, l)
	if len(all) == 0 || !all[0].Promoted || !(all[0].Trials[0].OutOfFold > .5) {
		t.Fatalf("labels of 1e9 that differ by 1e-4: %+v", all[0].Trials)
	}
	for _, champion := range []bool{true, false} {
		if !champion {
			l.champion = nil
		}
		f := &fitting{ids: idsOf(l.pretrain.networks), graphs: l.pretrain.graphs}
		one := &fitted{task: l.tasks[0], labels: 40}
		one.rows, one.y = l.tasks[0].training()
		one.believed, one.outOfFold = counting(len(one.rows)), make([]float64, len(one.rows))
		trial := l.trial(f, one)
		if trial.Promoted || !math.IsNaN(trial.OutOfFold) || !strings.Contains(trial.Why, "undefined") {
			t.Errorf("champion %v: %+v", champion, trial)
		}
	}
}

// Of ten tasks with 40 labels and then 20 more each, one of noise, every one is answered
// at least as well as by its best model so far; the noise keeps none of the others back.
func TestTenTasksOneOfNoise(t *testing.T) {
	w := cells(t, synflow, some(45, 140)...)
	cfg := tiny("nb201")
	cfg.Buffer = 200
	l := New(cfg)
	observeAll(l, w)
	r := rand.New(rand.NewPCG(6, 6))
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "noise"}
	values := map[string][]float64{}
	for k, name := range names {
		for i := range w.c.Space {
			v := w.value(i)*float64(k+1) + 0.3*float64(k)*r.NormFloat64()
			if name == "noise" {
				v = r.NormFloat64()
			}
			values[name] = append(values[name], v)
		}
	}
	for i := range 60 {
		if i == 40 {
			workAll(t, l)
		}
		for _, name := range names {
			l.Label(w.byID(i, name, values[name][i]))
		}
	}
	// tau on the networks that were never labelled
	measure := func(m *encoders.Model, name string) float64 {
		var truth, score []float64
		for i := 60; i < len(w.c.Space); i++ {
			if s := m.Cache.Lookup(w.c.Network[i]); s != nil {
				truth, score = append(truth, values[name][i]), append(score, s[m.Task(name)])
			}
		}
		return metrics.KendallTau(truth, score)
	}
	first := l.Champion()
	before := map[string]float64{}
	for _, name := range names {
		before[name] = measure(first, name)
	}
	all := workAll(t, l)
	if len(all) == 0 || !all[0].Promoted {
		t.Fatalf("no challenger serves: %+v", all)
	}
	m := l.Champion()
	for _, name := range names {
		after := measure(m, name)
		t.Logf("%s: tau %.3f of 40 labels, %.3f of %d", name, before[name], after, m.Tasks[m.Task(name)].Labels)
		if name != "noise" && (m.Tasks[m.Task(name)].Labels != 60 || after < before[name]-.03) {
			t.Errorf("%s: tau %.3f of %d labels, %.3f of 40", name, after, m.Tasks[m.Task(name)].Labels, before[name])
		}
	}
}
