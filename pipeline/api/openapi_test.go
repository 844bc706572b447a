package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"archflow/pipeline/decisions"
)

// document returns the OpenAPI document as it is served, and a compiler of the
// schemas in it.
func document(t *testing.T, s *Server) (parsed map[string]any, schema func(pointer ...string) *jsonschema.Schema) {
	t.Helper()
	status, body := get(t, s, "/api/openapi.json")
	if status != http.StatusOK {
		t.Fatal(status, body)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:document", value); err != nil {
		t.Fatal(err)
	}
	parsed = value.(map[string]any)
	return parsed, func(pointer ...string) *jsonschema.Schema {
		t.Helper()
		escaped := make([]string, len(pointer))
		for i, p := range pointer {
			escaped[i] = url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
		}
		schema, err := c.Compile("urn:document#/" + strings.Join(escaped, "/"))
		if err != nil {
			t.Fatal(err)
		}
		return schema
	}
}

type fakeHistory struct{}

func (fakeHistory) Wait(context.Context, []string, map[int32]int64) error { return nil }

func (fakeHistory) Newest(string) []decisions.Decision {
	return []decisions.Decision{{Space: "dag", Task: "acc", Decision: decisions.Waiting, Why: "few labels", Learnt: map[string]int64{"archflow.labels/0": 3}}}
}

type fakePublisher struct{}

func (fakePublisher) Publish(_ context.Context, _ Topic, _ string, m []Message) (Published, error) {
	return Published{Messages: len(m), Through: map[string]int64{"archflow.labels/0": 7}}, nil
}

// TestOpenAPI compares the document with the handlers: every path is in both; requests
// and answers, good and bad, follow its schemas; requests that are refused for their
// form violate them.
func TestOpenAPI(t *testing.T) {
	o := options()
	o.Topics, o.Networks, o.History, o.Publisher = fakeTopics{Candidates: {chain(1, `"id":1,`), chain(2, "")}, Labels: {chain(1, `"task":"acc","value":1,`), chain(1, `"task":"loss","value":1,"goal":"min",`)}}, 100, fakeHistory{}, fakePublisher{}
	s := New(o)
	parsed, schema := document(t, s)
	var described, served []string
	for path, item := range parsed["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	for _, r := range s.routes {
		served = append(served, r.method+" "+r.path)
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described %q, served %q", described, served)
	}
	errors := schema("components", "schemas", "Error")
	for _, c := range []struct {
		target, body string // GET without a body
		kind         string
		status       int
		allowed      bool // by the schema of the request
	}{
		{"/api/predict", candidate(1), typeJSON, 200, true},
		{"/api/predict?learnt=0:3&wait=1s", "[" + candidate(1) + `,{"space":"dag","ops":["a"],"edges":[[0,1]]}]`, typeJSON, 200, true},
		{"/api/predict", `{"space":"dag"}`, typeJSON, 400, false},
		{"/api/predict", `7`, typeJSON, 400, false},
		{"/api/candidates", candidate(1), typeJSON, 200, true},
		{"/api/candidates", "[" + candidate(1) + `,{"space":"dag","ops":["a"],"edges":[[0,1]]}]`, typeJSON, 200, true},
		{"/api/candidates", `{"ops":[]}`, typeJSON, 400, false},
		{"/api/labels", `{"space":"dag","id":3,"task":"acc","value":null}`, typeJSON, 200, true},
		{"/api/labels", `{"space":"dag","id":3,"task":"acc"}`, typeJSON, 400, false},
		{"/api/labels", `[{"space":"dag","id":3,"task":"acc","failed":true}]`, typeJSON, 200, true},
		{"/api/ask", `{"space":"dag","task":"acc","n":2,"constraints":{"acc":{"max":3}},"seed":4}`, typeJSON, 200, true},
		{"/api/ask", `{"space":"dag","tasks":["acc","loss"],"strategy":"thompson"}`, typeJSON, 200, true},
		{"/api/ask", `{"space":"dag","task":"acc","n":3,"from":"new"}`, typeJSON, 200, true},
		{"/api/ask", `{"space":"dag","task":"acc","from":"thin air"}`, typeJSON, 400, false},
		{"/api/ask", `{"space":"dag","task":"acc","n":-1}`, typeJSON, 400, false},
		{"/api/ask", `{"space":"dag","task":"acc","strategy":"luck"}`, typeJSON, 400, false},
		{"/api/ask", `{"space":"dag","task":"acc","more":1}`, typeJSON, 400, false},
		{"/api/ask", `{"space":"dag"}`, typeJSON, 400, false},
		{"/api/ask", `{"task":"acc"}`, typeJSON, 400, false},
		{"/api/best?space=dag&task=acc", "", "", 200, true},
		{"/api/best?task=acc", "", "", 400, true},
		{"/api/front?space=dag&tasks=acc,loss", "", "", 200, true},
		{"/api/board?space=dag&with=loss&id=1", "", "", 200, true},
		{"/api/models?space=dag", "", "", 200, true},
		{"/api/openapi.json", "", "", 200, true},
	} {
		path, _, _ := strings.Cut(c.target, "?")
		method, status, body := "post", 0, ""
		if c.kind == "" {
			method = "get"
			status, body = get(t, s, c.target)
		} else {
			status, _, body = post(t, s, c.target, c.kind, c.body)
			of := schema("paths", path, method, "requestBody", "content", c.kind, "schema")
			if err := of.Validate(value(t, c.body)); (err == nil) != c.allowed {
				t.Errorf("%s with %s: the document says %v", c.target, c.body, err)
			}
		}
		of := errors
		if c.status == http.StatusOK {
			of = schema("paths", path, method, "responses", "200", "content", typeJSON, "schema")
		}
		if status != c.status {
			t.Errorf("%s with %s: %d %s", c.target, c.body, status, body)
		} else if err := of.Validate(value(t, body)); err != nil {
			t.Errorf("%s with %s: %s is not as described: %v", c.target, c.body, body, err)
		}
	}
	for _, strategy := range Strategies {
		if !bytes.Contains(openAPITemplate, []byte(`"`+strategy+`"`)) {
			t.Errorf("strategy %s is not described", strategy)
		}
	}
}

func value(t *testing.T, text string) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(text, err)
	}
	return v
}

// TestDecisionsAreListed: the newest first, and none is an empty list.
func TestDecisionsAreListed(t *testing.T) {
	o := options()
	o.History = fakeHistory{}
	var list []decisions.Decision
	if status, body := get(t, New(o), "/api/models"); status != http.StatusOK || json.Unmarshal([]byte(body), &list) != nil || len(list) != 1 || list[0].Learnt["archflow.labels/0"] != 3 {
		t.Errorf("%d %s", status, body)
	}
	if status, body := get(t, New(Options{}), "/api/models"); status != http.StatusNotImplemented {
		t.Errorf("%d %s", status, body)
	}
	o.History = decisions.NewHistory()
	if status, body := get(t, New(o), "/api/models?space=x"); status != http.StatusOK || body != "[]\n" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := post(t, New(o), "/api/predict?learnt=5&wait=1ms", typeJSON, candidate(1)); status != http.StatusGatewayTimeout || !strings.Contains(body, ClassTimeout) {
		t.Errorf("labels that nobody considers: %d %s", status, body)
	}
}
