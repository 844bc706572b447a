package learner

import (
	"context"
	"fmt"
	"math"
	"slices"

	"archflow/encoders"
	"archflow/encoders/metrics"
	"archflow/schemas"
)

var nan = math.NaN()

// student is a student under way: the encoder learns the teacher's scores of the
// networks, so that it can answer for others at the stream's speed.
type student struct {
	distilling *encoders.Distilling
	lessons    lessons
	rows, left []int // networks that it learns from, and those that it does not
	early      bool  // pre-training has not caught up
}

// lessons are the training data of a student.
type lessons struct {
	ids      []schemas.ID
	graphs   schemas.Graphs
	tasks    []string
	minimise []bool
	scores   [][]float64 // [tasks][networks], NaN where there is none
	unsure   [][]float64 // [tasks][networks], how unsure they are, NaN where that is not known
}

// lessons returns the scores of a fit as lessons.
func (f *fitting) lessons() lessons {
	x := lessons{ids: f.ids, graphs: f.graphs}
	for _, one := range f.ready {
		x.tasks, x.minimise, x.scores = append(x.tasks, one.task.name), append(x.minimise, one.minimise), append(x.scores, one.scores)
		x.unsure = append(x.unsure, orNone(one.spread.all, len(f.ids)))
	}
	return x
}

// remembered returns the champion's cached scores of the networks of pre-training as
// lessons.
func (l *Learner) remembered() lessons {
	x := lessons{graphs: l.pretrain.graphs, ids: idsOf(l.pretrain.networks)}
	for column, t := range l.champion.Tasks {
		scores, unsure := recalled(l.champion.Cache.Lookup, x.ids, column), recalled(l.champion.Cache.LookupSpread, x.ids, column)
		if anyFinite(scores) {
			x.unsure = append(x.unsure, unsure)
			x.tasks, x.minimise, x.scores = append(x.tasks, t.Name), append(x.minimise, t.Minimise), append(x.scores, scores)
		}
	}
	return x
}

// recalled returns a column of cached values of networks, NaN where there is none.
func recalled(of func(schemas.ID) []float64, ids []schemas.ID, column int) []float64 {
	out := make([]float64, len(ids))
	for i, id := range ids {
		out[i] = nan
		if own := of(id); own != nil {
			out[i] = own[column]
		}
	}
	return out
}

// heads returns the columns of the member that will answer a task: its score, and its
// spread where the lessons have one.
func (x *lessons) heads(task int) (score, spread []encoders.Head) {
	score = []encoders.Head{{Column: task}}
	if anyFinite(x.unsure[task]) {
		spread = []encoders.Head{{Column: len(x.tasks) + task}}
	}
	return score, spread
}

// split returns the networks to learn from and those that are left out, a share by
// their identity.
func (x *lessons) split() (rows, left []int) {
	for i, id := range x.ids {
		known := false
		for _, scores := range x.scores {
			known = known || scores[i] == scores[i]
		}
		switch {
		case !known:
		case id[0] < leftOut:
			left = append(left, i)
		default:
			rows = append(rows, i)
		}
	}
	if len(rows) == 0 {
		rows = left
	}
	return rows, left
}

// targets returns the columns of a member that learns some networks: the scores of
// all tasks, and then how unsure they are.
func (x *lessons) targets(rows []int) [][]float64 {
	var out [][]float64
	for _, column := range slices.Concat(x.scores, x.unsure) {
		out = append(out, pick(column, rows))
	}
	return out
}

