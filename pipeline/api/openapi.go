package api

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"archflow/schemas"
)

//go:embed openapi.json
var openAPITemplate []byte

// openAPI is the OpenAPI document: the template with the schemas of the messages,
// which are those of the topics, but for a prediction's source.
var openAPI = sync.OnceValues(func() ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(openAPITemplate, &document); err != nil {
		return nil, err
	}
	components := document["components"].(map[string]any)["schemas"].(map[string]any)
	for _, name := range []string{"candidate", "label", "prediction", "decision"} {
		text, err := schemas.JSONSchema(name)
		if err != nil {
			return nil, err
		}
		var schema map[string]any
		if err := json.Unmarshal(text, &schema); err != nil {
			return nil, err
		}
		delete(schema, "$schema") // OpenAPI 3.1 has this one by itself
		delete(schema, "$id")
		inDocument(schema, component(name))
		if name == "prediction" {
			schema["required"] = slices.DeleteFunc(schema["required"].([]any), func(field any) bool { return field == "source" })
		}
		components[component(name)] = schema
	}
	return json.MarshalIndent(document, "", "  ")
})

// component is the name of a message's schema in the document.
func component(message string) string { return strings.ToUpper(message[:1]) + message[1:] }

// inDocument makes the references of a schema, to itself and to the schemas of
// other messages, ones within the document: not every reader knows identifiers.
func inDocument(value any, own string) {
	switch v := value.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			of, pointer, _ := strings.Cut(ref, "#")
			name := own
			if message, other := strings.CutPrefix(of, "urn:archflow:"); other {
				name = component(message)
			}
			v["$ref"] = "#/components/schemas/" + name + pointer
		}
		for _, inner := range v {
			inDocument(inner, own)
		}
	case []any:
		for _, inner := range v {
			inDocument(inner, own)
		}
	}
}

// serveOpenAPI answers with the description of everything that this package
// answers.
func serveOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	document, err := openAPI()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeJSON)
	_, _ = w.Write(document) // the client may have gone: nobody could get an error
	return nil
}
