package schemas

import (
	"encoding/binary"
	"math"
	"strings"
)

// An ID is a hash that two graphs share when one is the other with its nodes renumbered.
// It is Weisfeiler and Leman's colour refinement for DAGs, by passes along the edges
// instead of rounds: a pass in topological order gives each node a colour from its own
// and the sum of its predecessors' new ones, and so covers the whole past of a node at
// once; a backward pass does the same with the successors; the two colours of a node
// together are its colour for a second pair of passes. The ID is the sum of the final
// colours, mixed with the numbers of nodes and edges. Sums do not depend on order. The
// cost is linear.
//
// Two 64-bit hashes with different constants make 128 bits, so graphs with different
// colourings collide by chance once in 2^64 pairs of graphs squared. Graphs that no
// colour refinement distinguishes stay equal: non-isomorphic graphs in which every node
// has a counterpart with the same operations along all paths before and behind it, such
// as four inputs and four outputs joined as one ring of eight or as two rings of four. An
// architecture with one input and one output needs large equal blocks wired in rings for
// that.
//
// The attributes of a node are part of its first colour, hyperparameters are
// mixed in at the end. A graph without them has the ID that it would have if
// there were no such thing.
//
// IDs are in users' tables: nothing here may change, ever. Names count by their
// bytes, never by their symbols, which are numbered anew in every process.

// colour is a hash of two lanes.
type colour struct{ a, b uint64 }

// scaled returns a colour in the form of the first argument of mixA and mixB.
func (c colour) scaled() colour { return colour{c.a * a0, c.b * b0} }

// Salts keep the roles of mix apart.
const (
	saltName = iota
	saltForward
	saltBackward
	saltNode
	saltGraph
	saltNumber // of attributes, as the rest
	saltBoolean
	saltText
	saltAttributes
	saltHyperparameters
)

// The constants of each hash are the first 64 bits of the fractional parts of the square
// roots of primes, made odd.
const (
	a0, a1, a2, a3 = 0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1 // 2 3 5 7
	b0, b1, b2, b3 = 0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179 // 11 13 17 19
)

// mixA and mixB hash x, y and salt: one affine step that is a bijection in
// either argument, then two rounds of folding the high half down and
// multiplying, so that every bit of the input reaches every bit of the result.
func mixA(x, y, salt uint64) uint64 { return stirA(x*a0+y, salt) }

func mixB(x, y, salt uint64) uint64 { return stirB(x*b0+y, salt) }

func stirA(h, salt uint64) uint64 {
	h += salt * a3
	h = (h ^ h>>32) * a1
	h = (h ^ h>>29) * a2
	return h ^ h>>32
}

func stirB(h, salt uint64) uint64 {
	h += salt * b3
	h = (h ^ h>>32) * b1
	h = (h ^ h>>29) * b2
	return h ^ h>>32
}

// hashName hashes a name by its length and its bytes, eight at a time.
func hashName(name string) colour {
	n := uint64(len(name))
	h := colour{n, n}
	for len(name) > 0 {
		var chunk [8]byte
		name = name[copy(chunk[:], name):]
		w := binary.LittleEndian.Uint64(chunk[:])
		h = colour{mixA(h.a, w, saltName), mixB(h.b, w, saltName)}
	}
	return colour{mixA(h.a, n, saltName), mixB(h.b, n, saltName)}
}

// role is the role of a node by its operation's name.
type role uint8

const (
	roleOperation role = iota
	roleInput
	roleOutput
)

func roleOf(name string) role {
	name = strings.TrimPrefix(name, reducePrefix)
	switch {
	case name == "output":
		return roleOutput
	case name == "input" || name == "c_k-1" || name == "c_k-2" || strings.HasPrefix(name, "input:") || strings.HasPrefix(name, "hidden:"):
		return roleInput
	}
	return roleOperation
}

// operation holds the properties of an operation's name that graph algorithms need.
type operation struct {
	hash colour // of the name, scaled
	role role
}

// vertex is a node while its graph is hashed.
type vertex struct {
	own    colour // its colour, scaled for both passes
	past   colour // of the pass in topological order
	future colour // sum of the colours of its successors so far
}

// identifier computes IDs and reuses its memory; it is not for concurrent use.
type identifier struct {
	operations []operation // by symbol
	own        []operation // of the graph's own names
	vertices   []vertex
}

func (d *identifier) operation(s Symbol) *operation {
	if uint(s) < uint(len(d.operations)) {
		return &d.operations[s]
	}
	return d.learn(s)
}

