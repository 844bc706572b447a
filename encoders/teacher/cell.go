package teacher

import "archflow/schemas"

// cell is the part of a graph that belongs to one family, its nodes in
// topological order, followed by a node that joins everything without a
// successor. Its slices are reused from graph to graph.
type cell struct {
	class     []int // of each node; the join has sinkClass
	source    []int // number of the source, -1 for other nodes
	predStart []int // [nodes+1], into pred
	pred      []int
	out       []int // successors of each node, the join not counted for sinks

	node, component, owner []int
	into                   [][]int
}

// last returns the number of the joining node.
func (c *cell) last() int { return len(c.class) - 1 }

// preds returns the predecessors of node t.
func (c *cell) preds(t int) []int { return c.pred[c.predStart[t]:c.predStart[t+1]] }

// read makes c the part of the graph that belongs to family f of v. A
// component of terminals alone belongs to the first family.
func (c *cell) read(v *vocabulary, f int, ops []schemas.Symbol, edges []int32) {
	c.component = components(c.component[:0], len(ops), edges)
	c.owner = append(c.owner[:0], make([]int, len(ops))...)
	for t, op := range ops {
		if w := v.of[op]; w.family >= 0 {
			c.owner[c.component[t]] = w.family
		}
	}
	c.class, c.source, c.out, c.node = c.class[:0], c.source[:0], c.out[:0], c.node[:0]
	for t, op := range ops {
		if c.owner[c.component[t]] != f {
			c.node = append(c.node, -1)
			continue
		}
		w := v.of[op]
		c.node = append(c.node, len(c.class))
		c.class = append(c.class, w.class)
		c.out = append(c.out, 0)
		if w.class == sourceClass {
			c.source = append(c.source, w.source)
		} else {
			c.source = append(c.source, -1)
		}
	}
	join := len(c.class)
	c.class, c.source, c.out = append(c.class, sinkClass), append(c.source, -1), append(c.out, 0)
	for len(c.into) <= join {
		c.into = append(c.into, nil)
	}
	for t := range join + 1 {
		c.into[t] = c.into[t][:0]
	}
	for e := 0; e < len(edges); e += 2 {
		if from, to := c.node[edges[e]], c.node[edges[e+1]]; from >= 0 {
			c.into[to] = append(c.into[to], from)
			c.out[from]++
		}
	}
	for t := range join {
		if c.out[t] == 0 && (len(c.into[t]) > 0 || c.class[t] >= 0) {
			c.into[join] = append(c.into[join], t)
		}
	}
	c.pred, c.predStart = c.pred[:0], c.predStart[:0]
	for t := range join + 1 {
		c.predStart = append(c.predStart, len(c.pred))
		c.pred = append(c.pred, c.into[t]...)
	}
	c.predStart = append(c.predStart, len(c.pred))
}
