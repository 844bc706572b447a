package mutation

import (
	"encoding/json"
	"slices"

	"archflow/schemas"
)

// Draft is a candidate message in the parts that mutations change. Changes leave
// the parts of an old draft untouched.
type Draft struct {
	Space       string         `json:"space"`
	ID          string         `json:"id,omitempty"`
	Ops         []any          `json:"ops,omitempty"` // names, or objects with attributes
	Edges       [][2]int       `json:"edges,omitempty"`
	EdgeOps     []any          `json:"edge_ops,omitempty"` // one for each edge, or none
	OpsReduce   []any          `json:"ops_reduce,omitempty"`
	EdgesReduce [][2]int       `json:"edges_reduce,omitempty"`
	Hyper       map[string]any `json:"hyperparameters,omitempty"`
}

// Draft returns the parts of a candidate, in the form in which it was published
// where that is one of a draft's, else as its graph; ok is false where neither
// describes it.
func (g *Generator) Draft(message []byte) (d Draft, ok bool) {
	d, _, ok = g.draft(message)
	return d, ok
}

func (g *Generator) draft(message []byte) (d Draft, rows *schemas.Candidates, ok bool) {
	rows = &schemas.Candidates{}
	if g.decoder.Candidate(rows, message) != nil {
		return d, nil, false
	}
	if d, ok = asPublished(message); ok && g.describes(&d, rows) {
		return d, rows, true
	}
	d = Draft{Space: rows.NameOf(0, rows.Space[0])}
	graph := rows.Graphs.At(0)
	fields := append(schemas.AppendArchitecture([]byte{'{'}, &graph), '}')
	return d, rows, json.Unmarshal(fields, &d) == nil && g.describes(&d, rows)
}

// asPublished reads the members of a message that a draft has; the operation of an
// edge may be its third element.
func asPublished(message []byte) (d Draft, ok bool) {
	var edges struct{ Edges [][]any }
	if json.Unmarshal(message, &d) != nil || json.Unmarshal(message, &edges) != nil || len(d.Ops)+len(d.EdgeOps)+len(d.Hyper) == 0 && len(edges.Edges) == 0 {
		return d, false
	}
	d.ID = ""
	for _, edge := range edges.Edges {
		if len(edge) == 3 {
			d.EdgeOps = append(d.EdgeOps, edge[2])
		}
	}
	return d, len(d.EdgeOps) == 0 || len(d.EdgeOps) == len(d.Edges)
}

// describes says whether a draft is the architecture of a row.
func (g *Generator) describes(d *Draft, rows *schemas.Candidates) bool {
	text, err := json.Marshal(d)
	if err != nil {
		return false
	}
	var own schemas.Candidates
	return g.decoder.Candidate(&own, text) == nil && own.Architecture[0] == rows.Architecture[0]
}

// lists returns the operations of a draft that may be exchanged for one another.
func (d *Draft) lists() (lists []*[]any) {
	for _, list := range []*[]any{&d.Ops, &d.OpsReduce, &d.EdgeOps} {
		if len(*list) > 0 {
			lists = append(lists, list)
		}
	}
	return lists
}

// replace puts a value into a copy of a list.
func replace(list *[]any, at int, value any) {
	*list = slices.Clone(*list)
	(*list)[at] = value
}

// Features lists what a draft consists of, for comparing two of one space: the
// operations, where they stand and with which attributes, edges, hyperparameters.
func (d *Draft) Features() (list []string) {
	at := func(name string, ops []any) {
		for i, op := range ops {
			place := name + text(i) + "/" + text(len(ops)) + " "
			list = append(list, place+opName(op))
			if !isEnd(op) {
				list = append(list, name+opName(op))
			}
			if attributes, ok := op.(map[string]any); ok {
				for _, attribute := range sortedNames(attributes) {
					if attribute != "op" {
						list = append(list, place+attribute+"="+text(attributes[attribute]))
					}
				}
			}
		}
	}
	at("op ", d.Ops)
	at("reduce ", d.OpsReduce)
	at("edge ", d.EdgeOps)
	for _, e := range d.Edges {
		list = append(list, text(e)+"/"+text(len(d.Ops)))
	}
	for _, e := range d.EdgesReduce {
		list = append(list, "reduce "+text(e))
	}
	for _, name := range sortedNames(d.Hyper) {
		list = append(list, name+"="+text(d.Hyper[name]))
	}
	return list
}
