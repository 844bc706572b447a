package schemas

import (
	"errors"
	"fmt"
)

// Genotype is an architecture as DARTS prints it: cells of operations that read
// the outputs of the two cells before, 0 and 1, or of an earlier state, two
// operations a state. Liu et al. 2019.
type Genotype struct {
	Cells []GenotypeCell // normal, then reduce where there is one
}

// GenotypeCell is one cell: operation i leads to state 2+i/2.
type GenotypeCell struct {
	Name   string // "normal" or "reduce"
	Ops    []string
	From   []int // a cell input or state, less than 2+i/2
	Concat []int // the states that are the output
}

// maxGenotype bounds the operations of a cell.
const maxGenotype = 1000

// ParseGenotype reads the text of a Genotype(...), with lists, tuples or ranges.
func ParseGenotype(text []byte) (*Genotype, error) {
	p := python{src: text}
	if !p.take("Genotype") || !p.take("(") {
		return nil, errors.New(`want "Genotype(normal=[...], ...)"`)
	}
	var g Genotype
	cells := [2]GenotypeCell{{Name: "normal"}, {Name: "reduce"}}
	for first := true; p.next(first); first = false {
		known := false
		for i := range cells {
			c := &cells[i]
			switch {
			case p.take(c.Name + "_concat"):
				known = true
				if !p.take("=") || !p.concat(c) {
					return nil, fmt.Errorf("byte %d: want %s_concat=[2, 3, ...] or range(2, 6)", p.pos, c.Name)
				}
			case p.take(c.Name):
				known = true
				if !p.take("=") {
					return nil, fmt.Errorf("byte %d: want %s=[('OPERATION', FROM), ...]", p.pos, c.Name)
				}
				if err := p.operations(c); err != nil {
					return nil, err
				}
			}
		}
		if !known {
			return nil, fmt.Errorf("byte %d: want normal, normal_concat, reduce or reduce_concat", p.pos)
		}
	}
	if p.cut {
		return nil, fmt.Errorf("byte %d: want ',' or a closing bracket; the text may be cut off", p.pos)
	}
	if !p.end() {
		return nil, fmt.Errorf("byte %d: want the end", p.pos)
	}
	for _, c := range cells {
		if len(c.Ops) == 0 {
			continue
		}
		if err := c.check(); err != nil {
			return nil, err
		}
		g.Cells = append(g.Cells, c)
	}
	if len(g.Cells) == 0 || g.Cells[0].Name != "normal" {
		return nil, errors.New("there is no operation in normal")
	}
	return &g, nil
}

func (p *python) operations(c *GenotypeCell) error {
	if !p.open() {
		return fmt.Errorf("byte %d: want a list of pairs ('OPERATION', FROM)", p.pos)
	}
	for first := true; p.next(first); first = false {
		if len(c.Ops) == maxGenotype {
			return fmt.Errorf("%s has more than %d operations", c.Name, maxGenotype)
		}
		if !p.open() {
			return fmt.Errorf("byte %d: want a pair ('OPERATION', FROM)", p.pos)
		}
		op, ok := p.text()
		if !ok || !p.take(",") {
			return fmt.Errorf("byte %d: want an operation in quotes and ','", p.pos)
		}
		from, ok := p.number()
		if !ok || p.next(false) {
			return fmt.Errorf("byte %d: want a number and the end of the pair", p.pos)
		}
		c.Ops, c.From = append(c.Ops, string(op)), append(c.From, from)
	}
	return nil
}

func (p *python) concat(c *GenotypeCell) bool {
	if p.take("range") {
		if !p.take("(") {
			return false
		}
		from, ok := p.number()
		if !ok || !p.take(",") {
			return false
		}
		to, ok := p.number()
		if !ok || !p.take(")") || to-from > maxGenotype {
			return false
		}
		for v := from; v < to; v++ {
			c.Concat = append(c.Concat, v)
		}
		return true
	}
	if !p.open() {
		return false
	}
	for first := true; p.next(first); first = false {
		v, ok := p.number()
		if !ok || len(c.Concat) == maxGenotype {
			return false
		}
		c.Concat = append(c.Concat, v)
	}
	return true
}

func (c *GenotypeCell) check() error {
	if len(c.Ops)%2 != 0 {
		return fmt.Errorf("%s has %d operations; each state is the sum of two", c.Name, len(c.Ops))
	}
	for i, from := range c.From {
		if from >= 2+i/2 {
			return fmt.Errorf("operation %d of %s reads from %d; it can read from 0 to %d", i, c.Name, from, 1+i/2)
		}
	}
	for _, v := range c.Concat {
		if v >= 2+len(c.Ops)/2 {
			return fmt.Errorf("%s_concat names state %d; there are 0 to %d", c.Name, v, 1+len(c.Ops)/2)
		}
	}
	return nil
}

// Graph returns the cell as operations on nodes and flattened edges: the two
// inputs, the operations, the output.
func (c *GenotypeCell) Graph() (ops []string, edges []int32) {
	ops = append(append([]string{"c_k-2", "c_k-1"}, c.Ops...), "output")
	last := int32(len(ops) - 1)
	to := func(from int, node int32) {
		if from < 2 {
			edges = append(edges, int32(from), node)
			return
		}
		first := int32(2*from - 2) // a state is the sum of its two operations
		edges = append(edges, first, node, first+1, node)
	}
	for i, from := range c.From {
		to(from, int32(2+i))
	}
	concat := c.Concat
	if len(concat) == 0 {
		for v := range len(c.Ops) / 2 {
			concat = append(concat, 2+v)
		}
	}
	for _, v := range concat {
		to(v, last)
	}
	return ops, edges
}
