package schemas

import (
	"cmp"
	"slices"
	"strings"
)

// Kind is the type of an attribute's value.
type Kind int32

// The kinds of values.
const (
	NumberKind  Kind = iota // the value is Number, finite
	BooleanKind             // the value is Number, 0 or 1
	TextKind                // the value is Text
)

// WholeGraph takes the place of a node for attributes of the graph itself.
const WholeGraph = -1

// Attribute is a named value of a node's operation, such as the kernel size of
// a convolution, or a hyperparameter: one of the whole graph. An element of a
// list of hyperparameters is one of its own, named by the list and its place:
// "heads.0", "heads.1".
//
// Its size and order of fields are those of the Arrow column that carries it.
type Attribute struct {
	Node   int32 // of its graph, or WholeGraph
	Name   Symbol
	Kind   Kind
	Text   Symbol // NoSymbol unless Kind is TextKind
	Number float64
}

// attributeBytes is the size of an Attribute, which has no gaps.
const attributeBytes = 24

// Graph is one graph of a batch. Its slices are views.
type Graph struct {
	Ops        []Symbol
	Edges      []int32     // from, to, from, to, ...
	Attributes []Attribute // hyperparameters first, then by node; each by name
	Names      Strings     // of its symbols below NoSymbol
}

// Hyperparameters returns a view of the attributes of the whole graph.
func (g *Graph) Hyperparameters() []Attribute { return g.Attributes[:g.hyperparameters()] }

// OfNodes returns a view of the attributes of its nodes, in the order of nodes
// and names.
func (g *Graph) OfNodes() []Attribute { return g.Attributes[g.hyperparameters():] }

func (g *Graph) hyperparameters() int {
	n := 0
	for n < len(g.Attributes) && g.Attributes[n].Node == WholeGraph {
		n++
	}
	return n
}

// Name returns the name of s in this graph.
func (g *Graph) Name(s Symbol) string { return nameIn(&g.Names, 0, s) }

// Own returns the symbol of a name that stays with this graph, adding it if it is new.
func (g *Graph) Own(name string) Symbol {
	for k := range g.Names.Len() {
		if string(g.Names.At(k)) == name {
			return localSymbol(k)
		}
	}
	g.Names.Append([]byte(name))
	return localSymbol(g.Names.Len() - 1)
}

// Clone returns a copy with memory of its own.
func (g *Graph) Clone() Graph {
	out := Graph{Ops: slices.Clone(g.Ops), Edges: slices.Clone(g.Edges), Attributes: slices.Clone(g.Attributes)}
	for i := range g.Names.Len() {
		out.Names.Append(g.Names.At(i))
	}
	return out
}

// A name that the process does not keep, because foreign messages have brought
// MaxSymbols of them already, stays with its graph: the k-th of these has the
// symbol localSymbol(k) there. Nothing that is computed of a graph depends on
// whether a name is kept.

// localSymbol returns the symbol of the k-th of a graph's own names.
func localSymbol(k int) Symbol { return NoSymbol - 1 - Symbol(k) }

// nameIn returns the name of s, where own names begin at first.
func nameIn(own *Strings, first int32, s Symbol) string {
	if s >= NoSymbol {
		return Name(s)
	}
	return string(own.At(int(first + NoSymbol - 1 - s)))
}

// sortAttributes brings the attributes of a graph into order.
func sortAttributes(attributes []Attribute, own *Strings) {
	slices.SortStableFunc(attributes, func(a, b Attribute) int {
		if a.Node != b.Node {
			return cmp.Compare(a.Node, b.Node)
		}
		if a.Name == b.Name {
			return 0
		}
		return strings.Compare(nameIn(own, 0, a.Name), nameIn(own, 0, b.Name))
	})
}