// newStudent begins lessons.
func (l *Learner) newStudent(x lessons) (*student, error) {
	s := &student{lessons: x, early: l.owesSteps()}
	s.rows, s.left = x.split()
	c := encoders.DistilConfig{Spreads: len(x.unsure), Epochs: l.cfg.distilEpochs, Batch: 256, HeldOut: -1, Seed: l.cfg.Seed, Pace: l.pace}
	switch {
	case s.early: // it is taught again soon
		c.Epochs = min(c.Epochs, quickEpochs)
	case l.grownUp && l.pupil != nil:
		c.Epochs, c.From = min(c.Epochs, quickEpochs), l.pupil
	}
	// Few networks are few mini-batches, too few to learn anything from.
	batches := (len(s.rows) + c.Batch - 1) / c.Batch
	c.Epochs = max(c.Epochs, (l.cfg.minLessons+batches-1)/batches)
	var err error
	s.distilling, err = encoders.NewDistilling(l.pretrain.trunk, &s.lessons.graphs, s.rows, x.targets(s.rows), c)
	return s, err
}

// lessonSteps is how many mini-batches a student learns in one piece of work.
const lessonSteps = 8

// teach gives the champion's next student some more lessons, and puts it
// in its place after the last.
func (l *Learner) teach(ctx context.Context) (Progress, error) {
	s := l.student
	if s == nil {
		x := l.remembered()
		if len(x.tasks) == 0 {
			l.untaught = false
			return Progress{}, nil
		}
		var err error
		if s, err = l.newStudent(x); err != nil {
			return Progress{}, fmt.Errorf("student: %w", err)
		}
	}
	if err := s.distilling.Steps(ctx, lessonSteps); err != nil {
		return Progress{}, fmt.Errorf("student: %w", err)
	}
	if l.student == nil {
		l.student, l.untaught = s, false
	}
	if !s.distilling.Done() {
		return Progress{}, nil
	}
	c, err := l.replaceStudent(s)
	if err != nil {
		return Progress{}, fmt.Errorf("student: %w", err)
	}
	l.student = nil
	return Progress{Challenger: c}, nil
}

// replaceStudent makes a model of the champion and a new student of it, which
// serves.
func (l *Learner) replaceStudent(s *student) (*Challenger, error) {
	var ready []*fitted
	var tasks []encoders.Task
	var scores, unsure [][]float64
	var taken, kept []string
	ids := l.champion.Cache.IDs()
	for column, name := range s.lessons.tasks {
		at := l.champion.Task(name)
		if at < 0 || l.champion.Tasks[at].Minimise != s.lessons.minimise[column] {
			continue // it was dropped, or turned, meanwhile
		}
		one := l.refitted(s, at)
		one.heads, one.spread.heads = s.lessons.heads(column)
		ready = append(ready, one)
	}
	if len(ready) == 0 {
		return nil, nil
	}
	pupil := s.distilling.Distillation().Member
	member, err := l.lastLayer(s, pupil, ready)
	if err != nil {
		return nil, err
	}
	for _, one := range ready {
		task := l.champion.Tasks[l.champion.Task(one.task.name)]
		task.Heads, task.Spreads = one.heads, one.spread.heads
		if unseen := one.unseen(); unseen != nil {
			task.Unseen = unseen
		}
		at := l.champion.Task(task.Name)
		tasks, taken = append(tasks, task), append(taken, task.Name)
		scores = append(scores, recalled(l.champion.Cache.Lookup, ids, at))
		unsure = append(unsure, recalled(l.champion.Cache.LookupSpread, ids, at))
	}
	for _, t := range l.champion.Tasks {
		found := false
		for _, name := range taken {
			found = found || name == t.Name
		}
		if !found {
			kept = append(kept, t.Name)
		}
	}
	model, err := encoders.NewModel(l.cfg.Space, l.number+1, []*encoders.Member{member}, tasks)
	if err != nil {
		return nil, err
	}
	model.Cache = encoders.NewScoreCache(ids, scores, unsure)
	if len(kept) > 0 {
		if model, err = encoders.Compose(model, l.champion, taken, kept); err != nil {
			return nil, err
		}
	}
	l.number++
	l.champion, l.pupil, l.grownUp = model, pupil, !s.early
	return &Challenger{Model: model, Promoted: true, Taught: true}, nil
}

