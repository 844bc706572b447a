package schemas

// Limits bound what a message may make a decoder do. A zero means the default.
type Limits struct {
	MessageBytes int // of a value: 1 MiB
	Depth        int // of nested lists and objects: 64
	Nodes        int // of an architecture, all cells together: 2,000
	Edges        int // of an architecture, all cells together: 40,000
	OpBytes      int // of the name of an operation, proxy or task: 256
	Proxies      int // of a candidate: 64
	IDBytes      int // of the id as JSON: 4,096
	MetaBytes    int // of meta as JSON: 65,536
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.MessageBytes, 1 << 20}, {&l.Depth, 64}, {&l.Nodes, 2000}, {&l.Edges, 40000},
		{&l.OpBytes, 256}, {&l.Proxies, 64}, {&l.IDBytes, 4096}, {&l.MetaBytes, 1 << 16},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return l
}

// Decoder reads candidates and labels. It reuses its memory, so that it
// allocates nothing for a message like those it has seen, except in rejections,
// labels and repeated edges. It is not for concurrent use.
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
}

// newProxy is a proxy whose name the decoder has not met.
type newProxy struct {
	place int // in message.proxies
	name  []byte
}

// reset empties m and keeps its memory.
func (m *message) reset() {
	*m = message{
		ops: m.ops[:0], edges: m.edges[:0], opsReduce: m.opsReduce[:0], edgesReduce: m.edgesReduce[:0],
		proxies: m.proxies[:0], values: m.values[:0], newProxies: m.newProxies[:0], withdrawn: m.withdrawn[:0],
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
	opsReduceField: "ops_reduce", edgesReduceField: "edges_reduce", proxiesField: "proxies", metaField: "meta",
	taskField: "task", architectureField: "architecture", goalField: "goal", valueField: "value",
	failedField: "failed", seedField: "seed", fidelityField: "fidelity", ofField: "of",
}

// ignoredNames bounds how many names of fields that nothing reads a decoder
// remembers.
const ignoredNames = 64

// NewDecoder returns a decoder with these limits.
func NewDecoder(limits Limits) *Decoder {
	d := &Decoder{limits: limits.withDefaults(), fields: newLexicon(), proxies: newLexicon()}
	for f := spaceField; f <= lastField; f++ {
		d.fields.learn(fieldNames[f], int32(f))
	}
	d.depth, d.recipe.depth = d.limits.Depth, d.limits.Depth
	return d
}

// Candidate reads an architecture and appends one row to every column of dst
// but the envelope's, or returns why it cannot and leaves dst as it was.
//
// Names of fields are matched exactly, and the last of several fields of one
// name counts. Null is absence. Other fields are checked for being JSON, in
// which NaN and infinities may stand there, and otherwise ignored. An edge that is given twice counts once. The graph in ops
// and edges is what counts when arch is there too.
func (d *Decoder) Candidate(dst *Candidates, value []byte) *Rejection {
	if !d.read(value, false) {
		return d.failed
	}
	s := d.spaceOf()
	if s == nil || !d.graph(s) || !d.settleProxies() {
		return d.failed
	}
	d.appendRow(dst, s)
	return nil
}

// read reads the fields of a message.
func (d *Decoder) read(value []byte, label bool) bool {
	d.start(value, "the message")
	d.text = d.text[:0]
	d.m.reset()
	if len(value) == 0 {
		return d.fail(ClassEmpty, "the message has no value; publish a JSON object")
	}
	if len(value) > d.limits.MessageBytes {
		return d.fail(ClassTooLarge, "the message has %d bytes, more than %d; make it smaller, or raise the limit on message bytes", len(value), d.limits.MessageBytes)
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
func (d *Decoder) fieldName() (field, bool) {
	m, name, ok := d.member(&d.fields)
	switch {
	case !ok:
		return 0, false
	case m != nil:
		return field(m.value), true
	case len(d.fields.known) <= len(fieldNames)+ignoredNames && len(name) <= d.limits.OpBytes:
		d.fields.learn(string(name), int32(ignoredField))
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
		m.arch, ok = d.stringField("arch")
	case opsField:
		m.ops, m.hasOps, ok = d.namesField("ops", m.ops[:0])
	case edgesField:
		m.edges, m.hasEdges, ok = d.edgesField("edges", m.edges[:0])
	case opsReduceField:
		m.opsReduce, m.hasOpsReduce, ok = d.namesField("ops_reduce", m.opsReduce[:0])
	case edgesReduceField:
		m.edgesReduce, m.hasEdgesReduce, ok = d.edgesField("edges_reduce", m.edgesReduce[:0])
	case idField:
		m.id, ok = d.rawField("id", d.limits.IDBytes)
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
		return nil, d.fail(ClassTooLarge, "field %q at byte %d has %d bytes, more than %d; make it smaller, or raise the limit", name, at, len(raw), limit)
	}
	return raw, ok
}

// namesField reads a list of names.
func (d *Decoder) namesField(name string, dst [][]byte) (names [][]byte, given, ok bool) {
	if d.null() {
		return dst, false, true
	}
	if d.peek() != '[' {
		return dst, false, d.wrongType(name, "a list of names of operations")
	}
	d.pos++
	for first := true; d.more(']', first); first = false {
		if d.peek() != '"' {
			return dst, false, d.wrongType(name, "names of operations in quotes")
		}
		if len(dst) == d.limits.Nodes {
			return dst, false, d.tooMany("nodes", name, d.limits.Nodes)
		}
		at := d.pos
		op, ok := d.str()
		if !ok {
			return dst, false, false
		}
		if len(op) == 0 || len(op) > d.limits.OpBytes {
			return dst, false, d.fail(ClassValue, "field %q at byte %d: the name of an operation has %d bytes; give it 1 to %d", name, at, len(op), d.limits.OpBytes)
		}
		dst = append(dst, op)
	}
	return dst, true, d.failed == nil
}

func (d *Decoder) tooMany(what, field string, limit int) bool {
	return d.fail(ClassTooLarge, "field %q has more than %d %s; split the graph, or raise the limit on %s", field, limit, what, what)
}

// edgesField reads a list of pairs of node numbers.
func (d *Decoder) edgesField(name string, dst []int32) (edges []int32, given, ok bool) {
	const pairs = "pairs [from, to] of node numbers"
	if d.null() {
		return dst, false, true
	}
	if d.peek() != '[' {
		return dst, false, d.wrongType(name, "a list of "+pairs)
	}
	d.pos++
	for first := true; d.more(']', first); first = false {
		if len(dst) == 2*d.limits.Edges {
			return dst, false, d.tooMany("edges", name, d.limits.Edges)
		}
		// Nearly every pair is like [3,12].
		if from, to, n := shortPair(d.src[d.pos:]); n > 0 {
			dst = append(dst, from, to)
			d.pos += n
			continue
		}
		if d.peek() != '[' {
			return dst, false, d.wrongType(name, pairs)
		}
		at, ends := d.pos, 0
		d.pos++
		for first := true; d.more(']', first); first = false {
			if c := d.peek(); c != '-' && !isDigit(c) {
				return dst, false, d.wrongType(name, pairs)
			}
			var n decimal
			if !d.number(&n) {
				return dst, false, false
			}
			if !n.whole {
				return dst, false, d.fail(ClassWrongType, "field %q at byte %d: %s is no whole number as written; node numbers are like 0, 1, 2", name, n.at, clip(d.written(&n)))
			}
			v := n.node()
			if v < 0 {
				return dst, false, d.fail(ClassEdgeRange, "field %q at byte %d: there is no node %s; number the nodes from 0", name, n.at, clip(d.written(&n)))
			}
			if ends++; ends <= 2 {
				dst = append(dst, v)
			}
		}
		if d.failed != nil {
			return dst, false, false
		}
		if ends != 2 {
			return dst, false, d.fail(ClassWrongType, "field %q at byte %d: an edge of %d numbers; want %s", name, at, ends, pairs)
		}
	}
	return dst, true, d.failed == nil
}

// shortPair reads [a,b] with numbers of one or two digits and no spaces. It
// returns the bytes that this took, 0 for anything else.
func shortPair(b []byte) (from, to int32, n int) {
	if len(b) < 8 || b[0] != '[' || !isDigit(b[1]) {
		return 0, 0, 0
	}
	from, n = int32(b[1]-'0'), 2
	if isDigit(b[2]) && from > 0 {
		from, n = from*10+int32(b[2]-'0'), 3
	}
	if b[n] != ',' || !isDigit(b[n+1]) {
		return 0, 0, 0
	}
	to, n = int32(b[n+1]-'0'), n+2
	if isDigit(b[n]) && to > 0 {
		to, n = to*10+int32(b[n]-'0'), n+1
	}
	if b[n] != ']' {
		return 0, 0, 0
	}
	return from, to, n + 1
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
	dst.Space = append(dst.Space, s.symbol)
	dst.Arch.Append(m.arch)
	ops, edges, attributes := d.ops, d.edges, d.attributes
	dst.Graphs.appendGraph(ops, edges)
	d.appendRest(&dst.Graphs, attributes)
	id := d.ids.id(ops, &d.topology.in, attributes)
	dst.Architecture = append(dst.Architecture, id)
	if p := &d.pruner; p.prune(&d.ids, s.null, ops, edges, &d.topology.in, attributes) {
		ops, edges, attributes = p.ops, p.edges, p.attributes
		id = d.ids.id(ops, &p.in, attributes)
	}
	dst.Network = append(dst.Network, id)
	dst.Networks.appendGraph(ops, edges)
	d.appendRest(&dst.Networks, attributes)
	if len(dst.ProxyStart) == 0 {
		dst.ProxyStart = append(dst.ProxyStart, 0)
	}
	dst.ProxyName = append(dst.ProxyName, m.proxies...)
	dst.ProxyValue = append(dst.ProxyValue, m.values...)
	dst.ProxyStart = append(dst.ProxyStart, int32(len(dst.ProxyName)))
	dst.Meta.appendJSON(m.meta)
}

// appendRest adds the attributes of the graph that was just appended to g, and
// the names that the process does not keep.
func (d *Decoder) appendRest(g *Graphs, attributes []Attribute) {
	if len(attributes) > 0 || len(d.own.Start) > 0 || len(g.AttributeStart) > 0 || len(g.NameStart) > 0 {
		g.appendRest(attributes, &d.own)
	}
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
