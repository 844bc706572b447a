package sinks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// evolved compares the metadata of the existing table with ours. It returns nil when the
// table has all of our columns and fields, and a copy of have with the missing fields of
// structs and the columns of later versions added when nothing else is missing; in older
// files they read as null. Any other difference makes it another table and is an error.
// Columns beyond ours stay.
func evolved(have, ours metaData) (*metaData, error) {
	there, err := parseSchema(have)
	if err != nil {
		return nil, err
	}
	wanted, err := parseSchema(ours)
	if err != nil {
		return nil, err
	}
	lacking := false
	for _, column := range fieldsOf(wanted) {
		found := fieldNamed(there, column["name"])
		if name, _ := column["name"].(string); found == nil && slices.Contains(laterColumns, name) {
			list, _ := there["fields"].([]any)
			there["fields"] = append(list, column)
			lacking = true
			continue
		}
		if !evolve(found["type"], column["type"], &lacking) {
			return nil, fmt.Errorf("column %s is %v and not %v; it is not one of our tables, or of another version: name another place", column["name"], found["type"], column["type"])
		}
	}
	if fmt.Sprint(have.PartitionColumns) != fmt.Sprint(ours.PartitionColumns) {
		return nil, fmt.Errorf("partitioned by %v and not %v; name another place", have.PartitionColumns, ours.PartitionColumns)
	}
	if !lacking {
		return nil, nil
	}
	schema, err := json.Marshal(there)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	have.SchemaString = string(schema)
	return &have, nil
}

// laterColumns are those that a table of an earlier version lacks.
var laterColumns = []string{attributesColumn.Name, hyperparametersColumn.Name, "unknown", "failed", "seed", "fidelity", "suspect"}

// evolve adds to a type the missing fields of its structs, notes that it did, and reports
// whether the type is then the wanted one.
func evolve(have, want any, lacking *bool) bool {
	to, ok := want.(map[string]any)
	if !ok {
		return have == want
	}
	from, ok := have.(map[string]any)
	if !ok {
		return false
	}
	for key, part := range to {
		if _, fields := part.([]any); !fields && !evolve(from[key], part, lacking) {
			return false
		}
	}
	for _, field := range fieldsOf(to) {
		found := fieldNamed(from, field["name"])
		switch {
		case found == nil:
			list, _ := from["fields"].([]any)
			from["fields"] = append(list, field)
			*lacking = true
		case !evolve(found["type"], field["type"], lacking):
			return false
		}
	}
	return true
}

// parseSchema returns the table's columns as the fields of a struct. They stay plain
// JSON, because additions of other programs must come back whole.
func parseSchema(m metaData) (map[string]any, error) {
	var schema map[string]any
	decoder := json.NewDecoder(strings.NewReader(m.SchemaString))
	decoder.UseNumber()
	if err := decoder.Decode(&schema); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return schema, nil
}

// fieldsOf returns the fields of a struct in order.
func fieldsOf(structure map[string]any) (fields []map[string]any) {
	list, _ := structure["fields"].([]any)
	for _, f := range list {
		if field, ok := f.(map[string]any); ok {
			fields = append(fields, field)
		}
	}
	return fields
}

// fieldNamed returns the field of that name, nil when there is none.
func fieldNamed(structure map[string]any, name any) map[string]any {
	for _, f := range fieldsOf(structure) {
		if f["name"] == name {
			return f
		}
	}
	return nil
}
