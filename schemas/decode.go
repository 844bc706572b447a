package schemas

import "slices"

// Limits bound the work of a decoder for one message. A zero means the default.
type Limits struct {
	MessageBytes int // of a value: 1 MiB
	Depth        int // of nested lists and objects: 64
	Nodes        int // of an architecture, all cells together: 2,000
	Edges        int // of an architecture, all cells together: 40,000
	OpBytes      int // of the name of an operation, proxy or task: 256
	Proxies      int // of a candidate: 64
	IDBytes      int // of the id as JSON: 4,096
	MetaBytes    int // of meta as JSON: 65,536

	Attributes      int // of an operation: 64
	Hyperparameters int // of a candidate, elements of lists each: 1,024
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.MessageBytes, 1 << 20}, {&l.Depth, 64}, {&l.Nodes, 2000}, {&l.Edges, 40000},
		{&l.OpBytes, 256}, {&l.Proxies, 64}, {&l.IDBytes, 4096}, {&l.MetaBytes, 1 << 16},
		{&l.Attributes, 64}, {&l.Hyperparameters, 1024},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return l
}

// Decoder reads candidates and labels. It reuses its memory, so that messages like
// earlier ones cost no allocation, except in rejections, labels and repeated edges. It is
// not for concurrent use.
type Decoder struct {
	scanner
	m       message
	limits  Limits
	recipe  recipe
	fields  lexicon // of messages; the values are of type field
	proxies lexicon // the values are symbols
	names   symbolsByName
	reduced symbolsByName // behind reducePrefix

	// The graph of the message: first in any order, then in topological order.
	ops        []Symbol
	edges      []int32
	attributes []Attribute
	own        Strings // names that the process does not keep
	ownSymbol  map[string]Symbol
	spaces     map[string]*Space // those that are not built in
	unread     []string          // names of fields that nothing reads, since Notices

	missing       bool // a number that Python writes and JSON lacks has come
	warnedMissing bool

	ids      identifier
	topology topology
	moved    bool // sorting renumbered the nodes
	pruner   pruner
}

// message holds the fields of a message; bytes are views of it.
type message struct {
	space, arch, id, meta    []byte // nil when absent
	ops, opsReduce           [][]byte
	edges, edgesReduce       []int32
	hasOps, hasOpsReduce     bool
	hasEdges, hasEdgesReduce bool
	proxies                  []Symbol // NoSymbol where a name is new
	values                   []float64
	newProxies               []newProxy
	withdrawn                []int // places in proxies of those that are null
	repeated                 bool  // a proxy that is known is there twice
	label                    labelFields
	extra                    extraFields
}

// extraFields are the fields of few messages.
type extraFields struct {
	used               bool
	attributes         []rawAttribute
	hasHyperparameters bool
	edgeOps, thirds    [][]byte // the operations of edges, on their own and as third elements
	hasEdgeOps         bool
	edgeNode           []int32 // the node that the operation of each edge became
	scratch            []int32
	matrix, matrixOps  []byte // JSON of an adjacency matrix, and of the operations that go with it alone
	matrixName         string
	foreign            string // a member that another program writes and that is none of ours
}

// extra returns the fields that few messages have, to be changed.
func (d *Decoder) extra() *extraFields {
	d.m.extra.used = true
	return &d.m.extra
}

func (x *extraFields) reset() {
	*x = extraFields{attributes: x.attributes[:0], edgeOps: x.edgeOps[:0], thirds: x.thirds[:0], edgeNode: x.edgeNode[:0], scratch: x.scratch[:0]}
}

// newProxy is a proxy whose name the decoder has not met.
type newProxy struct {
	place int // in message.proxies
	name  []byte
}

