package schemas

import (
	"slices"
	"strings"
	"unsafe"
)

// nbnlp is NAS-Bench-NLP (Klyuchnikov et al. 2022): recurrent cells of any
// wiring. Its notation is a JSON object that gives each node its operation and
// the nodes it reads: the input x, the states h_prev_0.. and other nodes, which
// may come later.
func nbnlp() *Space {
	s := &Space{
		Name: "nbnlp", K: 8, Std: 0.1, cells: 1,
		Operations: []string{"input:x", "hidden:h_prev_0", "hidden:h_prev_1", "hidden:h_prev_2", "linear", "blend", "elementwise_prod",
			"elementwise_sum", "activation_tanh", "activation_sigm", "activation_leaky_relu"},
		Notation: `"{\"f\": {\"op\": \"linear\", \"input\": [\"x\", \"h_prev_0\"]}, \"h_new_0\": {\"op\": \"activation_tanh\", \"input\": [\"f\"]}}"`,
	}
	ends := internAll(s.Operations[:4])
	s.parse = func(d *Decoder, arch []byte) bool {
		in := &d.recipe
		in.start(arch, "arch")
		if !d.readRecipe(s) || !in.end() {
			return d.recipeFailed(s)
		}
		return d.wireRecipe(s, ends)
	}
	return s.closed()
}

// recipe is an nbnlp architecture as written.
type recipe struct {
	scanner
	names  [][]byte // of the nodes
	ops    []Symbol
	until  []int // [nodes] ends of each node's part of inputs
	inputs [][]byte
	byName map[string]int // of a name
}

func (d *Decoder) readRecipe(s *Space) bool {
	in := &d.recipe
	in.names, in.ops, in.until, in.inputs = in.names[:0], in.ops[:0], in.until[:0], in.inputs[:0]
	in.space()
	if in.peek() != '{' {
		return in.syntax("'{'")
	}
	in.pos++
	for first := true; in.more('}', first); first = false {
		name, ok := in.key()
		if !ok {
			return false
		}
		if in.peek() != '{' {
			return in.syntax("'{'")
		}
		in.pos++
		if len(in.names) == d.limits.Nodes {
			return d.fail(ClassTooLarge, "arch: more than %d nodes; split the graph, or raise --max-nodes", d.limits.Nodes)
		}
		op, start := NoSymbol, len(in.inputs)
		for first := true; in.more('}', first); first = false {
			field, ok := in.key()
			if !ok {
				return false
			}
			switch string(field) {
			case "op":
				if in.peek() != '"' {
					return in.syntax("an operation in quotes")
				}
				text, ok := in.str()
				if !ok {
					return false
				}
				if op, ok = d.resolve(s, text, false); !ok || !s.inside(op) {
					d.failed = s.unknown("arch, node ", len(in.names), text)
					return false
				}
			case "input":
				if in.inputs = in.inputs[:start]; !d.readInputs() {
					return false
				}
			default:
				if !in.skip(in.depth - 2) {
					return false
				}
			}
		}
		if in.failed != nil {
			return false
		}
		if op == NoSymbol {
			return d.notation(s, in.pos, "node %.60q has no \"op\"", name)
		}
		in.names, in.ops, in.until = append(in.names, name), append(in.ops, op), append(in.until, len(in.inputs))
	}
	return in.failed == nil
}

func (d *Decoder) readInputs() bool {
	in := &d.recipe
	if in.peek() != '[' {
		return in.syntax("'['")
	}
	in.pos++
	for first := true; in.more(']', first); first = false {
		if in.peek() != '"' {
			return in.syntax("a node in quotes")
		}
		name, ok := in.str()
		if !ok {
			return false
		}
		if len(in.inputs) == d.limits.Edges {
			return d.fail(ClassTooLarge, "arch: more than %d inputs; split the graph", d.limits.Edges)
		}
		in.inputs = append(in.inputs, name)
	}
	return in.failed == nil
}

// wireRecipe makes the graph: the ends that are read, then the nodes as they
// come in the recipe.
func (d *Decoder) wireRecipe(s *Space, ends []Symbol) bool {
	in := &d.recipe
	if len(in.names) == 0 {
		return d.notation(s, 0, "there is no node in it")
	}
	if in.byName == nil {
		in.byName = make(map[string]int)
	}
	defer clear(in.byName) // its keys are views of the message
	for _, end := range ends {
		_, name, _ := strings.Cut(Name(end), ":")
		if slices.ContainsFunc(in.inputs, func(input []byte) bool { return string(input) == name }) {
			in.byName[name] = len(d.ops)
			d.node(end)
		}
	}
	for i, name := range in.names {
		if _, twice := in.byName[string(name)]; twice {
			return d.notation(s, 0, "two nodes are called %.60q", name)
		}
		in.byName[unsafe.String(unsafe.SliceData(name), len(name))] = len(d.ops)
		d.node(in.ops[i])
	}
	at := 0
	for i, name := range in.names {
		for ; at < in.until[i]; at++ {
			from, ok := in.byName[string(in.inputs[at])]
			if !ok {
				return d.notation(s, 0, "node %.60q reads %.60q, which is no node", name, in.inputs[at])
			}
			d.edge(from, in.byName[string(name)])
		}
	}
	return true
}
