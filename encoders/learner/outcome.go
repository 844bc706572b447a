package learner

import (
	"fmt"
	"slices"
	"strings"

	"archflow/encoders/teacher"
	"archflow/schemas"
)

// Outcome is a label beside the prediction that was made before it was used.
type Outcome struct {
	Label        schemas.Label
	Known        bool // the candidate is known, or the label carries its graph
	Architecture schemas.ID
	Network      schemas.ID
	Minimise     bool
	Suspect      string // why the label looks like a mistake, a sentence; "" when it does not
	Turned       bool   // the goal is the opposite of that of the task's labels before it

	// Answered says that the champion knew the task; otherwise the rest is zero.
	Answered                     bool
	Model                        string
	Score                        float64
	Value, Low, High, Percentile float64
}

// Label takes in a label and returns it beside the champion's prediction. A
// label of a candidate that is not known waits for it.
func (l *Learner) Label(x schemas.Label) Outcome {
	if l.givenFor(&x) != nil {
		architecture, n := l.find(&x)
		if n == nil {
			t := l.given.task(x.Task)
			t.minimise = x.GoalGiven && x.Minimise || !x.GoalGiven && t.minimise
			l.wait(x)
			return Outcome{Label: x, Architecture: architecture, Minimise: t.minimise}
		}
		return l.labelGiven(x, architecture, n)
	}
	t := l.task(x.Task)
	if x.Value == 0 {
		x.Value = 0 // a negative zero would come back from a checkpoint without its sign
	}
	turned := false
	if x.GoalGiven && t.minimise != x.Minimise {
		turned = len(t.results) > 0
		t.minimise = x.Minimise
		t.changed += len(t.results) // all of them mean the opposite
		t.prequential = prequential{}
	}
	architecture, n := l.find(&x)
	if n == nil {
		l.wait(x)
		l.forget()
		return Outcome{Label: x, Architecture: architecture, Minimise: t.minimise, Turned: turned}
	}
	outcome := l.apply(t, x, architecture, n)
	outcome.Turned = turned
	return outcome
}

// wait keeps a label until its candidate comes.
func (l *Learner) wait(x schemas.Label) {
	key := waitingID(x.ID)
	if x.HasArchitecture {
		key = waitingArchitecture(x.Architecture)
	}
	l.waiting.add(key, x)
}

// forget removes the tasks of which nothing is left: no label, none that waits
// for its candidate, and no model that answers them.
func (l *Learner) forget() {
	l.tasks = slices.DeleteFunc(l.tasks, func(t *task) bool {
		return t.empty() && (l.champion == nil || l.champion.Task(t.name) < 0) && !l.waiting.wants(t.name)
	})
}

// Waiting returns how many labels wait for their candidates, and how many have
// been given up since New because there was no room for more.
func (l *Learner) Waiting() (labels int, givenUp int64) { return l.waiting.held, l.waiting.gone }

// find returns the architecture and network of a label, nil while unknown.
func (l *Learner) find(x *schemas.Label) (schemas.ID, *network) {
	if x.HasGraph {
		n := l.networks[x.Network]
		if n == nil {
			graph := x.Pruned.At(0)
			n = &network{id: x.Network, graph: l.names.graph(&graph), slot: -1}
		}
		return x.Architecture, n
	}
	if x.HasArchitecture {
		return l.memory.find(nil, x.Architecture)
	}
	return l.memory.find(x.ID, schemas.ID{})
}

// settle applies the labels that waited under a key.
func (l *Learner) settle(key string, architecture schemas.ID, n *network) []Outcome {
	var outcomes []Outcome
	for _, w := range l.waiting.take(key) {
		if l.givenFor(&w) != nil {
			outcomes = append(outcomes, l.labelGiven(w, architecture, n))
			continue
		}
		outcomes = append(outcomes, l.apply(l.task(w.Task), w, architecture, n))
	}
	return outcomes
}

// apply predicts first and uses the label after.
func (l *Learner) apply(t *task, x schemas.Label, architecture schemas.ID, n *network) Outcome {
	o := Outcome{Label: x, Known: true, Architecture: architecture, Network: n.id, Minimise: t.minimise}
	if x.Withdrawn || x.Missing {
		t.set(architecture, nil, &x)
		l.forget()
		return o
	}
	n = l.keep(n)
	if l.champion != nil {
		l.predict(t, &o, n)
	}
	if x.Valued() && !x.HasFidelity {
		o.Suspect = t.doubt(architecture, &o)
	}
	t.set(architecture, n, &x)
	return o
}

