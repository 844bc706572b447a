package schemas

import (
	"sort"
	"strconv"
	"strings"
)

// AppendArchitecture appends the fields of a candidate that give its graph and
// its hyperparameters, without braces around them: a message with these fields
// and the same space is the same architecture.
func AppendArchitecture(dst []byte, g *Graph) []byte {
	if g.HyperparametersOnly() {
		return g.appendHyperparameters(append(dst, `"hyperparameters":`...))
	}
	n := len(g.Ops)
	first := sort.Search(n, func(v int) bool { return strings.HasPrefix(g.Name(g.Ops[v]), reducePrefix) })
	dst = g.appendCell(dst, `"ops":`, `,"edges":`, 0, first, g.cellEdges(0, first))
	if first < n {
		dst = g.appendCell(append(dst, ','), `"ops_reduce":`, `,"edges_reduce":`, first, n, g.cellEdges(first, n))
	}
	if len(g.Hyperparameters()) > 0 {
		dst = g.appendHyperparameters(append(dst, `,"hyperparameters":`...))
	}
	return dst
}

// HyperparametersOnly says that the candidate was given without a graph.
func (g *Graph) HyperparametersOnly() bool {
	return len(g.Ops) == 1 && g.Ops[0] == hyperparametersSymbol && len(g.Hyperparameters()) > 0
}

// cellEdges returns the edges whose nodes are first to next-1.
func (g *Graph) cellEdges(first, next int) []int32 {
	var edges []int32
	for e := 0; e+1 < len(g.Edges); e += 2 {
		if from := int(g.Edges[e]); from >= first && from < next {
			edges = append(edges, g.Edges[e]-int32(first), g.Edges[e+1]-int32(first))
		}
	}
	return edges
}

func (g *Graph) appendCell(dst []byte, ops, edges string, first, next int, pairs []int32) []byte {
	dst = append(append(dst, ops...), '[')
	attributes := g.OfNodes()
	for v := first; v < next; v++ {
		if v > first {
			dst = append(dst, ',')
		}
		for len(attributes) > 0 && int(attributes[0].Node) < v {
			attributes = attributes[1:]
		}
		name := g.Name(g.Ops[v])
		if first > 0 {
			name = strings.TrimPrefix(name, reducePrefix)
		}
		if len(attributes) == 0 || int(attributes[0].Node) != v {
			dst = appendString(dst, name)
			continue
		}
		dst = appendString(append(dst, `{"op":`...), name)
		for ; len(attributes) > 0 && int(attributes[0].Node) == v; attributes = attributes[1:] {
			dst = g.appendMember(append(dst, ','), &attributes[0])
		}
		dst = append(dst, '}')
	}
	dst = append(append(append(dst, ']'), edges...), '[')
	for e := 0; e+1 < len(pairs); e += 2 {
		if e > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, '['), int64(pairs[e]), 10)
		dst = strconv.AppendInt(append(dst, ','), int64(pairs[e+1]), 10)
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

func (g *Graph) appendHyperparameters(dst []byte) []byte {
	dst = append(dst, '{')
	for i, a := range g.Hyperparameters() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = g.appendMember(dst, &a)
	}
	return append(dst, '}')
}

func (g *Graph) appendMember(dst []byte, a *Attribute) []byte {
	dst = append(appendString(dst, g.Name(a.Name)), ':')
	return g.AppendValue(dst, a)
}

// AppendValue appends the value of an attribute as JSON.
func (g *Graph) AppendValue(dst []byte, a *Attribute) []byte {
	switch a.Kind {
	case TextKind:
		return appendString(dst, g.Name(a.Text))
	case BooleanKind:
		return strconv.AppendBool(dst, a.Number != 0)
	}
	return appendFloat(dst, a.Number, 64)
}
