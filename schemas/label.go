package schemas

// Label is a trained result, or its withdrawal. Its memory is its own.
//
// Which architecture it is about is said by an ID, by the candidate's own id,
// or by a graph: any of them may be absent, never all.
type Label struct {
	Space string
	Task  string
	Value float64 // in the task's unit; 0 when withdrawn

	Withdrawn bool
	GoalGiven bool // the message says whether less is better
	Minimise  bool

	ID              []byte // the candidate's id as JSON text, nil when absent
	HasArchitecture bool   // Architecture is set: given, or computed from the graph
	Architecture    ID

	// The graph, when the label carries one: as given and without what lies on
	// no path from input to output.
	HasGraph bool
	Network  ID
	Graph    Graphs // one graph, or none
	Pruned   Graphs // one graph, or none
}

// labelFields are the fields that only labels have.
type labelFields struct {
	task, architecture, goal []byte
	value                    float64
	hasValue, withdrawn      bool
}

// Label reads a trained result. The rules for fields are those of Candidate.
func (d *Decoder) Label(value []byte) (Label, *Rejection) {
	var l Label
	if !d.read(value, true) {
		return l, d.failed
	}
	s := d.spaceOf()
	if s == nil || !d.fillLabel(s, &l) {
		return Label{}, d.failed
	}
	return l, nil
}

// labelField reads a field that only labels have.
func (d *Decoder) labelField(name field) (ok bool) {
	f := &d.m.label
	switch name {
	case taskField:
		f.task, ok = d.stringField("task")
	case architectureField:
		f.architecture, ok = d.stringField("architecture")
	case goalField:
		f.goal, ok = d.stringField("goal")
	case valueField:
		f.hasValue, f.withdrawn = true, d.null()
		if f.withdrawn {
			f.value = 0
			return true
		}
		f.value, ok = d.numberField("value")
	default:
		return d.ignore()
	}
	return ok
}

func (d *Decoder) fillLabel(s *Space, l *Label) bool {
	m, f := &d.m, &d.m.label
	switch {
	case f.task == nil:
		return d.fail(ClassMissingField, `field "task" is missing; name what was measured, such as "cifar10_test"`)
	case len(f.task) == 0 || len(f.task) > d.limits.OpBytes:
		return d.fail(ClassValue, `field "task" has %d bytes; give it a name of 1 to %d`, len(f.task), d.limits.OpBytes)
	case !f.hasValue:
		return d.fail(ClassMissingField, `field "value" is missing; give the measured number, or null to withdraw the label`)
	case f.goal != nil && string(f.goal) != "min" && string(f.goal) != "max":
		return d.fail(ClassValue, `field "goal" is %.60q; write "min" where less is better, "max" or nothing where more is`, f.goal)
	}
	l.Space, l.Task, l.Value, l.Withdrawn = s.Name, string(f.task), f.value, f.withdrawn
	l.GoalGiven, l.Minimise = f.goal != nil, string(f.goal) == "min"
	if m.id != nil {
		var id Strings
		id.appendJSON(m.id)
		l.ID = id.At(0)
	}
	if f.architecture != nil {
		id, err := ParseID(string(f.architecture))
		if err != nil {
			return d.fail(ClassValue, `field "architecture" is %.60q; give the 32 hexadecimal digits of a prediction's "architecture"`, f.architecture)
		}
		l.Architecture, l.HasArchitecture = id, true
	}
	if m.hasOps || m.hasEdges || m.hasOpsReduce || m.hasEdgesReduce || m.arch != nil {
		return d.fillGraph(s, l)
	}
	if l.ID == nil && !l.HasArchitecture {
		return d.fail(ClassMissingField, `the label does not say which architecture it is about; give "id", "architecture", "arch", or "ops" and "edges"`)
	}
	return true
}

func (d *Decoder) fillGraph(s *Space, l *Label) bool {
	if !d.graph(s) {
		return false
	}
	id := d.ids.id(d.ops, &d.topology.in)
	if l.HasArchitecture && l.Architecture != id {
		return d.fail(ClassConflict, `field "architecture" is %s, but the graph in the label is %s; leave one of them out`, l.Architecture, id)
	}
	l.HasGraph, l.HasArchitecture, l.Architecture, l.Network = true, true, id, id
	l.Graph.Append(d.ops, d.edges)
	if d.pruner.prune(&d.ids, s.null, d.ops, d.edges, &d.topology.in) {
		l.Network = d.ids.id(d.pruner.ops, &d.pruner.in)
		l.Pruned.Append(d.pruner.ops, d.pruner.edges)
	} else {
		l.Pruned.Append(d.ops, d.edges)
	}
	return true
}
