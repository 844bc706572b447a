package foreign

import (
	"bytes"
	"fmt"
	"regexp"

	"archflow/schemas"
)

var assigned = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]*)\s*=\s*$`)

// readGenotypes finds every Genotype(...) of a text, such as DARTS's
// genotypes.py, and calls it by the variable that it is assigned to.
func readGenotypes(file []byte, d *dropped) (out []Candidate, err error) {
	const opening = "Genotype("
	for at := 0; ; {
		i := bytes.Index(file[at:], []byte(opening))
		if i < 0 {
			break
		}
		start := at + i
		end := closing(file, start+len(opening)-1)
		if end < 0 {
			return nil, fmt.Errorf("line %d: a Genotype( without its closing bracket", line(file, start))
		}
		at = end
		g, err := schemas.ParseGenotype(file[start:end])
		if err != nil {
			d.add("line %d, which is no list of cells: %s", line(file, start), err)
			continue
		}
		c := genotype(g)
		if m := assigned.FindSubmatch(file[max(0, start-200):start]); m != nil {
			c.ID = string(m[1])
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no Genotype(normal=[...], ...) in it")
	}
	return out, nil
}

// closing returns the place behind the bracket that closes the one at open.
func closing(file []byte, open int) int {
	depth := 0
	for i := open; i < len(file); i++ {
		switch file[i] {
		case '(', '[':
			depth++
		case ')', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

func line(file []byte, at int) int { return 1 + bytes.Count(file[:at], []byte("\n")) }

// genotype returns a Genotype as one or two cells.
func genotype(g *schemas.Genotype) Candidate {
	c := Candidate{Space: "darts"}
	for i, cell := range g.Cells {
		names, flat := cell.Graph()
		var ops []Op
		for _, name := range names {
			ops = append(ops, Op{Name: name})
		}
		edges := [][2]int{}
		for e := 0; e < len(flat); e += 2 {
			edges = append(edges, [2]int{int(flat[e]), int(flat[e+1])})
		}
		if i == 0 {
			c.Ops, c.Edges = ops, edges
		} else {
			c.OpsReduce, c.EdgesReduce = ops, edges
		}
	}
	return c
}
