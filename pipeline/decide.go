package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"archflow/encoders"
	"archflow/encoders/learner"
	"archflow/pipeline/decisions"
	"archflow/schemas"
	"archflow/stages"
)

// outcome is what the last fit of a task came to. It follows from the journal and
// is part of a checkpoint, so that a trainer which was killed before it could
// publish a decision publishes it when it comes back.
type outcome struct {
	Space, Task   string
	Decision, Why string
	Learnt        []savedPosition // of labels, when the fit began
	Tau           float64         // NaN where undefined
	Student       bool            // only the student is new
}

// decided keeps what the trainer has decided and what it has yet to say.
type decided struct {
	outcomes map[string]outcome                     // by SPACE/TASK
	touched  map[string]bool                        // tasks with labels since their last decision
	told     map[string]map[schemas.Partition]int64 // space -> labels that its last decision covers
	unsent   map[string]decisions.Decision          // that the topic has not taken
	fits     map[string]*fitOf                      // spaces with a fit under way
	again    time.Time                              // when spaces without new labels are told of next
}

// fitOf is what a fit under way is about.
type fitOf struct {
	at      map[schemas.Partition]int64 // labels that had come when it began
	touched map[string]bool             // tasks with labels since the decision before
}

func newDecided() decided {
	return decided{
		outcomes: map[string]outcome{}, touched: map[string]bool{},
		told: map[string]map[schemas.Partition]int64{}, unsent: map[string]decisions.Decision{},
		fits: map[string]*fitOf{},
	}
}

const (
	// considerEvery is how soon a decision follows a label that calls for no fit.
	considerEvery = 250 * time.Millisecond
	// followEvery is how often a space hears that labels of other spaces were
	// considered.
	followEvery = time.Second
)

func taskKey(space, task string) string { return space + "/" + task }

// touch notes that labels of tasks have come.
func (d *decided) touch(rows []stages.LabelRow) {
	for i := range rows {
		d.touched[taskKey(rows[i].Label.Space, rows[i].Label.Task)] = true
	}
}

// worked notes what a piece of work came to. A fit is about the labels that had
// come when it began.
func (d *decided) worked(l *learner.Learner, c *learner.Challenger, at map[schemas.Partition]int64) {
	space := l.Space()
	if f, under := l.Fitting(); under && f.Done == 0 {
		d.begin(space, at)
	}
	if c == nil {
		return
	}
	if c.Taught {
		d.taught(space, c)
		return
	}
	if d.fits[space] == nil { // it was begun and ended in one piece
		d.begin(space, at)
	}
	for i := range c.Trials {
		trial := &c.Trials[i]
		o := outcome{Space: space, Task: trial.Task, Learnt: savePositions(d.fits[space].at), Tau: trial.HeldOut}
		o.Decision, o.Why = verdict(c, trial)
		if c.GivenUp && l.Champion() == nil {
			o.Decision = decisions.Waiting
		}
		d.outcomes[taskKey(space, trial.Task)] = o
	}
}

// begin notes that a fit has begun: which labels it is about, and of which tasks
// labels came since the last decision.
func (d *decided) begin(space string, at map[schemas.Partition]int64) {
	f := d.fits[space]
	if f == nil {
		f = &fitOf{touched: map[string]bool{}}
		d.fits[space] = f
	}
	f.at = at
	for key := range d.touched {
		if strings.HasPrefix(key, space+"/") {
			f.touched[key] = true
			delete(d.touched, key)
		}
	}
}

// taught notes that a new student answers for the networks that are not
// remembered. What has been learnt of labels is as before.
func (d *decided) taught(space string, c *learner.Challenger) {
	for i := range c.Model.Tasks {
		key := taskKey(space, c.Model.Tasks[i].Name)
		if o, known := d.outcomes[key]; known {
			o.Decision, o.Student = decisions.Promoted, true
			o.Why = fmt.Sprintf("%s answers for networks that are not remembered with a student that has learnt how the others rank", c.Model.Name())
			d.outcomes[key] = o
		}
	}
}

