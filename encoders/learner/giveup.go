package learner

// GiveUp drops the piece of work that Work would do next, because archflow panics at it.
// A fit ends in every task like one whose model was refused: the champion goes on
// answering and the labels are tried again when others have come; a student is not
// taught; pre-training rests until networks come. Like Work, or Finish if that panicked,
// it is a function of the state.
func (l *Learner) GiveUp(eager, finish bool) Progress {
	if l.given != nil && (finish && l.quiet() || !finish && l.workGiven(eager)) {
		return l.given.GiveUp(eager, finish)
	}
	labels := l.labelsDue(eager) && !finish
	switch f := l.fitting; {
	case f != nil && (!f.refit || !labels):
		return l.giveUpFit(append(f.ready, f.waiting...))
	case labels:
		return l.giveUpFit(l.fittable())
	case l.student != nil || l.untaught:
		l.student, l.untaught = nil, false
	case l.refitDue():
		l.early = false
	default:
		l.pretrain.debt = 0
	}
	return Progress{}
}

// fittable lists the tasks that a fit would be about.
func (l *Learner) fittable() (all []*fitted) {
	for _, t := range l.tasks {
		if len(t.labels) >= l.first(t) {
			all = append(all, &fitted{task: t, labels: len(t.labels), changed: t.changed})
		}
	}
	return all
}

// giveUpReason is part of the state, and so says nothing of the fault itself, which is in
// the log.
const giveUpReason = "a fault of archflow ended the fit; the log has it: report it. The labels are fitted again when others come"

func (l *Learner) giveUpFit(of []*fitted) Progress {
	c := &Challenger{GivenUp: true}
	for _, one := range of {
		one.task.fit(one)
		one.task.refused = giveUpReason
		c.Trials = append(c.Trials, Trial{Task: one.task.name, Labels: one.labels, Champion: nan, Challenger: nan, OutOfFold: nan, Why: giveUpReason})
	}
	l.fitting, l.early = nil, false
	return Progress{Challenger: c}
}

// About returns the tasks that have labels, and how many, for people.
func (l *Learner) About() map[string]int {
	about := map[string]int{}
	for _, t := range l.Tasks() {
		if t.Labels > 0 {
			about[t.Name] = t.Labels
		}
	}
	return about
}
