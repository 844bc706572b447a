package schemas

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestExamplesInTheDocumentation validates every example of a message in the
// documentation: a fenced block that begins with "json" and the message's name.
func TestExamplesInTheDocumentation(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	for _, name := range []string{"candidate", "label", "prediction"} {
		text, err := JSONSchema(name)
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource("urn:archflow:"+name, document); err != nil {
			t.Fatal(err)
		}
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, page := range append(pages, "../README.md") {
		for _, example := range documentedIn(t, page) {
			seen[example.kind]++
			schema, err := compiler.Compile("urn:archflow:" + example.kind)
			if err != nil {
				t.Fatalf("%s:%d: %v", page, example.line, err)
			}
			var value any
			if err := json.Unmarshal([]byte(example.text), &value); err != nil {
				t.Errorf("%s:%d: %v", page, example.line, err)
				continue
			}
			if err := schema.Validate(value); err != nil {
				t.Errorf("%s:%d: %v", page, example.line, err)
			}
			decodes(t, page, example)
		}
	}
	for _, kind := range []string{"candidate", "label", "prediction"} {
		if seen[kind] == 0 {
			t.Errorf("the documentation has no example of a %s", kind)
		}
	}
}

// decodes checks that the pipeline takes the examples of the documentation.
func decodes(t *testing.T, page string, e documented) {
	t.Helper()
	d := NewDecoder(Limits{})
	switch e.kind {
	case "candidate":
		var row Candidates
		if refused := d.Candidate(&row, []byte(e.text)); refused != nil {
			t.Errorf("%s:%d: %s", page, e.line, refused.Reason)
		}
	case "label":
		if _, refused := d.Label([]byte(e.text)); refused != nil {
			t.Errorf("%s:%d: %s", page, e.line, refused.Reason)
		}
	case "prediction":
		if _, err := ParsePrediction([]byte(e.text)); err != nil {
			t.Errorf("%s:%d: %v", page, e.line, err)
		}
	}
}

type documented struct {
	kind, text string
	line       int
}

func documentedIn(t *testing.T, page string) []documented {
	t.Helper()
	file, err := os.Open(page)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []documented
	var kind string
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch rest, fence := strings.CutPrefix(line, "```"); {
		case fence:
			kind, _ = strings.CutPrefix(rest, "json ")
			if kind == rest {
				kind = ""
			}
		case kind != "" && line != "":
			all = append(all, documented{kind, line, n})
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
