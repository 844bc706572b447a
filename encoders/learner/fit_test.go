package learner

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"archflow/encoders"
	"archflow/encoders/metrics"
	"archflow/schemas"
)

// fitOnce gives n correct labels to a learner that has observed w, and fits.
func fitOnce(t testing.TB, cfg Config, w *world, n int) (*Learner, []*Challenger) {
	t.Helper()
	l := New(cfg)
	observeAll(l, w)
	for i := range n {
		l.Label(w.byID(i, "acc", w.value(i)))
	}
	return l, workAll(t, l)
}

func TestFitRanksTheRest(t *testing.T) {
	w := cells(t, synflow, some(5, 90)...)
	for _, predictor := range []string{PredictorBest, PredictorFGP} {
		cfg := tiny("nb201")
		cfg.Predictor, cfg.distilEpochs = predictor, 40
		l, challengers := fitOnce(t, cfg, w, 40)
		if len(challengers) == 0 || !challengers[0].Promoted || l.Champion() == nil {
			t.Fatalf("%s: challengers %+v", predictor, challengers)
		}
		promoted := 0
		for _, c := range challengers {
			if c.Promoted {
				promoted++
			}
		}
		students := 0 // each is a model too
		if predictor == PredictorBest {
			students = promoted
		}
		if v := int(l.Champion().Version); v < promoted || v > promoted+students {
			t.Errorf("%s: the champion is %s after %d promotions", predictor, l.Champion().Name(), promoted)
		}
		var y []float64
		rows := make([]int, 0, 50)
		for i := 40; i < 90; i++ {
			rows, y = append(rows, i), append(y, w.value(i))
		}
		answers := l.Champion().Predict(encoders.NewWorkspace(1), &w.c.Networks, rows)
		l.Champion().UseCache(answers, w.c.Network, rows)
		if tau := metrics.KendallTau(answers.Score[0], y); tau < 0.4 {
			t.Errorf("%s: tau %.3f on networks without labels", predictor, tau)
		}
	}
}

// Every encoder learns a space, and its champion answers alike when it is read
// back.
func TestEveryEncoderLearns(t *testing.T) {
	w := cells(t, synflow, some(5, 60)...)
	for _, encoder := range encoders.Names {
		cfg := tiny("nb201")
		cfg.Encoder, cfg.Predictor = encoder, PredictorFGP
		l, _ := fitOnce(t, cfg, w, 30)
		if l.Champion() == nil {
			t.Fatalf("%s: no champion of 30 labels", encoder)
		}
		var file bytes.Buffer
		if err := l.Champion().Write(&file); err != nil {
			t.Fatal(err)
		}
		back, err := encoders.ReadModel(&file)
		if err != nil {
			t.Fatalf("%s: %v", encoder, err)
		}
		rows := []int{31, 45, 59}
		want := l.Champion().Predict(encoders.NewWorkspace(1), &w.c.Networks, rows)
		got := back.Predict(encoders.NewWorkspace(1), &w.c.Networks, rows)
		if !slices.Equal(want.Score[0], got.Score[0]) {
			t.Errorf("%s: scores %v, read back %v", encoder, want.Score[0], got.Score[0])
		}
	}
}

func TestSmallerIsBetter(t *testing.T) {
	w := cells(t, synflow, some(6, 90)...)
	l := New(tiny("nb201"))
	observeAll(l, w)
	for i := range 40 {
		x := w.byID(i, "latency", w.value(i))
		x.GoalGiven, x.Minimise = true, true
		l.Label(x)
	}
	workAll(t, l)
	m := l.Champion()
	answers := m.Predict(l.workspace, &w.c.Networks, counting(90))
	if len(m.Tasks[0].Spreads) == 0 || m.Cache.LookupSpread(w.c.Network[0]) == nil || !anyFinite(answers.Spread[0]) || slices.Min(answers.Spread[0]) == slices.Max(answers.Spread[0]) {
		t.Errorf("spreads of the student: %v", answers.Spread[0])
	}
	m.UseCache(answers, w.c.Network, counting(90))
	var values, y []float64
	for i := range 90 {
		value, low, high, _ := m.Tasks[0].Calibration.At(answers.Score[0][i], answers.Spread[0][i])
		if low > value || value > high {
			t.Fatalf("value %v outside %v to %v", value, low, high)
		}
		values, y = append(values, value), append(y, w.value(i))
	}
	if tau := metrics.KendallTau(answers.Score[0], y); tau > -0.4 {
		t.Errorf("tau of score and latency is %.3f, want it strongly negative", tau)
	}
	if tau := metrics.KendallTau(values, y); tau < 0.4 {
		t.Errorf("tau of predicted and true latency is %.3f", tau)
	}
}

