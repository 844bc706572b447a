package micro

import (
	"math/rand/v2"
	"slices"
	"strconv"
)

// Space is the name of this search space in messages.
const Space = "micro"

// MinOperations and MaxOperations bound the operation nodes of a cell.
const (
	MinOperations = 4
	MaxOperations = 6
)

// Operations are those of a node, in the order of their digits in the notation.
var Operations = []string{"linear", "relu", "tanh", "square", "skip"}

const (
	opLinear = iota
	opReLU
	opTanh
	opSquare
	opSkip
)

// edgeProbability is the chance of each edge when a cell is drawn.
const edgeProbability = 0.4

// Architecture is a cell. Node 0 is "input", the last node "output", every edge
// leads to a higher number, and every operation lies on a path from input to
// output.
type Architecture struct {
	Ops   []string // [nodes]
	Edges [][2]int // from, to; ordered
	Arch  string   // "nodes|upper triangle of the adjacency, row by row|digits of the operations"
}

// cell is an architecture as the computations see it.
type cell struct {
	ops   []int    // [nodes], -1 for input and output
	edges [][]bool // [nodes][nodes], above the diagonal
}

// Sample draws an architecture: 4 to 6 operations with equal chance, each
// operation uniform, each edge with probability 0.4, until all nodes are
// connected. It comes numbered in canonical order.
func Sample(rng *rand.Rand) Architecture {
	n := MinOperations + rng.IntN(MaxOperations-MinOperations+1) + 2
	c := newCell(n)
	for i := 1; i < n-1; i++ {
		c.ops[i] = rng.IntN(len(Operations))
	}
	for {
		for i := range n {
			for j := i + 1; j < n; j++ {
				c.edges[i][j] = rng.Float64() < edgeProbability
			}
		}
		if c.connected() {
			return c.canonical().architecture()
		}
	}
}

// Mutate returns a neighbour of a: one operation or one edge changed, all nodes
// still connected. It comes numbered in canonical order and differs from a.
func Mutate(a Architecture, rng *rand.Rand) Architecture {
	old := a.cell()
	before := old.canonical().notation()
	n := len(old.ops)
	for {
		c := old.clone()
		if rng.IntN(2) == 0 {
			c.ops[1+rng.IntN(n-2)] = rng.IntN(len(Operations))
		} else {
			i, j := rng.IntN(n), rng.IntN(n)
			if i == j {
				continue
			}
			i, j = min(i, j), max(i, j)
			c.edges[i][j] = !c.edges[i][j]
		}
		if !c.connected() {
			continue
		}
		if c = c.canonical(); c.notation() != before {
			return c.architecture()
		}
	}
}

func newCell(n int) cell {
	c := cell{ops: make([]int, n), edges: make([][]bool, n)}
	for i := range c.edges {
		c.edges[i] = make([]bool, n)
	}
	c.ops[0], c.ops[n-1] = -1, -1
	return c
}

func (c cell) clone() cell {
	d := newCell(len(c.ops))
	copy(d.ops, c.ops)
	for i := range c.edges {
		copy(d.edges[i], c.edges[i])
	}
	return d
}

// cell reads the lists of a, which must be a cell of this space.
func (a Architecture) cell() cell {
	c := newCell(len(a.Ops))
	for i := 1; i < len(a.Ops)-1; i++ {
		c.ops[i] = slices.Index(Operations, a.Ops[i])
	}
	for _, e := range a.Edges {
		c.edges[e[0]][e[1]] = true
	}
	return c
}

func (c cell) architecture() Architecture {
	n := len(c.ops)
	a := Architecture{Ops: make([]string, n), Arch: c.notation()}
	for i, op := range c.ops {
		switch i {
		case 0:
			a.Ops[i] = "input"
		case n - 1:
			a.Ops[i] = "output"
		default:
			a.Ops[i] = Operations[op]
		}
		for j := i + 1; j < n; j++ {
			if c.edges[i][j] {
				a.Edges = append(a.Edges, [2]int{i, j})
			}
		}
	}
	return a
}

func (c cell) notation() string {
	n := len(c.ops)
	text := make([]byte, 0, 4+n*n/2+n)
	text = strconv.AppendInt(text, int64(n), 10)
	text = append(text, '|')
	for i := range n {
		for j := i + 1; j < n; j++ {
			bit := byte('0')
			if c.edges[i][j] {
				bit = '1'
			}
			text = append(text, bit)
		}
	}
	text = append(text, '|')
	for i := 1; i < n-1; i++ {
		text = append(text, '0'+byte(c.ops[i]))
	}
	return string(text)
}

// connected says whether every operation is reached from the input and reaches
// the output. Edges lead forward, so one edge in and one out are enough.
func (c cell) connected() bool {
	n := len(c.ops)
	for v := 1; v < n-1; v++ {
		in, out := false, false
		for u := range n {
			in = in || c.edges[u][v]
			out = out || c.edges[v][u]
		}
		if !in || !out {
			return false
		}
	}
	return true
}

// canonical returns the numbering of c with the least notation, so that two
// cells are the same graph exactly when their canonical notations are equal. It
// tries all topological orders, at most 6! of them.
func (c cell) canonical() cell {
	n := len(c.ops)
	order := make([]int, 1, n)
	used := make([]bool, n)
	var best []int
	var visit func()
	visit = func() {
		if len(order) == n-1 {
			order = append(order, n-1)
			if best == nil || c.less(order, best) {
				best = slices.Clone(order)
			}
			order = order[:n-1]
			return
		}
		for v := 1; v < n-1; v++ {
			ready := !used[v]
			for u := 1; u < v && ready; u++ {
				ready = used[u] || !c.edges[u][v]
			}
			if !ready {
				continue
			}
			used[v], order = true, append(order, v)
			visit()
			used[v], order = false, order[:len(order)-1]
		}
	}
	visit()
	d := newCell(n)
	for i, u := range best {
		d.ops[i] = c.ops[u]
		for j := i + 1; j < n; j++ {
			d.edges[i][j] = c.edges[u][best[j]]
		}
	}
	return d
}

// less compares the notations of c under two orders of its nodes.
func (c cell) less(a, b []int) bool {
	for i := range a {
		for j := i + 1; j < len(a); j++ {
			if x, y := c.edges[a[i]][a[j]], c.edges[b[i]][b[j]]; x != y {
				return y
			}
		}
	}
	for i := range a {
		if x, y := c.ops[a[i]], c.ops[b[i]]; x != y {
			return x < y
		}
	}
	return false
}
