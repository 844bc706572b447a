package learner

import "archflow/schemas"

// maxNames bounds the names of operations, attributes, texts and proxies that a
// space teaches.
const maxNames = 4096

// names are those that the space has introduced, in order of arrival, up to maxNames.
// Later ones stay with their graphs and are unknown to the models. The set depends on the
// input of the space alone, not on other spaces of the process.
type names struct {
	order []string
	known map[string]schemas.Symbol
	taken []bool // by symbol
}

func newNames() *names { return &names{known: map[string]schemas.Symbol{}} }

func (n *names) has(s schemas.Symbol) bool {
	return s >= 0 && int(s) < len(n.taken) && n.taken[s]
}

// take returns the symbol of a name that the space has taught or may still teach.
func (n *names) take(name string) (schemas.Symbol, bool) {
	if s, ok := n.known[name]; ok {
		return s, true
	}
	if len(n.order) >= maxNames {
		return schemas.NoSymbol, false
	}
	s, err := schemas.Intern(name)
	if err != nil {
		return schemas.NoSymbol, false
	}
	n.order, n.known[name] = append(n.order, name), s
	for int(s) >= len(n.taken) {
		n.taken = append(n.taken, false)
	}
	n.taken[s] = true
	return s, true
}

// in returns the symbol of a name in a graph that is being made.
func (n *names) in(g *schemas.Graph, name string) schemas.Symbol {
	if s, ok := n.take(name); ok {
		return s
	}
	return g.Own(name)
}

// graph returns a copy of x with names of its own where the space has taught
// none.
func (n *names) graph(x *schemas.Graph) schemas.Graph {
	out := x.Clone()
	if n.hasAll(x) {
		return out
	}
	out.Names = schemas.Strings{}
	for i, op := range x.Ops {
		out.Ops[i] = n.in(&out, x.Name(op))
	}
	for i, a := range x.Attributes {
		out.Attributes[i].Name = n.in(&out, x.Name(a.Name))
		if a.Kind == schemas.TextKind {
			out.Attributes[i].Text = n.in(&out, x.Name(a.Text))
		}
	}
	return out
}

func (n *names) hasAll(x *schemas.Graph) bool {
	for _, op := range x.Ops {
		if !n.has(op) {
			return false
		}
	}
	for _, a := range x.Attributes {
		if !n.has(a.Name) || a.Kind == schemas.TextKind && !n.has(a.Text) {
			return false
		}
	}
	return true
}

// proxies calls f for the proxies of candidate i that the space has taught.
func (n *names) proxies(c *schemas.Candidates, i int, f func(schemas.Symbol, float64)) {
	c.Proxies(i, func(name schemas.Symbol, value float64) {
		if !n.has(name) {
			taught, ok := n.take(c.NameOf(i, name))
			if !ok {
				return
			}
			name = taught
		}
		f(name, value)
	})
}