// reset empties m and keeps its memory.
func (m *message) reset() {
	m.space, m.arch, m.id, m.meta = nil, nil, nil, nil
	m.ops, m.edges, m.opsReduce, m.edgesReduce = m.ops[:0], m.edges[:0], m.opsReduce[:0], m.edgesReduce[:0]
	m.hasOps, m.hasOpsReduce, m.hasEdges, m.hasEdgesReduce, m.repeated = false, false, false, false, false
	m.proxies, m.values, m.newProxies, m.withdrawn = m.proxies[:0], m.values[:0], m.newProxies[:0], m.withdrawn[:0]
	if m.extra.used {
		m.extra.reset()
	}
}

// field is one that a message may have.
type field int32

const (
	ignoredField field = iota
	spaceField
	archField
	idField
	opsField
	edgesField
	opsReduceField
	edgesReduceField
	edgeOpsField
	hyperparametersField
	adjacencyField
	matrixField
	moduleMatrixField
	moduleOpsField
	archStringField // of other programs, as the next three: named in reasons
	genotypeField
	nodesField
	linksField
	silentField  // of benchmark tables, no surprise
	proxiesField // of candidates
	metaField
	taskField // of labels
	architectureField
	goalField
	valueField
	failedField
	seedField
	fidelityField
	ofField
	lastField = ofField
)

var fieldNames = [...]string{
	spaceField: "space", archField: "arch", idField: "id", opsField: "ops", edgesField: "edges",
	edgeOpsField: "edge_ops", hyperparametersField: "hyperparameters",
	adjacencyField: "adjacency", matrixField: "matrix", moduleMatrixField: "module_adjacency", moduleOpsField: "module_operations",
	archStringField: "arch_str", genotypeField: "genotype", nodesField: "nodes", linksField: "links",
	opsReduceField: "ops_reduce", edgesReduceField: "edges_reduce", proxiesField: "proxies", metaField: "meta",
	taskField: "task", architectureField: "architecture", goalField: "goal", valueField: "value",
	failedField: "failed", seedField: "seed", fidelityField: "fidelity", ofField: "of",
}

// silentNames are those of fields that benchmark tables have beside candidates.
var silentNames = []string{"labels", "hw", "numbers", "outputs", "status"}

// ignoredNames bounds how many names of fields that nothing reads a decoder
// remembers.
const ignoredNames = 64

// NewDecoder returns a decoder with these limits.
func NewDecoder(limits Limits) *Decoder {
	d := &Decoder{limits: limits.withDefaults(), fields: newLexicon(), proxies: newLexicon()}
	for f := spaceField; f <= lastField; f++ {
		if fieldNames[f] != "" {
			d.fields.learn(fieldNames[f], int32(f))
		}
	}
	for _, name := range silentNames {
		d.fields.learn(name, int32(silentField))
	}
	d.depth, d.recipe.depth = d.limits.Depth, d.limits.Depth
	return d
}

// Candidate reads an architecture and appends one row to every column of dst
// but the envelope's, or returns why it cannot and leaves dst as it was.
//
// Names of fields are matched exactly, and the last of several fields of one name counts.
// Null is absence. Other fields are checked for being JSON, in which NaN and infinities
// are allowed, and otherwise ignored. An edge that is given twice counts once. The graph
// in ops and edges takes precedence over arch.
func (d *Decoder) Candidate(dst *Candidates, value []byte) *Rejection {
	if !d.read(value, false) {
		return d.failed
	}
	s := d.spaceOf()
	if s == nil || !d.graph(s) {
		return d.failed
	}
	d.settleProxies()
	d.appendRow(dst, s)
	return nil
}

// read reads the fields of a message.
func (d *Decoder) read(value []byte, label bool) bool {
	d.start(value, "the message")
	d.text = d.text[:0]
	d.m.reset()
	if label {
		d.m.label = labelFields{}
	}
	if len(value) == 0 {
		return d.fail(ClassEmpty, "the message has no value; publish a JSON object")
	}
	if len(value) > d.limits.MessageBytes {
		return d.fail(ClassTooLarge, "the message has %d bytes, more than %d; make it smaller, or raise --max-message-bytes", len(value), d.limits.MessageBytes)
	}
	d.space()
	if d.peek() != '{' {
		at, found := d.pos, d.found()
		if !d.skip(d.depth) {
			return false
		}
		return d.fail(ClassWrongType, "the message is %s at byte %d; publish a JSON object", found, at)
	}
	d.pos++
	d.fields.begin()
	for first := true; d.more('}', first); first = false {
		f, ok := d.fieldName()
		if !ok || !d.field(f, label) {
			return false
		}
	}
	return d.failed == nil && d.end()
}

