package api

import (
	"maps"
	"slices"
	"strconv"
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
// beside the first cell.
func note(out *[2]ops.Cell, place [][2]int, g schemas.Graph) {
	for from := 0; from < len(g.Attributes); {
		to := from + 1
		for to < len(g.Attributes) && g.Attributes[to].Node == g.Attributes[from].Node {
			to++
		}
		text := noteOf(&g, g.Attributes[from:to])
		if node := g.Attributes[from].Node; node == schemas.WholeGraph {
			out[0].Hyperparameters = text
		} else {
			cell := &out[place[node][0]]
			if cell.Notes == nil {
				cell.Notes = make([]string, len(cell.Ops))
			}
			cell.Notes[place[node][1]] = text
		}
		from = to
	}
	if g.HyperparametersOnly() {
		out[0].Ops, out[0].Notes = []string{}, nil
	}
}

// noteOf writes attributes as text, elements of a list behind its name.
func noteOf(g *schemas.Graph, attributes []schemas.Attribute) string {
	type entry struct {
		name   string
		values map[int]string // by place; a value that is no list at 0
	}
	var entries []*entry
	lists := map[string]*entry{}
	for i := range attributes {
		a := &attributes[i]
		name, value := g.Name(a.Name), string(g.AppendValue(nil, a))
		list, place, ok := element(name)
		if !ok {
			entries = append(entries, &entry{name, map[int]string{0: value}})
			continue
		}
		if lists[list] == nil {
			lists[list] = &entry{list, map[int]string{}}
			entries = append(entries, lists[list])
		}
		lists[list].values[place] = value
	}
	parts := make([]string, len(entries))
	for i, e := range entries {
		parts[i] = e.name
		for _, place := range slices.Sorted(maps.Keys(e.values)) {
			parts[i] += " " + e.values[place]
		}
	}
	return strings.Join(parts, ", ")
}

// element splits the name of an element of a list, such as widths.0.
func element(name string) (list string, place int, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return "", 0, false
	}
	place, err := strconv.Atoi(name[dot+1:])
	return name[:dot], place, err == nil && place >= 0
}
