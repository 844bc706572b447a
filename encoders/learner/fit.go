package learner

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"archflow/encoders"
	"archflow/encoders/calibration"
	"archflow/encoders/metrics"
	"archflow/encoders/teacher"
	"archflow/schemas"
)

// Progress is the result of one piece of work: a step of pre-training, or a part of a fit
// or of a student's lessons.
type Progress struct {
	Losses     encoders.Losses // of a step of pre-training
	Step       bool            // it was one
	Challenger *Challenger     // with the last part of a fit or of a student's lessons
}

// Due says that there is work: steps owed to new networks, a fit or a student under
// way, or labels that call for a fit. eager has the meaning that it has for Work.
func (l *Learner) Due(eager bool) bool {
	return !l.quiet() || l.labelsDue(eager) || l.untaught || l.owesSteps() || l.refitDue() || l.given != nil && l.given.Due(eager)
}

// owesSteps says that pre-training is behind. It starts with enough networks
// for a mini-batch to mean something.
func (l *Learner) owesSteps() bool {
	return l.pretrain.debt >= 1 && len(l.buffer.networks) >= 32
}

// Fits says whether labels call for a fit or one of labels is under way.
func (l *Learner) Fits(eager bool) bool {
	return l.labelsDue(eager) || l.fitting != nil && !l.fitting.refit || l.given != nil && l.given.Fits(eager)
}

// Quiet reports that State can be taken: no fit is under way.
func (l *Learner) Quiet() bool { return l.quiet() && (l.given == nil || l.given.Quiet()) }

func (l *Learner) quiet() bool { return l.fitting == nil && l.student == nil }

// labelsDue says that labels call for a fit: that they have grown enough or, to
// the eager, that any has changed.
func (l *Learner) labelsDue(eager bool) bool {
	for _, t := range l.tasks {
		if first := l.first(t); t.due(first, l.cfg.Growth) || eager && t.changed > 0 && len(t.labels) >= first {
			return true
		}
	}
	return len(l.emptied()) > 0
}

// refitDue reports that pre-training has caught up since a fit that came early, so that
// the next model uses a better trunk and all networks.
func (l *Learner) refitDue() bool {
	return l.early && !l.owesSteps()
}

// Work does one piece of the work that is due, or nothing of it when ctx ends first. A
// learner's state is therefore a function of its input and of the number of pieces of
// work between. A fit is done in pieces, a task at a time, and so are the lessons of a
// student; labels and candidates may come between them.
//
// To the eager any new label calls for a fit, and not only the growth of labels.
// Labels wait for nothing but a fit of other labels: they go before students and
// pre-training, and a fit that pre-training has asked for is given up for them.
func (l *Learner) Work(ctx context.Context, eager bool) (Progress, error) {
	if l.given == nil {
		return l.work(ctx, eager)
	}
	if l.workGiven(eager) {
		return l.composed(l.inner(func(g *Learner) (Progress, error) { return g.Work(ctx, eager) }))
	}
	return l.composed(l.work(ctx, eager))
}

// Finish continues the work under way, and begins nothing.
func (l *Learner) Finish(ctx context.Context) (Progress, error) {
	switch {
	case l.fitting != nil:
		return l.composed(l.goOn(ctx, l.fitting))
	case l.student != nil:
		return l.composed(l.teach(ctx))
	case l.given != nil:
		return l.composed(l.inner(func(g *Learner) (Progress, error) { return g.Finish(ctx) }))
	}
	return Progress{}, nil
}

// Yields reports that the work under way is given up when labels come.
func (l *Learner) Yields() bool {
	return l.fitting != nil && l.fitting.refit || l.given != nil && l.given.Yields()
}

// composed makes one model of a promoted challenger and the tasks of architectures
// as given.
func (l *Learner) composed(p Progress, err error) (Progress, error) {
	if err != nil || l.given == nil || p.Challenger == nil || !p.Challenger.Promoted {
		return p, err
	}
	if err := l.compose(); err != nil {
		return p, err
	}
	p.Challenger.Model = l.served
	return p, nil
}

// work is Work without the tasks of architectures as given. An idle learner frees the
// memory of its steps, which is most of the memory of a small space.
func (l *Learner) work(ctx context.Context, eager bool) (Progress, error) {
	p, err := l.piece(ctx, eager)
	if l.pretrain.trunk != nil && l.quiet() && !l.owesSteps() {
		l.pretrain.trunk.Rest()
	}
	return p, err
}

func (l *Learner) piece(ctx context.Context, eager bool) (Progress, error) {
	labels := l.labelsDue(eager)
	switch f := l.fitting; {
	case f != nil && (!f.refit || !labels):
		return l.goOn(ctx, f)
	case labels:
		return l.begin(ctx, false)
	case l.student != nil || l.untaught:
		return l.teach(ctx)
	case l.refitDue():
		return l.begin(ctx, true)
	}
	losses, err := l.pretrainStep()
	return Progress{Losses: losses, Step: true}, err
}

