package pipeline

import (
	"fmt"
	"strings"
	"time"

	"archflow/encoders/learner"
	"archflow/pipeline/decisions"
	"archflow/schemas"
	"archflow/stages"
)

// decided holds the trainer's decisions, published or not.
type decided struct {
	outcomes  map[string]outcome            // by SPACE/TASK
	touched   map[string]bool               // tasks with labels since their last decision
	last      map[string]lastDecision       // by space
	unsent    map[string]decisions.Decision // that the topic has not taken
	fits      map[string]*fitOf             // spaces with a fit under way
	nextCheck time.Time                     // when spaces without new labels are decided about next
}

// lastDecision describes the newest decision about any task of a space.
type lastDecision struct {
	task    string
	covered map[schemas.TopicPartition]int64 // labels
}

// fitOf describes a fit that is under way.
type fitOf struct {
	at      map[schemas.TopicPartition]int64 // labels that had come when it began
	touched map[string]bool                  // tasks with labels since the decision before
}

func newDecided() decided {
	return decided{
		outcomes: map[string]outcome{}, touched: map[string]bool{},
		last: map[string]lastDecision{}, unsent: map[string]decisions.Decision{},
		fits: map[string]*fitOf{},
	}
}

func taskKey(space, task string) string { return space + "/" + task }

// touch notes that labels of tasks have come.
func (d *decided) touch(rows []stages.LabelRow) {
	for i := range rows {
		d.touched[taskKey(rows[i].Label.Space, rows[i].Label.Task)] = true
	}
}

// worked records the result of a piece of work. A fit covers the labels that had come
// when it began.
func (d *decided) worked(l *learner.Learner, c *learner.Challenger, at map[schemas.TopicPartition]int64) {
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
		o := outcome{Space: space, Task: trial.Task, Learnt: savePositions(d.fits[space].at), Tau: trial.OutOfFold}
		o.Decision, o.Why = verdict(c, trial)
		if c.GivenUp && l.Champion() == nil {
			o.Decision = decisions.Waiting
		}
		d.outcomes[taskKey(space, trial.Task)] = o
	}
}

// begin notes that a fit has begun: which labels it is about, and of which tasks
// labels came since the last decision.
func (d *decided) begin(space string, at map[schemas.TopicPartition]int64) {
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

// taught notes that a new student answers for the networks that are not remembered. The
// positions of the labels do not change.
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

// verdict returns the decision about a challenger for one task, and the reason.
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

func (d *decided) newLabels(space string) bool {
	for key := range d.touched {
		if strings.HasPrefix(key, space+"/") {
			return true
		}
	}
	return false
}

// loggedSuspects holds the suspected labels that the log has named already, by space and
// task and then by architecture. Each fit finds them again; the log names them once.
type loggedSuspects map[[2]string]map[schemas.ID]float64

// changed returns those of a task's suspects that it did not have at the fit before.
func (s loggedSuspects) changed(space, task string, now []learner.Suspect) (fresh []learner.Suspect) {
	before, known := s[[2]string{space, task}], map[schemas.ID]float64{}
	for _, x := range now {
		known[x.Architecture] = x.Value
		if value, had := before[x.Architecture]; !had || value != x.Value {
			fresh = append(fresh, x)
		}
	}
	s[[2]string{space, task}] = known
	return fresh
}
