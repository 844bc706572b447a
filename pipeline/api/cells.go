package api

import (
	"strings"

	"archflow/ops"
	"archflow/schemas"
)

// Cells draws a graph as its cells: the nodes with and without the prefix of
// the second cell.
func Cells(g *schemas.Graphs, i int) []ops.Cell {
	symbols, edges := g.Graph(i)
	out := [2]ops.Cell{{Edges: [][2]int{}}, {Edges: [][2]int{}}} // a list in JSON also where it is empty
	place := make([][2]int, len(symbols))
	for n, op := range symbols {
		name, second := strings.CutPrefix(g.Name(i, op), "reduce:")
		cell := 0
		if second {
			cell = 1
		}
		place[n] = [2]int{cell, len(out[cell].Ops)}
		out[cell].Ops = append(out[cell].Ops, name)
	}
	for e := 0; e+1 < len(edges); e += 2 {
		from, to := place[edges[e]], place[edges[e+1]]
		if from[0] == to[0] {
			out[from[0]].Edges = append(out[from[0]].Edges, [2]int{from[1], to[1]})
		}
	}
	note(&out, place, g.At(i))
	if len(out[1].Ops) == 0 {
		return out[:1]
	}
	return out[:]
}

// note writes the attributes of operations beside them, and hyperparameters
// beside the first.
func note(out *[2]ops.Cell, place [][2]int, g schemas.Graph) {
	for _, a := range g.Attributes {
		at := place[max(int(a.Node), 0)]
		cell := &out[at[0]]
		if cell.Notes == nil {
			cell.Notes = make([]string, len(cell.Ops))
		}
		if cell.Notes[at[1]] != "" {
			cell.Notes[at[1]] += ", "
		}
		cell.Notes[at[1]] += g.Name(a.Name) + " " + string(g.AppendValue(nil, &a))
	}
}