// fitting is a fit under way. It works on the learner's data as of its beginning; later
// input does not change it.
type fitting struct {
	refit    bool // pre-training has asked for it, not labels
	early    bool // pre-training has not caught up
	ids      []schemas.ID
	graphs   schemas.Graphs
	features *teacher.Features // nil for the published method
	ready    []*fitted
	waiting  []*fitted // tasks whose labels rank nothing
	next     int       // of ready

	members []*encoders.Member // of the published method
}

// fitted is the result of fitting for one task.
type fitted struct {
	task      *task
	minimise  bool      // as the labels were read
	labels    int       // of the task
	changed   int       // of those, since the last fit
	rows      []int     // labelled networks among those of the fit
	y         []float64 // more is better
	outOfFold []float64 // [rows], scores of models that were fitted without the label

	// suspects are labels that were not learnt from and count in no comparison; believed
	// are the numbers of the others.
	suspects []teacher.Suspect
	believed []int

	related  []teacher.Related
	failures []int     // networks whose trainings gave nothing
	failed   []float64 // [failures], scores made without that knowledge

	// Of a teacher and its student; nil where there are none.
	scores    []float64 // [networks], the teacher's scores
	byStudent []float64 // [rows], held-out scores of the student
	heads     []encoders.Head
	spread    spreads
	leaveOut  func(group []int) []float64 // of the teacher, see its Result
}

// Fitting says how far a fit is.
type Fitting struct {
	Tasks, Done int
}

// Fitting returns how far the fit under way is; ok is false without one.
func (l *Learner) Fitting() (_ Fitting, ok bool) {
	if l.fitting == nil {
		if l.given != nil {
			return l.given.Fitting()
		}
		return Fitting{}, false
	}
	return Fitting{Tasks: len(l.fitting.ready), Done: l.fitting.next}, true
}

// begin looks at the labels and prepares the networks for a fit of them. Where no
// task can be fitted, that is all.
func (l *Learner) begin(ctx context.Context, refit bool) (Progress, error) {
	random, pretrain := *l.source, l.pretrain
	if l.pretrain.trunk == nil || l.pretrain.stale {
		if err := l.nextEpoch(); err != nil {
			return Progress{}, err
		}
	}
	f := &fitting{refit: refit, early: l.owesSteps(), ids: idsOf(l.pretrain.networks), graphs: l.pretrain.graphs}
	for _, t := range l.tasks {
		if len(t.labels) < l.first(t) {
			continue
		}
		one := &fitted{task: t, minimise: t.minimise, labels: len(t.labels), changed: t.changed}
		one.rows, one.y = t.training()
		if len(one.rows) < teacher.MinLabels || !l.rankable(one.y) {
			f.waiting = append(f.waiting, one) // many labels of few networks, or of one value
			continue
		}
		one.believed, one.failures = counting(len(one.rows)), t.failures()
		one.related = l.related(t, len(one.rows))
		f.ready = append(f.ready, one)
	}
	if len(f.ready) > 0 && l.cfg.Predictor == PredictorBest {
		var err error
		if f.features, err = l.features(ctx); err != nil {
			*l.source, l.pretrain = random, pretrain
			return Progress{}, fmt.Errorf("fit: %w", err)
		}
	}
	if len(f.ready) > 0 {
		l.fitting = f
		return Progress{}, nil
	}
	l.fitting = nil
	for _, w := range f.waiting {
		w.task.fit(w)
	}
	l.early = false
	c, err := l.withoutEmpty()
	return Progress{Challenger: c}, err
}

// goOn does the next piece of a fit, a task, and with the last of them the model.
func (l *Learner) goOn(ctx context.Context, f *fitting) (Progress, error) {
	fitOne := l.rank
	if l.cfg.Predictor == PredictorFGP {
		fitOne = l.fineTune
	}
	if err := fitOne(ctx, f, f.ready[f.next]); err != nil {
		return Progress{}, fmt.Errorf("fit: %w", err)
	}
	if f.next++; f.next < len(f.ready) {
		return Progress{}, nil
	}
	c, err := l.finish(f)
	if err != nil {
		return Progress{}, fmt.Errorf("fit: %w", err)
	}
	l.fitting = nil
	return Progress{Challenger: c}, nil
}

// finish compares the model that a fit gives with the champion, which it replaces
// in the tasks that it ranks as well; see Trial.
func (l *Learner) finish(f *fitting) (*Challenger, error) {
	model, err := l.assemble(f)
	if err != nil {
		return nil, err
	}
	l.calibrate(model, f)
	c := &Challenger{Model: model}
	for _, one := range f.ready {
		c.Trials = append(c.Trials, l.trial(f, one))
	}
	if err := l.serve(c, f); err != nil {
		return nil, err
	}
	for _, w := range f.waiting { // for more labels
		w.task.fit(w)
	}
	for i, one := range f.ready {
		one.task.fit(one)
		one.task.refused = ""
		if !c.Trials[i].Promoted {
			one.task.refused = c.Trials[i].Why
		}
	}
	if c.Promoted {
		l.number++
		l.champion, l.ripe = c.Model, !f.early
		l.forget()
	}
	if c.Promoted && f.features != nil {
		l.untaught = true
	}
	l.early = f.early
	return c, nil
}