func (d *identifier) learn(s Symbol) *operation {
	if s < 0 {
		return &d.own[NoSymbol-1-s]
	}
	for int(s) >= len(d.operations) {
		d.operations = append(d.operations, operationOf(Name(Symbol(len(d.operations)))))
	}
	return &d.operations[s]
}

func operationOf(name string) operation {
	return operation{hashName(name).scaled(), roleOf(name)}
}

// id returns the ID of a graph in topological order without duplicate edges.
func (d *identifier) id(ops []Symbol, in *predecessors, attributes []Attribute) ID {
	d.vertices = sized(d.vertices, len(ops))
	for v, op := range ops {
		d.vertices[v] = vertex{own: d.operation(op).hash}
	}
	var whole colour
	given := false
	if len(attributes) > 0 {
		whole, given = d.addAttributes(attributes)
	}
	hashForward(d.vertices, in)
	hashBackward(d.vertices, in)
	hashForward(d.vertices, in)
	total := hashBackward(d.vertices, in)
	size := uint64(len(ops))<<32 | uint64(len(in.node))
	total = colour{mixA(total.a, size, saltGraph), mixB(total.b, size, saltGraph)}
	if given {
		total = colour{mixA(total.a, whole.a, saltHyperparameters), mixB(total.b, whole.b, saltHyperparameters)}
	}
	var id ID
	binary.BigEndian.PutUint64(id[:8], total.a)
	binary.BigEndian.PutUint64(id[8:], total.b)
	return id
}

// addAttributes mixes the attributes of nodes, in the order of nodes, into the
// colours of their vertices, and returns the sum of those of the whole graph
// and whether there are any. Sums do not depend on the order of names.
func (d *identifier) addAttributes(attributes []Attribute) (whole colour, given bool) {
	for i := 0; i < len(attributes); {
		node, sum := attributes[i].Node, colour{}
		for ; i < len(attributes) && attributes[i].Node == node; i++ {
			c := d.attribute(&attributes[i])
			sum.a += c.a
			sum.b += c.b
		}
		if node == WholeGraph {
			whole, given = sum, true
			continue
		}
		own := &d.vertices[node].own
		*own = colour{stirA(own.a+sum.a, saltAttributes), stirB(own.b+sum.b, saltAttributes)}.scaled()
	}
	return whole, given
}

// attribute hashes a name and its value. Numbers count by their value, not by their
// notation. A name and a text that change places make one colour: {"a": "b"} and
// {"b": "a"} are one. Ids in users' tables keep that from being mended.
func (d *identifier) attribute(x *Attribute) colour {
	name := d.operation(x.Name).hash
	value, salt := colour{}, uint64(saltText)
	if x.Kind == TextKind {
		value = d.operation(x.Text).hash
	} else {
		number := math.Float64bits(x.Number + 0) // one zero
		value, salt = colour{number, number}, saltNumber
		if x.Kind == BooleanKind {
			salt = saltBoolean
		}
	}
	return colour{stirA(name.a+value.a, salt), stirB(name.b+value.b, salt)}
}

// hashForward gives every vertex the colour of its past. The passes are small functions
// on one slice so that sums stay in registers.
func hashForward(vertices []vertex, in *predecessors) {
	ends, node, e := in.start[1:len(vertices)+1], in.node, 0
	for v := range vertices {
		x := &vertices[v]
		a, b := x.own.a, x.own.b
		for end := int(ends[v]); e < end; e++ {
			before := &vertices[node[e]]
			a += before.past.a
			b += before.past.b
		}
		x.past = colour{stirA(a, saltForward), stirB(b, saltForward)}
	}
}

// hashBackward gives every vertex the colour of its past and its future together and
// returns the sum of these colours.
func hashBackward(vertices []vertex, in *predecessors) (total colour) {
	starts, node, e := in.start[:len(vertices)], in.node, len(in.node)-1
	for v := len(vertices) - 1; v >= 0; v-- {
		x := &vertices[v]
		a, b := stirA(x.own.a+x.future.a, saltBackward), stirB(x.own.b+x.future.b, saltBackward)
		for start := int(starts[v]); e >= start; e-- {
			before := &vertices[node[e]]
			before.future.a += a
			before.future.b += b
		}
		a, b = mixA(x.past.a, a, saltNode), mixB(x.past.b, b, saltNode)
		total.a += a
		total.b += b
		x.own, x.future = colour{a * a0, b * b0}, colour{}
	}
	return total
}

// sized returns s with n elements of any content, in the same memory if it is
// large enough.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/2)[:n]
	}
	return s[:n]
}
