package learner

import (
	"fmt"

	"archflow/schemas"
)

// NetworkState is one network.
type NetworkState struct {
	ID         schemas.ID
	Ops        []int32 // into Names
	Edges      []int32
	Attributes []AttributeState
	ProxyNames []int32
	Proxies    []float64
	Told       int
}

// AttributeState is a schemas.Attribute with Name and Text into Names; Text is
// NoSymbol where that is.
type AttributeState struct {
	Node       int32
	Name, Text int32
	Kind       int32
	Number     float64
}

// network returns the place of n in the state.
func (w *stateWriter) network(n *network) int {
	at, ok := w.networks[n]
	if ok {
		return at
	}
	out := w.graph(&n.graph)
	out.ID, out.Told = n.id, n.proxyCount
	for _, p := range n.proxies {
		out.ProxyNames = append(out.ProxyNames, w.name(schemas.Name(p.name)))
		out.Proxies = append(out.Proxies, p.value)
	}
	at = len(w.state.Networks)
	w.networks[n] = at
	w.state.Networks = append(w.state.Networks, out)
	return at
}

// graph returns a graph as a state holds it.
func (w *stateWriter) graph(g *schemas.Graph) NetworkState {
	out := NetworkState{Edges: g.Edges}
	for _, op := range g.Ops {
		out.Ops = append(out.Ops, w.name(g.Name(op)))
	}
	for _, a := range g.Attributes {
		x := AttributeState{Node: a.Node, Name: w.name(g.Name(a.Name)), Text: schemas.NoSymbol, Kind: int32(a.Kind), Number: a.Number}
		if a.Kind == schemas.TextKind {
			x.Text = w.name(g.Name(a.Text))
		}
		out.Attributes = append(out.Attributes, x)
	}
	return out
}

// name returns the i-th name of the state.
func (s *State) name(i int32) (string, error) {
	if i < 0 || int(i) >= len(s.Names) {
		return "", fmt.Errorf("state of space %q names symbol %d of %d", s.Space, i, len(s.Names))
	}
	return s.Names[i], nil
}

// networks returns the networks of a state.
func (s *State) networks(known *names) ([]*network, error) {
	networks := make([]*network, len(s.Networks))
	for i, x := range s.Networks {
		n := &network{id: x.ID, proxyCount: x.Told, slot: -1}
		var err error
		if n.graph, err = x.graph(s.name, known); err != nil {
			return nil, err
		}
		if len(x.Proxies) != len(x.ProxyNames) {
			return nil, fmt.Errorf("state of space %q: network %d has %d proxies with %d names", s.Space, i, len(x.Proxies), len(x.ProxyNames))
		}
		for j, at := range x.ProxyNames {
			own, err := s.name(at)
			if err != nil {
				return nil, err
			}
			code, ok := known.take(own)
			if !ok {
				continue // written by a version that took more names
			}
			n.proxies = append(n.proxies, proxy{code, x.Proxies[j]})
		}
		networks[i] = n
	}
	return networks, nil
}

// graph returns the graph of a network, given the names of its symbols.
func (x *NetworkState) graph(name func(int32) (string, error), known *names) (g schemas.Graph, err error) {
	g.Edges = x.Edges
	for _, op := range x.Ops {
		own, err := name(op)
		if err != nil {
			return g, err
		}
		g.Ops = append(g.Ops, known.in(&g, own))
	}
	for _, a := range x.Attributes {
		own, err := name(a.Name)
		if err != nil {
			return g, err
		}
		y := schemas.Attribute{Node: a.Node, Name: known.in(&g, own), Kind: schemas.Kind(a.Kind), Text: schemas.NoSymbol, Number: a.Number}
		if y.Kind == schemas.TextKind {
			if own, err = name(a.Text); err != nil {
				return g, err
			}
			y.Text = known.in(&g, own)
		}
		if y.Node < schemas.WholeGraph || int(y.Node) >= len(g.Ops) {
			return g, fmt.Errorf("an attribute of node %d of %d", y.Node, len(g.Ops))
		}
		g.Attributes = append(g.Attributes, y)
	}
	return g, nil
}
