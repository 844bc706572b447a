package mutation

import (
	"math/rand/v2"
	"slices"
)

// A cell of nb301 is two inputs, four pairs of operations and the output. An operation
// reads an input or both members of an earlier pair, and those of a pair do not read the
// same.

const (
	cellInputs = 2
	cellNodes  = cellInputs + 2*4 + 1
)

// cell is the operations and edges of one of the cells of a draft.
type cell struct {
	ops   []any
	edges *[][2]int
}

// readsOf returns what each operation of a cell reads: an input by its place, or a pair by its
// first member; ok is false for other graphs.
func (c cell) readsOf() (reads []int, ok bool) {
	if len(c.ops) != cellNodes {
		return nil, false
	}
	reads = make([]int, cellNodes-1)
	for place := cellInputs; place < cellNodes-1; place++ {
		var from []int
		for _, e := range *c.edges {
			if e[1] == place {
				from = append(from, e[0])
			}
		}
		slices.Sort(from)
		single := len(from) == 1 && from[0] < cellInputs
		pair := len(from) == 2 && from[0] >= cellInputs && from[0]%2 == 0 && from[1] == from[0]+1
		if !single && !pair {
			return nil, false
		}
		reads[place] = from[0]
	}
	return reads, true
}

// changeRead lets one operation of a cell of nb301 read something else.
func (d *Draft) changeRead(random *rand.Rand) {
	c := cell{d.Ops, &d.Edges}
	if random.IntN(2) == 0 && len(d.OpsReduce) > 0 {
		c = cell{d.OpsReduce, &d.EdgesReduce}
	}
	reads, ok := c.readsOf()
	if !ok {
		return
	}
	place := cellInputs + random.IntN(cellNodes-1-cellInputs)
	var choices []int // inputs and first members of earlier pairs
	for from := range place - place%2 {
		if (from < cellInputs || from%2 == 0) && from != reads[place] && from != reads[place^1] {
			choices = append(choices, from)
		}
	}
	if len(choices) == 0 {
		return // the first pair reads both inputs
	}
	from := choices[random.IntN(len(choices))]
	edges := slices.DeleteFunc(slices.Clone(*c.edges), func(e [2]int) bool { return e[1] == place })
	edges = append(edges, [2]int{from, place})
	if from >= cellInputs {
		edges = append(edges, [2]int{from + 1, place})
	}
	*c.edges = edges
}
