package learner

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"archflow/encoders"
	"archflow/encoders/teacher"
)

// Progress is what a piece of work did: a step of pre-training, or a fit.
type Progress struct {
	Losses     encoders.Losses // of a step
	Challenger *Challenger     // of a fit, nil after a step
}

// Due says that there is work: steps owed to new networks, or labels that have
// grown enough for a fit.
func (l *Learner) Due() bool {
	return l.fitDue() || l.owesSteps() || l.refitDue()
}

// owesSteps says that pre-training is behind. It starts with enough networks
// for a mini-batch to mean something.
func (l *Learner) owesSteps() bool {
	return l.pretrain.debt >= 1 && len(l.buffer.networks) >= 32
}

// FitDue says that labels have grown enough for a fit.
func (l *Learner) FitDue() bool { return l.fitDue() }

func (l *Learner) fitDue() bool {
	for _, t := range l.tasks {
		if t.due(l.cfg.FirstLabels, l.cfg.Growth) {
			return true
		}
	}
	return len(l.emptied()) > 0
}

// refitDue says that pre-training has caught up since a fit that came early, so
// that the next model stands on a better trunk and on all networks.
func (l *Learner) refitDue() bool {
	return l.early && !l.owesSteps()
}

// Work does one piece of what is due, or, when ctx ends before it is done,
// nothing of it: the learner is as it was. So what a learner knows follows from
// what it was given and from how many pieces of work lay between.
func (l *Learner) Work(ctx context.Context) (Progress, error) {
	if l.fitDue() || l.refitDue() {
		random, pretrain := *l.source, l.pretrain
		challenger, err := l.fit(ctx)
		if err != nil {
			*l.source, l.pretrain = random, pretrain
		}
		return Progress{Challenger: challenger}, err
	}
	losses, err := l.pretrainStep()
	return Progress{Losses: losses}, err
}

// fitted is what fitting gives for one task.
type fitted struct {
	task    *task
	rows    []int     // labelled networks in the buffer
	y       []float64 // more is better
	heldOut []float64 // [rows], scores of models that had not seen the label

	// suspects are labels that were not learnt from and count in no comparison;
	// believed are the numbers of the others.
	suspects []teacher.Suspect
	believed []int

	// Of a teacher and its student; nil where there are none.
	seen      []float64 // [buffer], the teacher's scores
	byStudent []float64 // [rows], held-out scores of the student
}

// fit forks a challenger from the trunk, fits it to all labels and compares it
// with the champion, which it replaces in the tasks that it ranks as well; see
// Trial.
func (l *Learner) fit(ctx context.Context) (*Challenger, error) {
	if l.pretrain.trunk == nil || l.pretrain.stale {
		if err := l.nextEpoch(); err != nil {
			return nil, err
		}
	}
	early := l.owesSteps()
	var ready []*fitted
	var waiting []*task
	for _, t := range l.tasks {
		if len(t.labels) < l.cfg.FirstLabels {
			continue
		}
		rows, y := t.training()
		if len(rows) < teacher.MinLabels || !l.rankable(y) {
			waiting = append(waiting, t) // many labels of few networks, or of one value
			continue
		}
		ready = append(ready, &fitted{task: t, rows: rows, y: y, believed: counting(len(rows))})
	}
	wait := func() { // for more labels
		for _, t := range waiting {
			t.fit()
		}
	}
	if len(ready) == 0 {
		wait()
		l.early = false
		return l.withoutEmpty()
	}
	fitAll := l.fitBest
	if l.cfg.Predictor == PredictorFGP {
		fitAll = l.fitPublished
	}
	members, tasks, known, err := fitAll(ctx, ready)
	if err != nil {
		return nil, fmt.Errorf("fit: %w", err)
	}
	model, err := encoders.NewModel(l.cfg.Space, l.number+1, members, tasks)
	if err != nil {
		return nil, err
	}
	model.Known = known
	l.calibrate(model, ready)
	c := &Challenger{Model: model}
	for _, f := range ready {
		c.Trials = append(c.Trials, l.trial(f, early))
	}
	if err := l.serve(c, ready); err != nil {
		return nil, err
	}
	wait()
	for i, f := range ready {
		f.task.fit()
		f.task.refused = ""
		if !c.Trials[i].Promoted {
			f.task.refused = c.Trials[i].Why
		}
	}
	if c.Promoted {
		l.number++
		l.champion, l.ripe = c.Model, !early
		l.forget()
	}
	l.early = early
	return c, nil
}

// folds is into how many parts the published method cuts the labels.
const folds = 5

// rankable says that labels differ, by more than rounding; for the published
// method, whichever fold is left out.
func (l *Learner) rankable(y []float64) bool {
	count, most := map[float64]int{}, 0
	for _, v := range y {
		count[v]++
		most = max(most, count[v])
	}
	if l.cfg.Predictor == PredictorFGP && len(y)-most <= (len(y)+folds-1)/folds {
		return false
	}
	return teacher.Rankable(y)
}

// fitPublished fine-tunes the encoder as the paper does, once for each fold of
// the labels, so that all of them train and each is also held out.
func (l *Learner) fitPublished(ctx context.Context, ready []*fitted) (members []*encoders.Member, tasks []encoders.Task, known *encoders.Known, err error) {
	var one sync.Mutex // folds are fitted side by side
	paused := func() {
		one.Lock()
		defer one.Unlock()
		l.pace()
	}
	for _, f := range ready {
		own, heldOut, err := encoders.CrossFineTune(ctx, l.pretrain.trunk, &l.pretrain.graphs, f.rows, f.y, folds, encoders.FineTuneConfig{
			Seed: l.cfg.Seed, Cores: l.pace(), Pause: paused,
		})
		if err != nil {
			return nil, nil, nil, err
		}
		f.heldOut = heldOut
		task := l.describe(f)
		for i := range own {
			task.Heads = append(task.Heads, encoders.Head{Member: len(members) + i})
		}
		members = append(members, own...)
		tasks = append(tasks, task)
	}
	return members, tasks, nil, nil
}

func (l *Learner) describe(f *fitted) encoders.Task {
	return encoders.Task{Name: f.task.name, Minimise: f.task.minimise, Labels: len(f.task.labels)}
}

// calibrate adds to each task what turns scores into values, by the scores that
// were held out.
func (l *Learner) calibrate(m *encoders.Model, ready []*fitted) {
	if m.Known.Len() == 0 {
		for t, scores := range m.Predict(l.workspace, &l.pretrain.graphs, counting(len(l.buffer.networks))).Score {
			ready[t].seen = scores
		}
	}
	for t, f := range ready {
		y := slices.Clone(f.y)
		for i := range y {
			y[i] = f.task.goal(y[i]) // back to the label's own unit
		}
		y = pick(y, f.believed)
		m.Tasks[t].Calibration = encoders.Calibrate(pick(f.heldOut, f.believed), y, f.seen, f.task.minimise)
		if f.byStudent != nil {
			unseen := encoders.Calibrate(pick(f.byStudent, f.believed), y, f.seen, f.task.minimise)
			unseen.Seen = nil
			m.Tasks[t].Unseen = &unseen
		}
	}
}

// gaussOf returns a function that puts scores on the rank-Gauss scale of all,
// so that held-out scores can be read on the scale that a student learns.
func gaussOf(all []float64) func(float64) float64 {
	gauss := encoders.RankGauss(all)
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