// predict fills in the champion's prediction for a network, and scores it.
func (l *Learner) predict(t *task, o *Outcome, n *network) {
	column := l.champion.Task(t.name)
	if column < 0 {
		return
	}
	var g schemas.Graphs
	g.Add(n.graph)
	answers := l.champion.Predict(l.workspace, &g, []int{0})
	l.champion.UseCache(answers, []schemas.ID{n.id}, []int{0})
	o.Answered, o.Model, o.Score = true, l.serving().Name(), answers.Score[column][0]
	known := &l.champion.Tasks[column]
	_, strange := known.Learnt.Unknown(nil, &g, 0)
	o.Value, o.Low, o.High, o.Percentile = known.AtStrange(o.Score, answers.Spread[column][0], l.champion.Cached(n.id, column), strange)
	// Only a first label of a network that the champion was not trained on is a
	// test of it: equal networks may have been labelled as other architectures.
	// A champion of the other goal is none either.
	_, trained := t.trained[n.id]
	result := o.Label.Valued() && !o.Label.HasFidelity
	if result && t.labels[o.Architecture] == nil && !trained && l.champion.Tasks[column].Minimise == t.minimise {
		t.prequential.add(o.Score, o.Percentile, t.goal(o.Label.Value), o.Low <= o.Label.Value && o.Label.Value <= o.High)
	}
}

// task returns the task of that name, new if need be.
func (l *Learner) task(name string) *task {
	find := func() (int, bool) {
		return slices.BinarySearchFunc(l.tasks, name, func(t *task, name string) int { return strings.Compare(t.name, name) })
	}
	at, found := find()
	if !found && len(l.tasks) >= maxTasks {
		l.forgetTask()
		at, _ = find()
	}
	if !found {
		l.tasks = slices.Insert(l.tasks, at, newTask(name))
	}
	return l.tasks[at]
}

// maxTasks is the number of tasks from which on a space forgets those with the fewest
// results: a publisher that puts an ever-new number into the name of a task must not harm
// the others.
const maxTasks = 1000

// forgetTask drops the task with the fewest labels of those that cannot be fitted yet, the
// last by name; none where all can.
func (l *Learner) forgetTask() {
	at := -1
	for i, t := range l.tasks {
		served := l.champion != nil && l.champion.Task(t.name) >= 0
		if !served && len(t.labels) < l.cfg.FirstLabels && (at < 0 || len(t.labels) <= len(l.tasks[at].labels)) {
			at = i
		}
	}
	if at < 0 {
		return
	}
	for _, id := range sortedIDs(l.tasks[at].results) {
		l.tasks[at].set(id, nil, &schemas.Label{Withdrawn: true})
	}
	l.tasks = slices.Delete(l.tasks, at, at+1)
}

// TaskState is the state of a task.
type TaskState struct {
	Name     string
	Minimise bool
	Labels   int    // that count
	Changed  int    // given, corrected or withdrawn since the last fit
	Waiting  int    // for their candidate, over all tasks of the space
	Served   bool   // the champion answers it
	Reason   string // why it is not served, without a subject and without figures that change with every label
	Score    Score
}

// Labelled says whether labels have come.
func (l *Learner) Labelled() bool { return len(l.tasks) > 0 || l.waiting.held > 0 || l.given != nil }

// Tasks returns the state of every task, in order of the names.
func (l *Learner) Tasks() []TaskState {
	states := make([]TaskState, len(l.tasks))
	for i, t := range l.tasks {
		states[i] = TaskState{Name: t.name, Minimise: t.minimise, Labels: len(t.labels), Changed: t.changed, Waiting: l.waiting.held, Score: t.prequential.score()}
		if states[i].Served = l.champion != nil && l.champion.Task(t.name) >= 0; !states[i].Served {
			states[i].Reason = l.unserved(t)
		}
	}
	return l.withGiven(states)
}

// unserved returns the reason why no model answers a task.
func (l *Learner) unserved(t *task) string {
	if len(t.labels) < l.first(t) {
		why := fmt.Sprintf("it has fewer than the %d labels that it needs", l.cfg.FirstLabels)
		if len(t.failed) > 0 {
			why += ", of trainings that gave a result"
		}
		return why
	}
	switch rows, y := t.training(); {
	case len(rows) < teacher.MinLabels:
		return fmt.Sprintf("its labels are of fewer than %d different networks; label others", teacher.MinLabels)
	case !l.rankable(y):
		return "its labels are too much alike to rank by; publish labels that differ, or without what all of them share"
	}
	if t.refused != "" {
		return "its first model was not taken: " + t.refused
	}
	return "its first model is being trained"
}
