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
)

const (
	// considerEvery is how soon a decision follows a label that calls for no fit.
	considerEvery = 250 * time.Millisecond
	// followEvery is how often a space gets a decision because labels of other spaces were
	// considered.
	followEvery = time.Second
)

// labelPositions returns the next offsets of labels.
func (t *trainer) labelPositions() map[schemas.TopicPartition]int64 {
	at := map[schemas.TopicPartition]int64{}
	for p, next := range t.positions {
		if p.Topic == t.Topics.Labels {
			at[p] = next
		}
	}
	return at
}

// consider decides about the spaces whose labels call for no fit, and publishes the
// decisions that are new. The journal entry that explains them is durable first.
func (t *trainer) consider(ctx context.Context) error {
	at := t.labelPositions()
	follow := time.Since(t.decided.nextCheck) > 0
	var touched, others []decisions.Decision
	for _, l := range t.stage.Learners() {
		space := l.Space()
		if l.Fits(true) || maps.Equal(t.decided.last[space].covered, at) && !t.decided.newLabels(space) {
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
		} else if last := t.decided.last[space]; follow && last.task != "" {
			others = append(others, noLabels(space, last.task, at))
		}
	}
	if len(others) > 0 {
		t.decided.nextCheck = time.Now().Add(followEvery)
	}
	return t.publishDecisions(ctx, append(touched, others...))
}

// undecided decides about the tasks of a space that have new labels and were not
// fitted.
func (t *trainer) undecided(l *learner.Learner, touched map[string]bool, at map[schemas.TopicPartition]int64) (list []decisions.Decision) {
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
		list = append(list, noLabels(l.Space(), name, at))
	}
	return list
}

// publishFitDecisions publishes the outcome of a space's fit, and decisions about the
// tasks that have too few labels for one. Other spaces that have got labels are announced
// first: of one that is not, the decisions say that it has none.
func (t *trainer) publishFitDecisions(ctx context.Context, l *learner.Learner) error {
	if err := t.announce(ctx); err != nil {
		return err
	}
	list := t.outcomesOf(l.Space())
	if f := t.decided.fits[l.Space()]; f != nil {
		for i := range list {
			delete(f.touched, list[i].Key())
		}
		list = append(list, t.undecided(l, f.touched, f.at)...)
		delete(t.decided.fits, l.Space())
	}
	return t.publishDecisions(ctx, list)
}

func (t *trainer) undueDecision(space string, task *learner.TaskState, at map[schemas.TopicPartition]int64) decisions.Decision {
	d := decisions.Decision{Space: space, Task: task.Name}
	d.Decision, d.Why = undue(task)
	d.Learn(at)
	return d
}

// noLabels is the decision about a task whose labels are all withdrawn.
func noLabels(space, task string, at map[schemas.TopicPartition]int64) decisions.Decision {
	d := decisions.Decision{Space: space, Task: task, Decision: decisions.Waiting, Why: "it has no labels"}
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

// publishDecisions completes decisions and publishes them to the models topic, after the
// journal entry that explains them is durable. Those that the topic does not take are
// tried again.
func (t *trainer) publishDecisions(ctx context.Context, list []decisions.Decision) error {
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
		d.last[list[i].Space] = lastDecision{list[i].Task, t.positionsOf(&list[i])}
	}
	send := make([]decisions.Decision, 0, len(d.unsent))
	for _, x := range d.unsent {
		send = append(send, x)
	}
	slices.SortFunc(send, func(a, b decisions.Decision) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Key(), b.Key()))
	})
	if err := t.models.decisions(ctx, send); err != nil {
		t.report.Log.WarnContext(ctx, "cannot publish decisions; trying again", "topic", t.Topics.Models, "decisions", len(send), "error", err)
		return nil
	}
	clear(d.unsent)
	return nil
}

// complete fills in the model that answers now.
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
	g, err := t.registry.ModelSet(ctx, schemas.NewestRegistry)
	symbol, known := schemas.Lookup(space)
	if err != nil || !known || g.Spaces[symbol] == nil {
		return nil
	}
	return g.Spaces[symbol].Model
}

func (t *trainer) positionsOf(d *decisions.Decision) map[schemas.TopicPartition]int64 {
	at := map[schemas.TopicPartition]int64{}
	for p := range t.labelPositions() {
		if next, ok := d.Learnt[fmt.Sprintf("%s/%d", p.Topic, p.Number)]; ok {
			at[p] = next
		}
	}
	return at
}

// resume publishes again the decisions of earlier trainers, which may have been killed
// before they could, and decides about the labels that have come since.
func (t *trainer) resume(ctx context.Context) error {
	for _, l := range t.stage.Learners() {
		t.remembers(l) // also of a space that nothing comes for any more
		if err := t.publishDecisions(ctx, t.outcomesOf(l.Space())); err != nil {
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