// refitted returns the champion's fit of a task, as far as it is still known, with rows
// among the networks of a student.
func (l *Learner) refitted(s *student, column int) *fitted {
	t := l.champion.Tasks[column]
	one := &fitted{task: l.task(t.Name), minimise: t.Minimise, scores: recalled(l.champion.Cache.Lookup, s.lessons.ids, column)}
	one.spread.all = recalled(l.champion.Cache.LookupSpread, s.lessons.ids, column)
	sum, count := map[schemas.ID]float64{}, map[schemas.ID]int{}
	for _, id := range sortedIDs(one.task.labels) {
		x := one.task.labels[id]
		sum[x.network.id] += x.value
		count[x.network.id]++
	}
	for i, id := range s.lessons.ids {
		own, trained := one.task.trained[id]
		if !trained || own.score != own.score || count[id] == 0 || one.scores[i] != one.scores[i] {
			continue
		}
		y := sum[id] / float64(count[id])
		if t.Minimise {
			y = -y
		}
		one.believed = append(one.believed, len(one.rows))
		one.rows, one.y, one.outOfFold = append(one.rows, i), append(one.y, y), append(one.outOfFold, own.score)
		one.spread.outOfFold = append(one.spread.outOfFold, own.spread)
	}
	return one
}

// lastLayer returns the student as it is or with a last layer in closed form, the one
// that follows the scores better on networks that it has not learnt from. The scores may
// be newer than its lessons.
func (l *Learner) lastLayer(s *student, pupil *encoders.Member, ready []*fitted) (*encoders.Member, error) {
	x := lessons{graphs: s.lessons.graphs}
	var own []int
	for _, one := range ready {
		own = append(own, one.heads[0].Column)
		x.tasks, x.scores = append(x.tasks, one.task.name), append(x.scores, one.scores)
		x.unsure = append(x.unsure, orNone(one.spread.all, len(one.scores)))
	}
	solved, err := encoders.Readout(l.pretrain.trunk, pupil, &x.graphs, s.rows, x.targets(s.rows), len(ready), l.cfg.Seed)
	if err != nil {
		return nil, err
	}
	a, b := pupil.Scores(&x.graphs, s.left), solved.Scores(&x.graphs, s.left)
	gain := 0.
	for i, one := range ready {
		theirs := pick(one.scores, s.left)
		if d := metrics.KendallTau(theirs, b[i]) - metrics.KendallTau(theirs, a[own[i]]); d == d {
			gain += d
		}
	}
	if gain <= 0 {
		judge(s.left, a, ready)
		return pupil, nil
	}
	for i, one := range ready {
		one.heads, one.spread.heads = x.heads(i)
	}
	judge(s.left, b, ready)
	return solved, nil
}

// readOut returns the member that answers for networks that are not remembered
// until a student has learnt the new scores: the last student, or else the trunk,
// with a last layer in closed form. It is asked about networks that it has not
// learnt from.
func (l *Learner) readOut(f *fitting) (*encoders.Member, error) {
	x := f.lessons()
	rows, left := x.split()
	for i, one := range f.ready {
		one.heads, one.spread.heads = x.heads(i)
	}
	member, err := encoders.Readout(l.pretrain.trunk, l.pupil, &f.graphs, rows, x.targets(rows), len(x.unsure), l.cfg.Seed)
	if err != nil {
		return nil, err
	}
	judge(left, member.Scores(&f.graphs, left), f.ready)
	return member, nil
}

// judge estimates for each task a member's out-of-sample scores of the labelled networks,
// from its columns for networks that it has not learnt from.
func judge(left []int, columns [][]float64, ready []*fitted) {
	for _, one := range ready {
		var unsure []float64
		if one.spread.heads != nil {
			unsure = columns[one.spread.heads[0].Column]
		}
		one.judge(left, columns[one.heads[0].Column], unsure)
	}
}