// Labels that no ranking can be learnt from neither stop the learner nor keep
// it busy, and the other tasks are fitted.
func TestLabelsThatCannotBeRanked(t *testing.T) {
	for _, predictor := range []string{PredictorBest, PredictorFGP} {
		w := cells(t, synflow, some(7, 60)...)
		first := len(w.c.Space)
		for i := range 25 {
			w.add(t, fmt.Sprintf(`{"space":"nb201","id":"d%d","arch":%q}`, i, arch(i+375))) // few networks
		}
		cfg := tiny("nb201")
		cfg.Predictor = predictor
		l := New(cfg)
		observeAll(l, w)
		for i := range 20 {
			l.Label(w.byID(i, "constant", 1))
			one := 1.
			if i == 7 {
				one = 2
			}
			l.Label(w.byID(i, "almost constant", one))
			l.Label(w.byID(i, "acc", w.value(i)))
		}
		networks := map[schemas.ID]bool{}
		for i := 0; i < 25 && (len(networks) < 4 || networks[w.c.Network[first+i]]); i++ {
			l.Label(w.byID(first+i, "few", float64(i)))
			networks[w.c.Network[first+i]] = true
		}
		if n := l.task("few").labels; len(n) < 16 {
			t.Fatalf("%d labels of few networks, want at least 16", len(n))
		}
		workAll(t, l)
		m := l.Champion()
		if m == nil || m.Task("acc") < 0 || m.Task("few") >= 0 {
			t.Fatalf("%s: the champion answers %+v", predictor, m)
		}
		for _, task := range l.Tasks() {
			want, unserved := map[string]string{"constant": "too much alike", "few": "fewer than 5 different networks"}[task.Name]
			unserved = unserved || predictor == PredictorFGP && task.Name == "almost constant"
			if task.Served == unserved || task.Served != (task.Reason == "") || !strings.Contains(task.Reason, want) {
				t.Errorf("%s: task %s is served: %v, because %q; want %q", predictor, task.Name, task.Served, task.Reason, want)
			}
		}
		for _, task := range m.Tasks {
			value, low, high, _ := task.Calibration.At(0, 0)
			if math.IsNaN(value) || low > value || value > high {
				t.Errorf("%s: task %s answers %v in %v to %v", predictor, task.Name, value, low, high)
			}
		}
	}
}

func TestSpaceWithoutProxies(t *testing.T) {
	l, challengers := fitOnce(t, tiny("nb201"), cells(t, nil, some(8, 60)...), 20)
	if len(challengers) == 0 || len(l.pretrain.proxies) != 0 || l.Steps() == 0 {
		t.Errorf("%d challengers, proxies %v, %d steps", len(challengers), l.pretrain.proxies, l.Steps())
	}
}

func TestProxiesThatComeLateBeginTheTrunkAnew(t *testing.T) {
	numbers := some(9, 90)
	w := cells(t, nil, numbers...)
	l, _ := fitOnce(t, tiny("nb201"), w, 20)
	steps, networks := l.Steps(), l.Networks()
	late := cells(t, synflow, numbers...)
	observeAll(l, late)
	if l.Networks() != networks {
		t.Fatalf("%d networks, want %d", l.Networks(), networks)
	}
	for i := range 30 {
		l.Label(w.byID(i, "acc", w.value(i)))
	}
	workAll(t, l)
	if !slices.Equal(l.pretrain.proxies, []string{"synflow"}) {
		t.Errorf("the trunk ranks %v", l.pretrain.proxies)
	}
	if l.Steps() == 0 || l.Steps() > 2*steps {
		t.Errorf("%d steps after %d of the first trunk, want it to begin at 0", l.Steps(), steps)
	}
}

func TestVocabularyGrows(t *testing.T) {
	w := &world{decoder: schemas.NewDecoder(schemas.Limits{})}
	add := func(kinds int, n int) {
		r := rand.New(rand.NewPCG(uint64(kinds), 1))
		for range n {
			at := len(w.c.Space)
			w.add(t, fmt.Sprintf(`{"space":"dag","id":"c%d","ops":["input","op%d","op%d","op%d","output"],"edges":[[0,1],[1,2],[0,3],[2,4],[3,4]]}`,
				at, r.IntN(kinds), r.IntN(kinds), r.IntN(kinds)))
		}
	}
	l := New(tiny("dag"))
	given := 0
	for _, kinds := range []int{4, 9} {
		add(kinds, 50)
		for i := given; i < len(w.c.Space); i++ {
			l.Observe(&w.c, i)
			x := w.byID(i, "acc", 0)
			x.Space = "dag"
			ops, _ := w.c.Networks.Graph(i)
			for _, op := range ops {
				x.Value += float64(op % 7)
			}
			l.Label(x)
		}
		given = len(w.c.Space)
		if c := workAll(t, l); len(c) == 0 {
			t.Fatalf("no challenger with %d kinds of operations", kinds)
		}
		check(t, l)
	}
	if n := len(l.champion.Members[0].Operations()); n != 9+2 {
		t.Errorf("the champion knows %d operations, want 11", n)
	}
}