// assemble puts the model together that a fit gives.
func (l *Learner) assemble(f *fitting) (*encoders.Model, error) {
	members := f.members
	if f.features != nil {
		member, err := l.readOut(f)
		if err != nil {
			return nil, err
		}
		members = []*encoders.Member{member}
	}
	var tasks []encoders.Task
	var scores, unsure [][]float64
	for _, one := range f.ready {
		task := encoders.Task{Name: one.task.name, Minimise: one.minimise, Labels: one.labels, Heads: one.heads, Spreads: one.spread.heads}
		if l.cfg.given {
			task.Of = encoders.OfArchitecture
		}
		tasks = append(tasks, task)
		scores, unsure = append(scores, one.scores), append(unsure, one.spread.all)
	}
	model, err := encoders.NewModel(l.cfg.Space, l.number+1, members, tasks)
	if err == nil && f.features != nil {
		model.Cache = encoders.NewScoreCache(f.ids, scores, unsure)
	}
	return model, err
}

// folds is into how many parts the published method cuts the labels.
const folds = 5

// rankable reports that labels differ by more than rounding; for the published method, in
// every fold.
func (l *Learner) rankable(y []float64) bool {
	count, largest := map[float64]int{}, 0
	for _, v := range y {
		count[v]++
		largest = max(largest, count[v])
	}
	if l.cfg.Predictor == PredictorFGP && len(y)-largest <= (len(y)+folds-1)/folds {
		return false
	}
	return teacher.Rankable(y)
}

// fineTune fine-tunes the encoder for one task as the paper does, once for each fold of
// the labels, so that all of them train and each also has an out-of-fold score.
func (l *Learner) fineTune(ctx context.Context, f *fitting, one *fitted) error {
	var alone sync.Mutex // folds are fitted side by side
	paced := func() int {
		alone.Lock()
		defer alone.Unlock()
		return l.pace()
	}
	own, outOfFold, err := encoders.CrossFineTune(ctx, l.pretrain.trunk, &f.graphs, one.rows, one.y, folds, encoders.FineTuneConfig{
		Seed: l.cfg.Seed, Cores: l.pace(), Pace: paced,
	})
	if err != nil {
		return err
	}
	one.outOfFold = outOfFold
	for i := range own {
		one.heads = append(one.heads, encoders.Head{Member: len(f.members) + i})
	}
	f.members = append(f.members, own...)
	return nil
}

// calibrate adds to each task the map from scores to values, fitted to the out-of-fold
// scores.
func (l *Learner) calibrate(m *encoders.Model, f *fitting) {
	if m.Cache.Len() == 0 {
		for t, scores := range m.Predict(l.workspace, &f.graphs, counting(len(f.ids))).Score {
			f.ready[t].scores = scores
		}
	}
	for t, one := range f.ready {
		m.Tasks[t].Calibration = calibration.Fit(pick(one.outOfFold, one.believed), one.spread.of(one.spread.outOfFold, one.believed), one.values(), one.scores, one.minimise)
		if f.features != nil {
			m.Tasks[t].Calibration.Widen(teacher.Optimism(len(one.believed)))
		}
		m.Tasks[t].Unseen = one.unseen()
		m.Tasks[t].Failures = encoders.FitFailures(pick(one.outOfFold, one.believed), one.failed)
		m.Tasks[t].Learnt = encoders.NewLearnt(&f.graphs, pick(one.rows, one.believed), one.values())
		m.Tasks[t].Learnt.Extrapolate(&f.graphs, pick(one.rows, one.believed), one.leaveOut)
	}
}

// values returns the labels that are no suspects, in their own unit.
func (f *fitted) values() []float64 {
	y := pick(f.y, f.believed)
	if f.minimise {
		for i := range y {
			y[i] = -y[i]
		}
	}
	return y
}

// unseen returns the calibration of the student's scores, nil without one.
func (f *fitted) unseen() *calibration.Map {
	if f.byStudent == nil {
		return nil
	}
	c := calibration.Fit(pick(f.byStudent, f.believed), f.spread.of(f.spread.byStudent, f.believed), f.values(), f.scores, f.minimise)
	c.Widen(teacher.Optimism(len(f.believed)))
	c.Seen = nil
	return &c
}

// gaussOf returns a function that puts scores on the rank-Gauss scale of all,
// so that held-out scores can be read on the scale that a student learns.
func gaussOf(all []float64) func(float64) float64 {
	gauss := metrics.RankGauss(all)
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(i, j int) bool { return all[order[i]] < all[order[j]] })
	x, y := make([]float64, len(all)), make([]float64, len(all))
	for i, o := range order {
		x[i], y[i] = all[o], gauss[o]
	}
	return func(score float64) float64 {
		at, found := slices.BinarySearch(x, score)
		switch {
		case found:
			return y[at]
		case at == 0:
			return y[0]
		case at == len(x):
			return y[at-1]
		}
		share := (score - x[at-1]) / (x[at] - x[at-1])
		return y[at-1] + share*(y[at]-y[at-1])
	}
}
