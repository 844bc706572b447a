package schemas

// Label is a trained result, or its withdrawal. Its memory is its own.
//
// Which architecture it is about is said by an ID, by the candidate's own id,
// or by a graph: any of them may be absent, never all.
type Label struct {
	Space string
	Task  string
	Value float64 // in the task's unit; 0 when withdrawn, failed or missing

	Withdrawn bool // the label is taken back
	Failed    bool // the training gave no result
	Missing   bool // the result is NaN or infinite: it says nothing, and takes nothing back
	GoalGiven bool // the message says whether less is better
	Minimise  bool

	Seed        string  // distinguishes repeats, a number in its shortest form; "" without
	HasFidelity bool    // the label is of less than the full training
	Fidelity    float64 // how much less, in any unit; 0 for the full training

	OfGiven        bool // the message says of which graph the task is
	OfArchitecture bool // of the one as given, dead operations included

	ID              []byte // the candidate's id as JSON text, nil when absent
	HasArchitecture bool   // Architecture is set: given, or computed from the graph
	Architecture    ID

	// The graph, when the label carries one: as given, and without nodes and edges on no
	// path from input to output.
	HasGraph bool
	Network  ID
	Graph    Graphs // one graph, or none
	Pruned   Graphs // one graph, or none
}

// Valued reports whether the label gives a result.
func (l *Label) Valued() bool { return !l.Withdrawn && !l.Failed && !l.Missing }

// labelFields are the fields that only labels have.
type labelFields struct {
	task, architecture, goal, seed, of []byte
	value, fidelity                    float64
	hasValue, withdrawn                bool // a value is there; it is null
	failed, missing, hasFidelity       bool
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
		f.hasValue, f.withdrawn, f.missing, f.value = true, d.null(), d.pythonNumber(), 0
		if d.missing = d.missing || f.missing; f.withdrawn || f.missing {
			return true
		}
		f.value, ok = d.numberField("value")
	case failedField:
		f.failed, ok = d.booleanField("failed")
	case seedField:
		f.seed, ok = d.seedField()
	case fidelityField:
		if f.hasFidelity, f.fidelity = !d.null(), 0; !f.hasFidelity {
			return true
		}
		f.fidelity, ok = d.numberField("fidelity")
	case ofField:
		f.of, ok = d.stringField("of")
	default:
		return d.ignore()
	}
	return ok
}

// noNumber reports whether the text here can be no number of JSON.
func (d *Decoder) noNumber() bool {
	i := d.pos
	if i < len(d.src) && d.src[i] == '-' {
		i++
	}
	return i < len(d.src) && d.src[i] >= 'I'
}

// pythonNumber goes behind a NaN or an infinity as Python's json writes them.
// It does not fail.
func (d *Decoder) pythonNumber() bool {
	if !d.noNumber() {
		return false
	}
	for _, word := range [...]string{"NaN", "Infinity", "-Infinity"} {
		if d.at(word) {
			d.pos += len(word)
			return true
		}
	}
	return false
}

// booleanField reads true or false, false for null.
func (d *Decoder) booleanField(name string) (value, ok bool) {
	for _, word := range [...]string{"true", "false", "null"} {
		if d.at(word) {
			d.pos += len(word)
			return word == "true", true
		}
	}
	return false, d.wrongType(name, "true or false")
}

// seedField reads a number or a string, nil for null.
func (d *Decoder) seedField() ([]byte, bool) {
	if d.null() {
		return nil, true
	}
	at := d.pos
	if c := d.peek(); c != '"' && c != '-' && !isDigit(c) {
		return nil, d.wrongType("seed", "a number or a string")
	}
	raw, ok := d.raw()
	if !ok {
		return nil, false
	}
	seed := AppendIDText(nil, raw)
	if len(seed) == 0 || len(seed) > d.limits.OpBytes {
		return nil, d.fail(ClassValue, `field "seed" at byte %d has %d bytes; give it 1 to %d`, at, len(seed), d.limits.OpBytes)
	}
	return seed, true
}

func (d *Decoder) fillLabel(s *Space, l *Label) bool {
	m, f := &d.m, &d.m.label
	switch {
	case f.task == nil:
		return d.fail(ClassMissingField, `field "task" is missing; name what was measured, such as "cifar10_test"`)
	case len(f.task) == 0 || len(f.task) > d.limits.OpBytes:
		return d.fail(ClassValue, `field "task" has %d bytes; give it a name of 1 to %d`, len(f.task), d.limits.OpBytes)
	case !f.hasValue && !f.failed:
		return d.fail(ClassMissingField, `field "value" is missing; give the measured number, null to withdraw the label, or "failed": true where the training gave none`)
	case f.failed && f.hasValue && !f.withdrawn && !f.missing:
		return d.fail(ClassConflict, `fields "failed" and "value" contradict each other; leave "value" out where the training failed`)
	case f.goal != nil && string(f.goal) != "min" && string(f.goal) != "max":
		return d.fail(ClassValue, `field "goal" is %.60q; write "min" where less is better, "max" or nothing where more is`, f.goal)
	case f.of != nil && string(f.of) != "architecture" && string(f.of) != "network":
		return d.fail(ClassValue, `field "of" is %.60q; write "architecture" where dead operations count in what was measured, "network" or nothing where they do not`, f.of)
	}
	l.Space, l.Task, l.Value = s.Name, string(f.task), f.value
	l.Failed, l.Withdrawn, l.Missing = f.failed, f.withdrawn && !f.failed, f.missing && !f.failed
	l.GoalGiven, l.Minimise = f.goal != nil, string(f.goal) == "min"
	l.Seed, l.HasFidelity, l.Fidelity = string(f.seed), f.hasFidelity, f.fidelity
	l.OfGiven, l.OfArchitecture = f.of != nil, string(f.of) == "architecture"
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
	if m.hasOps || m.hasEdges || m.hasOpsReduce || m.hasEdgesReduce || m.arch != nil || m.extra.hasHyperparameters || m.extra.matrix != nil {
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
	id := d.ids.id(d.ops, &d.topology.in, d.attributes)
	if l.HasArchitecture && l.Architecture != id {
		return d.fail(ClassConflict, `field "architecture" is %s, but the graph in the label is %s; leave one of them out`, l.Architecture, id)
	}
	l.HasGraph, l.HasArchitecture, l.Architecture, l.Network = true, true, id, id
	whole := Graph{d.ops, d.edges, d.attributes, d.own}
	l.Graph.Add(whole)
	if p := &d.pruner; p.prune(&d.ids, s.null, d.ops, d.edges, &d.topology.in, d.attributes) {
		l.Network = d.ids.id(p.ops, &p.in, p.attributes)
		whole = Graph{p.ops, p.edges, p.attributes, d.own}
	}
	l.Pruned.Add(whole)
	return true
}
