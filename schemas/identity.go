package schemas

import (
	"encoding/binary"
	"strings"
)

// An ID is a hash that two graphs share when one is the other with its nodes
// renumbered. It is Weisfeiler and Leman's colour refinement for DAGs, by
// sweeps instead of rounds: a sweep in topological order gives each node a
// colour from its own and the sum of its predecessors' new ones, and so sees
// the whole past of a node at once; a sweep back does the same with the
// successors; the two colours of a node together are its colour for a second
// pair of sweeps. The ID is the sum of the final colours, mixed with the
// numbers of nodes and edges. Sums do not depend on order. The cost is linear.
//
// Two 64-bit lanes with different constants make 128 bits, so graphs with
// different colourings collide by chance once in 2^64 pairs of graphs squared.
// What no colour refinement tells apart stays equal: non-isomorphic graphs in
// which every node has a counterpart with the same operations along all paths
// before and behind it, such as four inputs and four outputs joined as one
// ring of eight or as two rings of four. An architecture with one input and
// one output needs large equal blocks wired in rings for that.
//
// IDs are in users' tables: nothing here may change, ever. Names count by their
// bytes, never by their symbols, which are numbered anew in every process.

// colour is a hash of two lanes.
type colour struct{ a, b uint64 }

// Salts keep the roles of mix apart.
const (
	saltName = iota
	saltForward
	saltBackward
	saltNode
	saltGraph
)

// The constants of each lane are the first 64 bits of the fractional parts of
// the square roots of primes, made odd.
const (
	a0, a1, a2, a3 = 0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1 // 2 3 5 7
	b0, b1, b2, b3 = 0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179 // 11 13 17 19
)

// mixA and mixB hash x, y and salt: one affine step that is a bijection in
// either argument, then two rounds of folding the high half down and
// multiplying, so that every bit of the input reaches every bit of the result.
func mixA(x, y, salt uint64) uint64 {
	h := x*a0 + y + salt*a3
	h = (h ^ h>>32) * a1
	h = (h ^ h>>29) * a2
	return h ^ h>>32
}

func mixB(x, y, salt uint64) uint64 {
	h := x*b0 + y + salt*b3
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

// role says what an operation's name makes of a node.
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

// operation is what a graph's algorithms need of an operation's name.
type operation struct {
	hash colour
	role role
	seen bool
}

// identifier computes IDs and reuses its memory; it is not for concurrent use.
type identifier struct {
	operations []operation // by symbol
	colours    []colour
	forward    []colour
	backward   []colour
}

func (d *identifier) operation(s Symbol) *operation {
	if int(s) < len(d.operations) && d.operations[s].seen {
		return &d.operations[s]
	}
	return d.learn(s)
}

func (d *identifier) learn(s Symbol) *operation {
	for int(s) >= len(d.operations) {
		d.operations = append(d.operations, operation{})
	}
	name := Name(s)
	d.operations[s] = operation{hashName(name), roleOf(name), true}
	return &d.operations[s]
}

// id returns the ID of a graph in topological order without duplicate edges.
func (d *identifier) id(ops []Symbol, in *predecessors) ID {
	n := len(ops)
	d.colours, d.forward, d.backward = sized(d.colours, n), sized(d.forward, n), sized(d.backward, n)
	colours, forward, backward := d.colours, d.forward, d.backward
	start := in.start[:n+1]
	for v, op := range ops {
		colours[v] = d.operation(op).hash
	}
	var total colour
	for pair := range 2 {
		for v, c := range colours {
			var sum colour
			for _, u := range in.node[start[v]:start[v+1]] {
				f := &forward[u]
				sum.a += f.a
				sum.b += f.b
			}
			forward[v] = colour{mixA(c.a, sum.a, saltForward), mixB(c.b, sum.b, saltForward)}
		}
		clear(backward)
		for v := n - 1; v >= 0; v-- {
			// backward[v] holds the sum over v's successors by now; it is
			// spent here, and the node's own colour goes to its predecessors.
			c, sum, f := colours[v], backward[v], forward[v]
			after := colour{mixA(c.a, sum.a, saltBackward), mixB(c.b, sum.b, saltBackward)}
			for _, u := range in.node[start[v]:start[v+1]] {
				b := &backward[u]
				b.a += after.a
				b.b += after.b
			}
			both := colour{mixA(f.a, after.a, saltNode), mixB(f.b, after.b, saltNode)}
			if pair == 0 {
				colours[v] = both
			} else {
				total.a += both.a
				total.b += both.b
			}
		}
	}
	size := uint64(n)<<32 | uint64(len(in.node))
	var id ID
	binary.BigEndian.PutUint64(id[:8], mixA(total.a, size, saltGraph))
	binary.BigEndian.PutUint64(id[8:], mixB(total.b, size, saltGraph))
	return id
}

// sized returns s with n elements of any content, in the same memory if it is
// large enough.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/2)[:n]
	}
	return s[:n]
}