func TestChallengerRefusedWhenWorseBeyondChance(t *testing.T) {
	w := cells(t, synflow, some(10, 96)...)
	cfg := tiny("nb201")
	cfg.distilEpochs = 20
	l, first := fitOnce(t, cfg, w, 40)
	champion := l.Champion()
	f := &fitted{task: l.task("acc"), labels: 70}
	all := &fitting{ids: idsOf(l.pretrain.networks), graphs: l.pretrain.graphs, ready: []*fitted{f}}
	for i := 40; i < 70; i++ {
		l.Label(w.byID(i, "acc", w.value(i)))
	}
	f.rows, f.y = f.task.training()
	f.believed = counting(len(f.rows))
	for i := range f.rows { // the scores of a bad fit
		f.outOfFold = append(f.outOfFold, math.Sin(float64(i)))
	}
	bad := l.trial(all, f)
	if bad.Fresh < minCompared || bad.Promoted || !strings.Contains(bad.Why, "ranks worse") {
		t.Errorf("a challenger that guesses is not refused: %+v", bad)
	}
	f.outOfFold = slices.Clone(f.y)
	if good := l.trial(all, f); !good.Promoted || good.Challenger < 0.999 {
		t.Errorf("a challenger that is always right is refused: %+v", good)
	}
	if second := workAll(t, l); len(second) == 0 || !second[0].Promoted || l.Champion() == champion || len(first) == 0 {
		t.Errorf("an honest challenger was not promoted: %+v", second)
	}
}

func TestRefusedChallengerLeavesTheChampion(t *testing.T) {
	w := cells(t, synflow, some(11, 96)...)
	cfg := tiny("nb201")
	l, _ := fitOnce(t, cfg, w, 30)
	known := len(l.task("acc").trained)
	// The champion knows the truth of everything, labelled or not.
	truths := make([]float64, len(w.c.Network))
	for i := range truths {
		truths[i] = w.value(i)
	}
	oracle := *l.Champion()
	oracle.Cache = encoders.NewScoreCache(w.c.Network, [][]float64{truths}, nil)
	l.champion = &oracle
	r := rand.New(rand.NewPCG(1, 1))
	for i := 30; i < 60; i++ {
		l.Label(w.byID(i, "acc", w.value(i)))
	}
	for i := range 30 { // the challenger learns from labels that are wrong by now
		l.Label(w.byID(i, "acc", r.Float64()))
	}
	c := workAll(t, l)
	if len(c) != 1 || c[0].Promoted || l.Champion() != &oracle || l.number != oracle.Version {
		t.Fatalf("challengers %+v; champion %v", c, l.Champion().Name())
	}
	if trained := len(l.task("acc").trained); trained != known {
		t.Errorf("%d networks count as known to the champion, want its %d", trained, known)
	}
}

