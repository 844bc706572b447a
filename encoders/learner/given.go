package learner

import (
	"cmp"
	"slices"

	"archflow/encoders"
	"archflow/schemas"
)

// Tasks of the architecture as given, dead operations included, such as latency, are
// learnt by an inner learner of the space's learner: its networks are the architectures,
// everything else is the same. The learner of the space resolves the labels' candidates,
// keeps the graphs as given where they differ from the networks, and serves both
// champions as one model.

// askGiven makes the inner learner, which begins with all architectures
// remembered.
func (l *Learner) askGiven() *Learner {
	if l.given != nil {
		return l.given
	}
	l.given = newGiven(l.cfg)
	l.given.names = l.names
	m := l.memory
	asked := map[schemas.ID]bool{}
	for i := range m.order {
		id := m.order[i].architecture
		if asked[id] {
			continue
		}
		asked[id] = true
		k := m.architecture[id]
		n := &network{id: id, graph: k.asGiven(), proxies: slices.Clone(k.network.proxies), proxyCount: k.network.proxyCount, slot: -1}
		l.given.offer(n)
	}
	return l.given
}

// restoreGiven is askGiven from a state.
func (l *Learner) restoreGiven(s *State) (err error) {
	cfg := newGiven(l.cfg).cfg
	if l.given, err = restore(cfg, s, l.names); err != nil {
		return err
	}
	l.given.memory = newMemory(0)
	return l.compose()
}

// newGiven returns an inner learner for one of that configuration.
func newGiven(cfg Config) *Learner {
	cfg.given = true
	cfg.Seed = cmp.Or(cfg.Seed, 1) ^ 0x676976656e // "given"
	g := New(cfg)
	g.memory = newMemory(0)
	return g
}

// asGiven returns the graph of the architecture.
func (k *known) asGiven() schemas.Graph {
	if k.given != nil {
		return *k.given
	}
	return k.network.graph
}

// remember keeps the graph of candidate i of c where it is not its network, and
// shows it to the inner learner.
func (l *Learner) remember(c *schemas.Candidates, i int) {
	id := c.Architecture[i]
	if k := l.memory.architecture[id]; k != nil && k.given == nil && id != c.Network[i] {
		graph := c.Graphs.At(i)
		own := l.names.graph(&graph)
		l.memory.give(k, &own)
	}
	if l.given != nil {
		view := *c
		view.Network, view.Networks = c.Architecture, c.Graphs
		l.given.Observe(&view, i)
	}
}

// givenFor returns the inner learner when the label's task is its own. A task
// that turns out to be goes over to it, with the labels that it has.
func (l *Learner) givenFor(x *schemas.Label) *Learner {
	switch {
	case x.OfGiven && x.OfArchitecture:
		g := l.askGiven()
		l.handOver(x.Task)
		return g
	case l.given != nil && l.given.has(x.Task):
		return l.given
	}
	return nil
}

func (l *Learner) has(name string) bool {
	return slices.ContainsFunc(l.tasks, func(t *task) bool { return t.name == name })
}

// handOver moves the labels of a task to the inner learner.
func (l *Learner) handOver(name string) {
	if !l.has(name) {
		return
	}
	t := l.task(name)
	for _, id := range sortedIDs(t.results) {
		r := t.results[id]
		for _, one := range r.repeats {
			x := schemas.Label{
				Task: name, Value: one.value, Failed: one.failed, Seed: one.seed, HasFidelity: one.lower, Fidelity: one.fidelity,
				ID: []byte(r.id), GoalGiven: true, Minimise: t.minimise,
			}
			l.labelGiven(x, id, r.network)
		}
		t.set(id, nil, &schemas.Label{Withdrawn: true})
	}
	l.forget()
}

// labelGiven takes in a label of an architecture for the inner learner; n is its
// network.
func (l *Learner) labelGiven(x schemas.Label, architecture schemas.ID, n *network) Outcome {
	y := x
	y.OfGiven, y.OfArchitecture = false, false
	y.HasGraph, y.Architecture, y.Network, y.Pruned = true, architecture, architecture, schemas.Graphs{}
	switch k := l.memory.architecture[architecture]; {
	case x.HasGraph:
		y.Pruned.Add(x.Graph.At(0))
	case k != nil:
		y.Pruned.Add(k.asGiven())
	default:
		y.Pruned.Add(n.graph)
	}
	o := l.given.Label(y)
	o.Label, o.Network = x, n.id
	if o.Answered {
		o.Model = l.serving().Name()
	}
	return o
}

// workGiven reports whether the inner learner is to work next: work under way is ended
// first, fits go before the rest, and then the learner that owes more pre-training.
func (l *Learner) workGiven(eager bool) bool {
	g := l.given
	switch {
	case !g.Due(eager):
		return false
	case !l.quiet() || l.labelsDue(eager):
		return false
	case g.Fits(eager) || !g.quiet():
		return true
	case l.untaught || l.refitDue():
		return false
	}
	return g.untaught || g.refitDue() || !l.owesSteps() || g.pretrain.debt > l.pretrain.debt
}

// inner lets the inner learner work, on the numbers of models of the space.
func (l *Learner) inner(work func(*Learner) (Progress, error)) (Progress, error) {
	before := l.given.number
	l.given.number = l.number
	p, err := work(l.given)
	if err != nil {
		l.given.number = before
		return p, err
	}
	l.number = max(l.number, l.given.number)
	return p, nil
}

// compose puts together the model that serves.
func (l *Learner) compose() error {
	l.served = l.champion
	if l.given == nil || l.given.champion == nil || len(l.given.champion.Tasks) == 0 {
		return nil
	}
	given := l.given.champion
	var own []string
	if l.champion != nil { // which may answer for a while a task that was handed over
		own = slices.DeleteFunc(l.champion.TaskNames(), func(name string) bool { return given.Task(name) >= 0 })
	}
	if len(own) == 0 {
		l.served = given
		return nil
	}
	var err error
	if l.served, err = encoders.Compose(l.champion, given, own, given.TaskNames()); err != nil {
		return err
	}
	l.served.Version = max(l.champion.Version, given.Version)
	return nil
}

// serving returns the model that answers, of which the champion may be a part.
func (l *Learner) serving() *encoders.Model {
	if l.served != nil {
		return l.served
	}
	return l.champion
}

// split takes a model of the registry apart.
func (l *Learner) split(m *encoders.Model) error {
	var own, given []string
	for i := range m.Tasks {
		if m.Tasks[i].OfArchitecture() {
			given = append(given, m.Tasks[i].Name)
		} else {
			own = append(own, m.Tasks[i].Name)
		}
	}
	if len(given) == 0 {
		l.champion = m
		return nil
	}
	g := l.askGiven()
	var err error
	if g.champion, err = encoders.Compose(m, &encoders.Model{}, given, nil); err != nil {
		return err
	}
	g.number = max(g.number, m.Version)
	l.champion = nil
	if len(own) > 0 {
		l.champion, err = encoders.Compose(m, &encoders.Model{}, own, nil)
	}
	return err
}

// withGiven adds the tasks of the inner learner to those of the space.
func (l *Learner) withGiven(states []TaskState) []TaskState {
	if l.given == nil {
		return states
	}
	states = append(states, l.given.Tasks()...)
	slices.SortStableFunc(states, func(a, b TaskState) int { return cmp.Compare(a.Name, b.Name) })
	return states
}