// verdict says what became of a challenger, as to one task, and why.
func verdict(c *learner.Challenger, trial *learner.Trial) (decision, why string) {
	if trial.Promoted {
		return decisions.Promoted, fmt.Sprintf("%s was fitted to %d labels: %s", c.Model.Name(), trial.Labels, trial.Why)
	}
	if c.GivenUp {
		return decisions.Kept, fmt.Sprintf("no model came of a fit to %d labels: %s", trial.Labels, trial.Why)
	}
	return decisions.Kept, fmt.Sprintf("a model was fitted to %d labels and refused: %s", trial.Labels, trial.Why)
}

// undue says why nothing was fitted for a task.
func undue(task *learner.TaskState) (decision, why string) {
	switch {
	case !task.Served:
		return decisions.Waiting, fmt.Sprintf("it has %d labels: %s", task.Labels, task.Reason)
	case task.Changed > 0:
		return decisions.NoneDue, fmt.Sprintf("%d labels are new or changed, fewer than label-growth asks for while other work is due", task.Changed)
	case task.Waiting > 0:
		return decisions.NoneDue, fmt.Sprintf("no label is new; %d of the space wait for their candidates", task.Waiting)
	}
	return decisions.NoneDue, "no label is new"
}

// labelPositions returns the next offsets of labels.
func (t *trainer) labelPositions() map[schemas.Partition]int64 {
	at := map[schemas.Partition]int64{}
	for p, next := range t.positions {
		if p.Topic == t.Topics.Labels {
			at[p] = next
		}
	}
	return at
}

// consider decides about the spaces whose labels call for no fit, and tells what
// is not told. What a decision says is in the journal before it.
func (t *trainer) consider(ctx context.Context) error {
	at := t.labelPositions()
	follow := time.Since(t.decided.again) > 0
	var touched, others []decisions.Decision
	for _, l := range t.stage.Learners() {
		space := l.Space()
		if l.Fits(true) || maps.Equal(t.decided.told[space], at) && !t.decided.newLabels(space) {
			continue // a fit decides
		}
		if t.decided.newLabels(space) {
			list := t.undecided(l, t.decided.touched, at)
			for i := range list {
				delete(t.decided.touched, list[i].Key())
			}
			touched = append(touched, list...)
		} else if tasks := l.Tasks(); follow && len(tasks) > 0 {
			others = append(others, t.undueDecision(space, &tasks[0], at))
		}
	}
	if len(others) > 0 {
		t.decided.again = time.Now().Add(followEvery)
	}
	return t.tellDecisions(ctx, append(touched, others...))
}

func (d *decided) newLabels(space string) bool {
	for key := range d.touched {
		if strings.HasPrefix(key, space+"/") {
			return true
		}
	}
	return false
}

// undecided decides about the tasks of a space that have new labels and were not
// fitted.
func (t *trainer) undecided(l *learner.Learner, touched map[string]bool, at map[schemas.Partition]int64) (list []decisions.Decision) {
	states := map[string]*learner.TaskState{}
	tasks := l.Tasks()
	for i := range tasks {
		states[taskKey(l.Space(), tasks[i].Name)] = &tasks[i]
	}
	for _, key := range slices.Sorted(maps.Keys(touched)) {
		name, ours := strings.CutPrefix(key, l.Space()+"/")
		if !ours {
			continue
		}
		if state := states[key]; state != nil {
			list = append(list, t.undueDecision(l.Space(), state, at))
			continue
		}
		d := decisions.Decision{Space: l.Space(), Task: name, Decision: decisions.Waiting, Why: "it has no labels"}
		d.Learn(at)
		list = append(list, d)
	}
	return list
}

// tellFit tells what a fit of a space came to, and about tasks that lack labels
// for one.
func (t *trainer) tellFit(ctx context.Context, l *learner.Learner) error {
	list := t.outcomesOf(l.Space())
	if f := t.decided.fits[l.Space()]; f != nil {
		for i := range list {
			delete(f.touched, list[i].Key())
		}
		list = append(list, t.undecided(l, f.touched, f.at)...)
		delete(t.decided.fits, l.Space())
	}
	return t.tellDecisions(ctx, list)
}

func (t *trainer) undueDecision(space string, task *learner.TaskState, at map[schemas.Partition]int64) decisions.Decision {
	d := decisions.Decision{Space: space, Task: task.Name}
	d.Decision, d.Why = undue(task)
	d.Learn(at)
	return d
}