func TestPredictionsAreMadeBeforeTheirLabelIsUsed(t *testing.T) {
	w := cells(t, synflow, some(12, 96)...)
	w.add(t, fmt.Sprintf(`{"space":"nb201","id":"twin1","arch":%q}`, arch(376)))
	w.add(t, fmt.Sprintf(`{"space":"nb201","id":"twin2","arch":%q}`, arch(377)))
	twin1, twin2 := 96, 97
	l := New(tiny("nb201"))
	observeAll(l, w)
	pairs := func(want int, when string) {
		t.Helper()
		if got := l.Tasks()[0].Score.Pairs; got != want {
			t.Errorf("%s: %d pairs, want %d", when, got, want)
		}
	}
	for i := range 20 {
		l.Label(w.byID(i, "acc", w.value(i)))
	}
	l.Label(w.byID(twin1, "acc", w.value(twin1)))
	pairs(0, "before the first model")
	workAll(t, l)
	m := l.Champion()
	o := l.Label(w.byID(30, "acc", w.value(30)))
	pairs(1, "a fresh label")
	answers := m.Predict(l.workspace, &w.c.Networks, []int{30})
	m.UseCache(answers, w.c.Network, []int{30})
	if !o.Answered || o.Model != m.Name() || o.Score != answers.Score[0][0] {
		t.Errorf("outcome %+v, want score %v of %s", o, answers.Score[0][0], m.Name())
	}
	l.Label(w.byID(30, "acc", 5))
	pairs(1, "a correction")
	l.Label(w.byID(3, "acc", 5))
	pairs(1, "a correction of a label that the champion was trained on")
	l.Label(withdrawn(w.byID(3, "acc", 0)))
	l.Label(w.byID(3, "acc", w.value(3)))
	pairs(1, "withdrawn and given again")
	if o := l.Label(w.byID(twin2, "acc", w.value(twin2))); !o.Answered {
		t.Errorf("no answer to %+v", o)
	}
	pairs(1, "another architecture of a network that the champion was trained on")
	x := w.byID(31, "acc", 1)
	x.GoalGiven, x.Minimise = true, true
	l.Label(x)
	pairs(0, "the goal turned, which the champion does not know")
	if !l.labelsDue(false) {
		t.Error("the goal turned and no fit is due")
	}
	workAll(t, l)
	l.Label(w.byID(32, "acc", 1))
	pairs(1, "a fresh label after the fit")
}

func TestSameBitsOnAnyNumberOfCores(t *testing.T) {
	w := cells(t, synflow, some(13, 300)...)
	for _, predictor := range []string{PredictorBest, PredictorFGP} {
		var want []byte
		for _, cores := range []int{1, 2} {
			func() {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
				cfg := tiny("nb201")
				cfg.Predictor, cfg.Buffer = predictor, 300
				l, _ := fitOnce(t, cfg, w, 24)
				got := modelBytes(t, l)
				if want == nil {
					want = got
				} else if !bytes.Equal(got, want) {
					t.Errorf("%s: the model differs between 1 and %d cores", predictor, cores)
				}
			}()
		}
	}
}

func TestCancelledFitLeavesEverything(t *testing.T) {
	w := cells(t, synflow, some(14, 90)...)
	l := New(tiny("nb201"))
	observeAll(l, w)
	for i := range 20 {
		l.Label(w.byID(i, "acc", w.value(i)))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Work(ctx, false); err == nil {
		t.Error("a cancelled fit gave no error")
	}
	if !l.labelsDue(false) || l.Champion() != nil {
		t.Errorf("a cancelled fit is not due again, or left champion %v", l.Champion())
	}
}

// TestLabelsWaitForNothing: a label that comes while a student is taught, while
// pre-training is behind, or while pre-training's own fit is under way, is in the
// next model, which comes before any of these has ended; and the model that
// answers in the end is the one of a learner that nothing interrupted.
func TestLabelsWaitForNothing(t *testing.T) {
	w := cells(t, synflow, some(51, 96)...)
	cfg := tiny("nb201")
	cfg.distilEpochs = 60
	l, _ := fitOnce(t, cfg, w, 30)
	one := func(i int) *Challenger {
		t.Helper()
		l.Label(w.byID(i, "acc", w.value(i)))
		for range 6 {
			p, err := l.Work(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			if p.Step {
				t.Fatal("a label waits for pre-training")
			}
			if p.Challenger != nil && !p.Challenger.Taught {
				if n := p.Challenger.Trials[0].Labels; n != i+1 {
					t.Errorf("the next model knows %d labels, want %d", n, i+1)
				}
				return p.Challenger
			}
		}
		t.Fatal("no model in six pieces of work")
		return nil
	}
	one(30)
	l.early, l.grownUp, l.pretrain.debt = true, false, 0 // pre-training asks for a fit
	if _, err := l.Work(t.Context(), false); err != nil || l.fitting == nil && l.student == nil {
		t.Fatal(err, "nothing is under way")
	}
	one(31)
	l.pretrain.debt = 100
	one(32)
	l.untaught = true
	l.pretrain.debt = 0
	for l.student == nil { // begin one
		if _, err := l.Work(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	student := l.student
	for i := 33; i < 40; i++ {
		if one(i); l.student != student {
			t.Fatal("a label that overtakes a student ends its lessons")
		}
	}
	l.Label(w.byID(60, "acc", w.value(60)))
	for !l.Quiet() {
		if p, err := l.Finish(t.Context()); err != nil || p.Challenger != nil && !p.Challenger.Taught {
			t.Fatal("to finish is to begin nothing", err)
		}
	}
	if !l.Due(true) {
		t.Fatal("the label that waited is forgotten")
	}
	workAll(t, l)
}