// fieldName reads the name of a field and goes to its value.
// answered are members that archflow adds to the candidates of its answers. They may come
// back in a label, and say nothing there.
var answered = []string{"network", "tasks", "labels"}

func (d *Decoder) fieldName() (field, bool) {
	m, name, ok := d.member(&d.fields)
	switch {
	case !ok:
		return 0, false
	case m != nil:
		return field(m.value), true
	case len(d.fields.known) <= len(fieldNames)+ignoredNames && len(name) <= d.limits.OpBytes:
		d.fields.learn(string(name), int32(ignoredField))
		if !slices.Contains(answered, string(name)) {
			d.unread = append(d.unread, string(name))
		}
	}
	return ignoredField, true
}

// field reads the value of one field.
func (d *Decoder) field(f field, label bool) (ok bool) {
	m := &d.m
	switch f {
	case spaceField:
		m.space, ok = d.stringField("space")
	case archField:
		m.arch, ok = d.archField()
	case opsField:
		if m.extra.used {
			m.extra.drop(ofNode)
		}
		m.ops, m.hasOps, ok = d.namesField("ops", ofNode, m.ops[:0])
	case edgesField:
		if m.extra.used {
			m.extra.drop(ofThird)
			m.extra.thirds = m.extra.thirds[:0]
		}
		m.edges, m.hasEdges, ok = d.edgesField("edges", m.edges[:0])
	case opsReduceField:
		if m.extra.used {
			m.extra.drop(ofReduce)
		}
		m.opsReduce, m.hasOpsReduce, ok = d.namesField("ops_reduce", ofReduce, m.opsReduce[:0])
	case edgesReduceField:
		m.edgesReduce, m.hasEdgesReduce, ok = d.edgesField("edges_reduce", m.edgesReduce[:0])
	case idField:
		m.id, ok = d.rawField("id", d.limits.IDBytes)
	case edgeOpsField:
		x := d.extra()
		x.drop(ofEdge)
		x.edgeOps, x.hasEdgeOps, ok = d.namesField("edge_ops", ofEdge, x.edgeOps[:0])
	case hyperparametersField:
		ok = d.hyperparametersField()
	case adjacencyField, matrixField, moduleMatrixField, moduleOpsField, archStringField, genotypeField, nodesField, linksField:
		return d.foreignField(f)
	case silentField:
		return d.ignore()
	default:
		switch {
		case label:
			return d.labelField(f)
		case f == proxiesField:
			return d.proxiesField()
		case f == metaField:
			m.meta, ok = d.rawField("meta", d.limits.MetaBytes)
		default:
			return d.ignore()
		}
	}
	return ok
}

// archField reads a notation: a string, or a list whose JSON is its text.
func (d *Decoder) archField() ([]byte, bool) {
	switch d.peek() {
	case '[':
		return d.raw()
	case '{':
		return nil, d.wrongType("arch", "a string in the notation of the space (`archflow import` makes candidates of what other programs write)")
	}
	return d.stringField("arch")
}

// foreignField keeps a field of another program's form until it is known
// whether the message has ours.
func (d *Decoder) foreignField(f field) bool {
	x, at := d.extra(), d.pos
	if !d.ignore() {
		return false
	}
	switch f {
	case adjacencyField, matrixField, moduleMatrixField:
		x.matrix, x.matrixName = d.src[at:d.pos], fieldNames[f]
	case moduleOpsField:
		x.matrixOps = d.src[at:d.pos]
	default:
		x.foreign = fieldNames[f]
	}
	return true
}

