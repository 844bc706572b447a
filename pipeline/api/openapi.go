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
		if name == "prediction" {
			schema["required"] = slices.DeleteFunc(schema["required"].([]any), func(field any) bool { return field == "source" })
		}
		components[strings.ToUpper(name[:1])+name[1:]] = schema
	}
	return json.MarshalIndent(document, "", "  ")
})

// serveOpenAPI answers with the description of everything that this package
// answers.
func serveOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	document, err := openAPI()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeJSON)
	_, _ = w.Write(document) // the client may have gone; there is nobody to tell
	return nil
}
