package schemas

import (
	"embed"
	"fmt"
)

//go:embed json/*.schema.json
var jsonSchemas embed.FS

// JSONSchema returns the JSON Schema (draft 2020-12) of "candidate", "label",
// "prediction" or "decision". That of a label refers to the candidate's by its $id. A
// schema cannot express the rules of graphs: a valid message may still be refused for a
// cycle or a rule of its space.
func JSONSchema(name string) ([]byte, error) {
	text, err := jsonSchemas.ReadFile("json/" + name + ".schema.json")
	if err != nil {
		return nil, fmt.Errorf("no JSON Schema %q: there are candidate, label, prediction and decision", name)
	}
	return text, nil
}