// stringField reads a string, nil for null.
func (d *Decoder) stringField(name string) ([]byte, bool) {
	if d.null() {
		return nil, true
	}
	if d.peek() != '"' {
		return nil, d.wrongType(name, "a string")
	}
	return d.str()
}

// rawField reads any value as JSON text, nil for null.
func (d *Decoder) rawField(name string, limit int) ([]byte, bool) {
	if d.null() {
		return nil, true
	}
	at := d.pos
	raw, ok := d.raw()
	if ok && len(raw) > limit {
		return nil, d.fail(ClassTooLarge, "field %q at byte %d has %d bytes, more than %d; make it smaller", name, at, len(raw), limit)
	}
	return raw, ok
}

func (d *Decoder) tooMany(what, field string, limit int) bool {
	cure := "split the graph"
	if limit == d.limits.Nodes { // the one that is a setting
		cure += ", or raise --max-nodes"
	}
	return d.fail(ClassTooLarge, "field %q has more than %d %s; %s", field, limit, what, cure)
}

// numberField reads a float64.
func (d *Decoder) numberField(name string) (float64, bool) {
	if c := d.peek(); c != '-' && !isDigit(c) {
		return 0, d.wrongType(name, "a number")
	}
	var n decimal
	if !d.number(&n) {
		return 0, false
	}
	x, finite := d.float(&n)
	if !finite {
		return 0, d.fail(ClassNotFinite, "field %q at byte %d: %s is beyond the largest number; leave it out, or write null", name, n.at, clip(d.written(&n)))
	}
	return x, true
}

// clip shortens foreign text for a reason.
func clip(text []byte) []byte { return text[:min(len(text), 40)] }

// appendRow adds the row.
func (d *Decoder) appendRow(dst *Candidates, s *Space) {
	m := &d.m
	dst.ID.appendJSON(m.id)
	dst.Space = append(dst.Space, d.spaceSymbol(s))
	dst.Arch.Append(m.arch)
	ops, edges, attributes := d.ops, d.edges, d.attributes
	dst.Graphs.appendGraph(ops, edges)
	if !d.isPlain(&dst.Graphs) {
		dst.Graphs.appendRest(attributes, &d.own)
	}
	id := d.ids.id(ops, &d.topology.in, attributes)
	dst.Architecture = append(dst.Architecture, id)
	if p := &d.pruner; p.prune(&d.ids, s.null, ops, edges, &d.topology.in, attributes) {
		ops, edges, attributes = p.ops, p.edges, p.attributes
		id = d.ids.id(ops, &p.in, attributes)
	}
	dst.Network = append(dst.Network, id)
	dst.Networks.appendGraph(ops, edges)
	if !d.isPlain(&dst.Networks) {
		dst.Networks.appendRest(attributes, &d.own)
	}
	if len(dst.ProxyStart) == 0 {
		dst.ProxyStart = append(dst.ProxyStart, 0)
	}
	dst.ProxyName = append(dst.ProxyName, m.proxies...)
	dst.ProxyValue = append(dst.ProxyValue, m.values...)
	dst.ProxyStart = append(dst.ProxyStart, int32(len(dst.ProxyName)))
	dst.Meta.appendJSON(m.meta)
}

// isPlain reports whether nothing calls for the columns that few graphs need.
func (d *Decoder) isPlain(g *Graphs) bool {
	return len(d.attributes)|len(d.own.Start)|len(g.AttributeStart)|len(g.NameStart) == 0
}

// appendJSON adds a JSON text without the white space around its tokens, so
// that it stays on one line wherever it goes.
func (s *Strings) appendJSON(text []byte) {
	s.Append(nil)
	quoted, escape := false, false
	for _, c := range text {
		switch {
		case escape:
			escape = false
		case c == '"':
			quoted = !quoted
		case c == '\\':
			escape = true
		case !quoted && c <= ' ':
			continue
		}
		s.Data = append(s.Data, c)
	}
	s.Start[len(s.Start)-1] = int32(len(s.Data))
}
