package schemas

import (
	"fmt"
	"slices"
	"strings"
)

// reducePrefix marks the operations of the second cell.
const reducePrefix = "reduce:"

// Space is a search space: its operations, its notation, its rules, and the
// settings of its flow surrogate.
type Space struct {
	Name string
	K    int     // length of the surrogate
	Std  float64 // standard deviation of its random weights

	// Operations lists what a node may be, second cells included, in the order
	// of the benchmark; nil when anything may be.
	Operations []string
	// Notation is an example of arch, "" when the space has none.
	Notation string

	minNodes, maxNodes, maxEdges int // 0: only the limits of the decoder
	oneEnd                       bool
	cells                        int
	symbol                       Symbol // of the name
	null                         Symbol // the operation that carries nothing
	known                        []bool // by symbol
	parse                        func(d *Decoder, arch []byte) bool
}

var spaces = []*Space{nb101(), nb201(), nb301(), nbgraph(), nbnlp(), micro(), dag()}

// dag takes any graph and learns its operations as they come.
func dag() *Space {
	return &Space{Name: "dag", K: 8, Std: 0.1, cells: 2, symbol: MustIntern("dag"), null: NoSymbol}
}

// SpaceOf returns the space of that name.
func SpaceOf(name string) (*Space, bool) {
	for _, s := range spaces {
		if s.Name == name {
			return s, true
		}
	}
	return nil, false
}

// SpaceNames lists the spaces.
func SpaceNames() []string {
	names := make([]string, len(spaces))
	for i, s := range spaces {
		names[i] = s.Name
	}
	return names
}

// closed interns the operations of a space that takes no others.
func (s *Space) closed() *Space {
	s.symbol, s.null = MustIntern(s.Name), NoSymbol
	for _, op := range s.Operations {
		code := int(MustIntern(op))
		s.known = append(s.known, make([]bool, max(0, code+1-len(s.known)))...)
		s.known[code] = true
		if op == "none" {
			s.null = Symbol(code)
		}
	}
	return s
}

func (s *Space) knows(op Symbol) bool {
	return s.known == nil || op >= 0 && int(op) < len(s.known) && s.known[op]
}

// check returns what is wrong with a graph by the rules of the space, nil if
// nothing is.
func (s *Space) check(d *identifier, ops []Symbol, edges []int32) *Rejection {
	const cure = `mend it, or use space "dag", which has no rules`
	if s.maxNodes > 0 && (len(ops) < s.minNodes || len(ops) > s.maxNodes) {
		return reject(ClassRule, "ops: %d nodes, where space %q has %d to %d; %s", len(ops), s.Name, s.minNodes, s.maxNodes, cure)
	}
	if s.maxEdges > 0 && len(edges)/2 > s.maxEdges {
		return reject(ClassRule, "edges: %d edges, where space %q has at most %d; %s", len(edges)/2, s.Name, s.maxEdges, cure)
	}
	if s.oneEnd {
		count := [3]int{}
		for _, op := range ops {
			count[d.operation(op).role]++
		}
		if count[roleInput] != 1 || count[roleOutput] != 1 {
			return reject(ClassRule, `ops: %d nodes "input" and %d nodes "output", where space %q has one of each; %s`, count[roleInput], count[roleOutput], s.Name, cure)
		}
	}
	return nil
}

// unknown says that the space has no such operation.
func (s *Space) unknown(field string, i int, name []byte) *Rejection {
	list := slices.DeleteFunc(slices.Clone(s.Operations), func(op string) bool { return strings.HasPrefix(op, reducePrefix) })
	return reject(ClassUnknownOperation, `%s[%d]: space %q has no operation %.60q; it has %s; use one of them, or space "dag", which takes any`,
		field, i, s.Name, name, strings.Join(list, ", "))
}

// notation says what is wrong with arch at a byte of it.
func (d *Decoder) notation(s *Space, at int, format string, args ...any) bool {
	return d.fail(ClassNotation, "arch at byte %d: %s; the notation of space %q is like %s", at, fmt.Sprintf(format, args...), s.Name, s.Notation)
}

// node adds a node to the graph that a notation describes.
func (d *Decoder) node(op Symbol) { d.ops = append(d.ops, op) }

// edge adds an edge to the graph that a notation describes.
func (d *Decoder) edge(from, to int) { d.edges = append(d.edges, int32(from), int32(to)) }

func internAll(names []string) []Symbol {
	symbols := make([]Symbol, len(names))
	for i, name := range names {
		symbols[i] = MustIntern(name)
	}
	return symbols
}

var (
	inputSymbol  = MustIntern("input")
	outputSymbol = MustIntern("output")
)
