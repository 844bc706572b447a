package foreign

import (
	"encoding/json"
	"fmt"
	"slices"
)

// readNodeLink reads what networkx's node_link_data gives: nodes with an
// operation and attributes, and links between their ids, which may have
// operations too.
func readNodeLink(members map[string]json.RawMessage, d *dropped) (c Candidate, err error) {
	var nodes, links []map[string]any
	if err := json.Unmarshal(members["nodes"], &nodes); err != nil {
		return c, fmt.Errorf("nodes: %w", err)
	}
	at := "links"
	if members[at] == nil {
		at = "edges"
	}
	if err := json.Unmarshal(members[at], &links); err != nil {
		return c, fmt.Errorf("%s: %w", at, err)
	}
	c = Candidate{Space: "dag", Edges: [][2]int{}}
	for _, name := range sortedKeys(members) {
		switch name {
		case "nodes", at, "directed", "multigraph":
		case "space":
			if err := json.Unmarshal(members[name], &c.Space); err != nil {
				return c, fmt.Errorf("space: %w", err)
			}
		case "id":
			c.ID = members[name]
		default:
			if value := string(members[name]); value != "{}" && value != "null" {
				d.add("member %q of the graph", name)
			}
		}
	}
	if string(members["directed"]) == "false" {
		d.add("that the graph is not directed: links lead from source to target")
	}
	number := map[string]int{}
	for i, node := range nodes {
		id := i
		key := fmt.Sprint(node["id"])
		if node["id"] == nil {
			key = fmt.Sprint(id)
		}
		if _, twice := number[key]; twice {
			return c, fmt.Errorf("two nodes have the id %s", key)
		}
		number[key] = i
		op, ok := operation(node, d)
		if !ok {
			return c, fmt.Errorf("node %s has no operation: give it as one of %v", key, operationNames)
		}
		c.Ops = append(c.Ops, op)
	}
	for i, link := range links {
		from, known := number[fmt.Sprint(link["source"])]
		to, also := number[fmt.Sprint(link["target"])]
		if !known || !also {
			return c, fmt.Errorf("link %d leads from %v to %v, of which one is no node", i, link["source"], link["target"])
		}
		delete(link, "source")
		delete(link, "target")
		delete(link, "key")
		if op, ok := operation(link, d); ok {
			c.Edges = append(c.Edges, [2]int{from, len(c.Ops)}, [2]int{len(c.Ops), to})
			c.Ops = append(c.Ops, op)
			continue
		}
		for _, name := range sortedKeys(link) {
			d.add("%q of links", name)
		}
		c.Edges = append(c.Edges, [2]int{from, to})
	}
	return c, nil
}

// operationNames are the members that may name the operation of a node.
var operationNames = []string{"op", "op_name", "operation", "op_type", "type", "label"}

// operation takes the operation and the attributes from a node or a link.
func operation(node map[string]any, d *dropped) (Op, bool) {
	for _, name := range operationNames {
		op, ok := node[name].(string)
		if !ok {
			continue
		}
		attributes := map[string]any{}
		for _, other := range sortedKeys(node) {
			if other == name || other == "id" {
				continue
			}
			if other == "op" {
				d.add("%q of nodes beside %q", other, name)
				continue
			}
			if !addValue(attributes, other, node[other]) {
				d.add("%q of nodes, which is neither a number, a boolean, a string nor a short list of these", other)
			}
		}
		return Op{op, attributes}, true
	}
	return Op{}, false
}

// addValue adds an attribute, a list element by element.
func addValue(attributes map[string]any, name string, value any) bool {
	const most = 16
	switch v := value.(type) {
	case nil:
		return true
	case float64, bool:
		attributes[name] = v
		return true
	case string:
		if len(v) > 256 {
			return false
		}
		attributes[name] = v
		return true
	case []any:
		if len(v) > most || slices.ContainsFunc(v, func(x any) bool {
			switch x.(type) {
			case float64, bool, string:
				return false
			}
			return true
		}) {
			return false
		}
		for i, x := range v {
			attributes[fmt.Sprintf("%s.%d", name, i)] = x
		}
		return true
	}
	return false
}
