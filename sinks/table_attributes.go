package sinks

import (
	"strconv"

	"archflow/schemas"
)

// attributeValue is the value of an attribute: a number, or a text. A boolean
// is both: 1 and "true", 0 and "false".
type attributeValue struct {
	Number *float64 `parquet:"number,optional"`
	Text   *string  `parquet:"text,optional"`
}

// nodeAttribute is an attribute of the operation of one node, which ops lists
// from 0.
type nodeAttribute struct {
	Node   *int32   `parquet:"node,optional"`
	Name   *string  `parquet:"name,optional"`
	Number *float64 `parquet:"number,optional"`
	Text   *string  `parquet:"text,optional"`
}

var (
	attributesColumn      = col("attributes", listColumn(structColumn(col("node", "integer"), col("name", "string"), col("number", "double"), col("text", "string"))))
	hyperparametersColumn = col("hyperparameters", mapColumn(structColumn(col("number", "double"), col("text", "string"))))
)

// attributesOf returns the attributes of nodes and the hyperparameters of graph
// i, nil without.
func attributesOf(g *schemas.Graphs, i int) (nodes []nodeAttribute, whole []entry[attributeValue]) {
	all := g.AttributesOf(i)
	for k := range all {
		a := &all[k]
		name, value := g.Name(i, a.Name), attributeValue{Number: &a.Number}
		switch a.Kind {
		case schemas.TextKind:
			text := g.Name(i, a.Text)
			value = attributeValue{Text: &text}
		case schemas.BooleanKind:
			text := strconv.FormatBool(a.Number != 0)
			value.Text = &text
		}
		if a.Node == schemas.WholeGraph {
			whole = append(whole, entry[attributeValue]{name, value})
		} else {
			nodes = append(nodes, nodeAttribute{&a.Node, &name, value.Number, value.Text})
		}
	}
	return nodes, whole
}
