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

	// Operations lists the operations of nodes, second cells included, in the order of
	// the benchmark; nil when anything is allowed.
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

var spaces = []*Space{nb101(), nb201(), nb301(), nbgraph(), nbnlp(), micro(), tnb101(), natsSSS(), nbmacro(), dag()}

// dag takes any graph and learns its operations as they come.
func dag() *Space {
	s := ownSpace("dag")
	s.symbol = MustIntern("dag")
	return s
}

// ownSpace returns a space that users have named: any graph, with a model,
// vocabulary and percentiles of its own.
func ownSpace(name string) *Space {
	return &Space{Name: name, K: 8, Std: 0.1, cells: 2, symbol: NoSymbol, null: NoSymbol}
}

// maxSpaceName bounds the bytes of a space's name.
const maxSpaceName = 64

// validSpace reports whether the name may be that of a space. Dots alone would name other
// folders.
func validSpace(name []byte) bool {
	dots := 0
	for _, c := range name {
		switch {
		case c == '.':
			dots++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', isDigit(c), c == '_', c == '-':
		default:
			return false
		}
	}
	return len(name) > dots && len(name) <= maxSpaceName
}

// SpaceOf returns the space of that name, which is a user's own when it is not
// built in; false when no space may be called so.
func SpaceOf(name string) (*Space, bool) {
	for _, s := range spaces {
		if s.Name == name {
			return s, true
		}
	}
	if !validSpace([]byte(name)) {
		return nil, false
	}
	return ownSpace(name), true
}

// BuiltIn reports whether archflow knows the operations and the notation of a space, or
// keeps it open as it does dag.
func BuiltIn(name string) bool {
	for _, s := range spaces {
		if s.Name == name {
			return true
		}
	}
	return false
}

// similarSpace returns the built-in space whose name is likely to be meant by
// one that is not, "" without.
func similarSpace(name string) string {
	if BuiltIn(name) {
		return ""
	}
	plain := strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name))
	plain = strings.Replace(plain, "nasbench", "nb", 1)
	nearest, like := 2, ""
	for _, s := range spaces {
		own := strings.ReplaceAll(s.Name, "-", "")
		if d := distance(plain, own); len(own) > 3 && d < nearest {
			nearest, like = d, s.Name
		}
	}
	return like
}

// distance counts the letters to insert, remove, replace or swap with the next
// to make b of a.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, above, row := rows[(i+1)%3], rows[(i-1)%3], rows[i%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}

// SpaceNames lists the built-in spaces.
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

// check returns the violation of the rules of the space by a graph, nil if there is none.
func (s *Space) check(d *identifier, ops []Symbol, edges []int32) *Rejection {
	const cure = `mend it, or name a space of your own, which has no rules`
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
	return reject(ClassUnknownOperation, `%s[%d]: space %q has no operation %.60q; it has %s; use one of them, or name a space of your own, which takes any`,
		field, i, s.Name, name, strings.Join(list, ", "))
}

// notation reports a fault of arch at a byte of it.
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

	// hyperparametersSymbol is the one node of an architecture without a graph.
	hyperparametersSymbol = MustIntern("hyperparameters")
)