// outcomesOf returns the decisions of the last fit of a space.
func (t *trainer) outcomesOf(space string) (list []decisions.Decision) {
	for _, key := range slices.Sorted(maps.Keys(t.decided.outcomes)) {
		o := t.decided.outcomes[key]
		if o.Space != space {
			continue
		}
		d := decisions.Decision{Space: o.Space, Task: o.Task, Decision: o.Decision, Why: o.Why}
		d.Learn(loadPositions(o.Learnt))
		d.SetTau(o.Tau)
		list = append(list, d)
	}
	return list
}

// tellDecisions completes decisions and puts them on the models topic, behind the
// journal entry that explains them. What the topic does not take is tried again.
func (t *trainer) tellDecisions(ctx context.Context, list []decisions.Decision) error {
	d := &t.decided
	if len(list) == 0 && len(d.unsent) == 0 {
		return nil
	}
	if err := t.journal.append(ctx); err != nil {
		return err
	}
	for i := range list {
		t.complete(ctx, &list[i])
		d.unsent[list[i].Key()] = list[i]
		d.told[list[i].Space] = t.positionsOf(&list[i])
	}
	send := make([]decisions.Decision, 0, len(d.unsent))
	for _, x := range d.unsent {
		send = append(send, x)
	}
	slices.SortFunc(send, func(a, b decisions.Decision) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Key(), b.Key()))
	})
	if err := t.Process.tellDecisions(ctx, send); err != nil {
		t.report.Log.WarnContext(ctx, "cannot tell of decisions; trying again", "topic", t.Topics.Models, "decisions", len(send), "error", err)
		return nil
	}
	clear(d.unsent)
	return nil
}

// complete fills in what answers now.
func (t *trainer) complete(ctx context.Context, d *decisions.Decision) {
	manifest := t.registry.Manifest()
	d.Version, d.Time = manifest.Version, time.Now().UTC().Truncate(time.Millisecond)
	s := manifest.Spaces[d.Space]
	if s.Model == "" {
		return
	}
	d.Model = &s.Model
	if s.pinned() {
		d.Why += fmt.Sprintf("; an operator has pinned %s, and %s waits", s.Model, s.trained().Model)
	}
	if model := t.answering(ctx, d.Space); model != nil {
		if column := model.Task(d.Task); column >= 0 {
			d.Labels = model.Tasks[column].Labels
		}
	}
}

// answering returns the model that answers a space, nil before the first.
func (t *trainer) answering(ctx context.Context, space string) *encoders.Model {
	g, err := t.registry.Generation(ctx, schemas.NewestRegistry)
	symbol, known := schemas.Lookup(space)
	if err != nil || !known || g.Spaces[symbol] == nil {
		return nil
	}
	return g.Spaces[symbol].Model
}

func (t *trainer) positionsOf(d *decisions.Decision) map[schemas.Partition]int64 {
	at := map[schemas.Partition]int64{}
	for p := range t.labelPositions() {
		if next, ok := d.Learnt[fmt.Sprintf("%s/%d", p.Topic, p.Number)]; ok {
			at[p] = next
		}
	}
	return at
}

// resume tells again what the trainers before have decided, should they have had
// no time to, and decides about the labels that have come since.
func (t *trainer) resume(ctx context.Context) error {
	for _, l := range t.stage.Learners() {
		if err := t.tellDecisions(ctx, t.outcomesOf(l.Space())); err != nil {
			return err
		}
		for _, task := range l.Tasks() {
			if !task.Served || task.Changed > 0 {
				t.decided.touched[taskKey(l.Space(), task.Name)] = true
			}
		}
	}
	return nil
}

func savePositions(at map[schemas.Partition]int64) (list []savedPosition) {
	for p, next := range at {
		list = append(list, savedPosition{p.Topic, p.Number, next})
	}
	slices.SortFunc(list, func(a, b savedPosition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
	})
	return list
}

func loadPositions(list []savedPosition) map[schemas.Partition]int64 {
	at := make(map[schemas.Partition]int64, len(list))
	for _, p := range list {
		at[schemas.Partition{Topic: p.Topic, Number: p.Number}] = p.Next
	}
	return at
}
