package schemas

import (
	"strings"
	"testing"
)

func labelExamples() []example {
	l := func(fields string) string { return `{"space":"dag","task":"t","value":1,` + fields + `}` }
	return []example{
		{name: "by id", value: l(`"id":7`)},
		{name: "by architecture", value: l(`"architecture":"c53e1808547dd92a4cba55c9f2a965e4"`)},
		{name: "by arch", value: `{"space":"nb201","task":"t","value":93.1,` + nb201Arch + `}`},
		{name: "by graph", value: l(chain)},
		{name: "withdrawn", value: `{"space":"dag","task":"t","value":null,"id":"a"}`},
		{name: "goal", value: l(`"id":1,"goal":"min"`)},
		{name: "proxies are ignored", value: l(`"id":1,"proxies":[NaN],"meta":NaN`), onlyDecoder: true},
		{name: "agreeing", value: l(`"architecture":"C75FA76A8D66D778CBE0680FEA4E790A",` + chain)},

		{name: "no task", value: `{"space":"dag","value":1,"id":1}`, class: ClassMissingField, reason: `"task"`},
		{name: "empty task", value: `{"space":"dag","task":"","value":1,"id":1}`, class: ClassValue},
		{name: "long task", value: `{"space":"dag","task":"` + strings.Repeat("x", 300) + `","value":1,"id":1}`, class: ClassValue},
		{name: "no value", value: `{"space":"dag","task":"t","id":1}`, class: ClassMissingField, reason: `"value"`},
		{name: "value a string", value: `{"space":"dag","task":"t","value":"93","id":1}`, class: ClassWrongType},
		{name: "of a named space", value: `{"space":"s","task":"t","value":1,"id":1}`},
		{name: "by hyperparameters", value: `{"space":"s","task":"t","value":1,"hyperparameters":{"lr":0.1}}`},
		{name: "failed", value: `{"space":"dag","task":"t","failed":true,"id":1}`},
		{name: "failed null", value: l(`"id":1,"failed":null,"seed":null,"fidelity":null,"of":null`)},
		{name: "failed with null", value: `{"space":"dag","task":"t","failed":true,"value":null,"id":1}`},
		{name: "of a seed", value: l(`"id":1,"seed":3`)},
		{name: "of a named seed", value: l(`"id":1,"seed":"a"`)},
		{name: "of part of the training", value: l(`"id":1,"fidelity":12.5`)},
		{name: "of the architecture", value: l(`"id":1,"of":"architecture"`)},
		{name: "of the network", value: l(`"id":1,"of":"network"`)},
		{name: "value NaN", value: `{"space":"dag","task":"t","value":NaN,"id":1}`, onlyDecoder: true},
		{name: "value infinite", value: `{"space":"dag","task":"t","value":-Infinity,"id":1}`, onlyDecoder: true},

		{name: "failed and a value", value: l(`"id":1,"failed":true`), class: ClassConflict, reason: "contradict"},
		{name: "failed no boolean", value: `{"space":"dag","task":"t","failed":"yes","id":1}`, class: ClassWrongType, reason: "true or false"},
		{name: "failed a number", value: l(`"id":1,"failed":1`), class: ClassWrongType},
		{name: "seed a list", value: l(`"id":1,"seed":[1]`), class: ClassWrongType, reason: "a number or a string"},
		{name: "seed empty", value: l(`"id":1,"seed":""`), class: ClassValue},
		{name: "fidelity a string", value: l(`"id":1,"fidelity":"12"`), class: ClassWrongType},
		{name: "fidelity NaN", value: l(`"id":1,"fidelity":NaN`), class: ClassJSON, onlyDecoder: true},
		{name: "of something else", value: l(`"id":1,"of":"arch"`), class: ClassValue, reason: `"network"`},
		{name: "of a number", value: l(`"id":1,"of":1`), class: ClassWrongType},
		{name: "value huge", value: `{"space":"dag","task":"t","value":1e400,"id":1}`, class: ClassNotFinite, onlyDecoder: true},
		{name: "goal unknown", value: l(`"id":1,"goal":"up"`), class: ClassValue, reason: `"up"`},
		{name: "about nothing", value: `{"space":"dag","task":"t","value":1}`, class: ClassMissingField, reason: "which architecture"},
		{name: "id null", value: l(`"id":null`), class: ClassMissingField},
		{name: "no hash", value: l(`"architecture":"xyz"`), class: ClassValue, reason: "32 hexadecimal digits"},
		{name: "unknown space", value: `{"space":"s s","task":"t","value":1,"id":1}`, class: ClassUnknownSpace},
		{name: "cycle", value: l(`"ops":["a","b"],"edges":[[0,1],[1,0]]`), class: ClassCycle, onlyDecoder: true},
		{name: "contradiction", value: l(`"architecture":"00000000000000000000000000000000",` + chain), class: ClassConflict, reason: "leave one of them out", onlyDecoder: true},
	}
}

func TestLabel(t *testing.T) {
	d := NewDecoder(Limits{})
	for _, e := range labelExamples() {
		t.Run(e.name, func(t *testing.T) {
			_, r := d.Label([]byte(e.value))
			checkRejection(t, e, r)
		})
	}
}

func TestLabelFields(t *testing.T) {
	d := NewDecoder(Limits{})
	l, r := d.Label([]byte(`{"space":"nb201","task":"cifar10_test","value":-1.25e1,"goal":"min","id": [1, 2],` + nb201Arch + `}`))
	if r != nil {
		t.Fatal(r)
	}
	var c Candidates
	if r := d.Candidate(&c, []byte(`{"space":"nb201",`+nb201Ops+`,`+nb201Edges+`}`)); r != nil {
		t.Fatal(r)
	}
	if l.Space != "nb201" || l.Task != "cifar10_test" || l.Value != -12.5 || !l.GoalGiven || !l.Minimise || l.Withdrawn || string(l.ID) != "[1,2]" {
		t.Errorf("%+v", l)
	}
	if !l.HasGraph || !l.HasArchitecture || l.Architecture != c.Architecture[0] || l.Network != c.Network[0] || l.Graph.Len() != 1 || l.Pruned.Len() != 1 {
		t.Errorf("%+v", l)
	}
	if ops, _ := l.Pruned.Graph(0); len(ops) != 7 {
		t.Errorf("the network has %v", namesOf(ops))
	}
	l, r = d.Label([]byte(`{"space":"dag","task":"t","value":null,"architecture":"c53e1808547dd92a4cba55c9f2a965e4"}`))
	if r != nil || !l.Withdrawn || l.GoalGiven || l.Minimise || l.HasGraph || l.ID != nil || l.Architecture.String() != "c53e1808547dd92a4cba55c9f2a965e4" {
		t.Errorf("%+v, %v", l, r)
	}
	if l, _ := d.Label([]byte(`{"space":"dag","task":"t","value":1,"goal":"max","id":1}`)); !l.GoalGiven || l.Minimise {
		t.Errorf("%+v", l)
	}
}

// TestCuresNameSettings: a limit is said to be raised only where a setting raises it.
func TestCuresNameSettings(t *testing.T) {
	d := NewDecoder(Limits{Nodes: 2, Edges: 1, Depth: 8, MessageBytes: 4000, IDBytes: 10, Proxies: 1})
	for value, want := range map[string]string{
		`{"space":"s","ops":["a","b","c"],"edges":[]}`:                                   "or raise --max-nodes",
		`{"space":"s","id":"` + strings.Repeat("x", 5000) + `"}`:                         "or raise --max-message-bytes",
		`{"space":"s","id":"` + strings.Repeat("x", 50) + `"}`:                           "make it smaller",
		`{"space":"s","ops":["a","b"],"edges":[[0,1],[0,1]]}`:                            "split the graph",
		`{"space":"s","meta":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`: "flatten it",
		`{"space":"s","ops":["a"],"edges":[],"proxies":{"a":1,"b":2}}`:                   "leave some out",
	} {
		var c Candidates
		r := d.Candidate(&c, []byte(value))
		if r == nil || r.Class != ClassTooLarge && r.Class != ClassTooDeep || !strings.HasSuffix(r.Reason, want) {
			t.Errorf("%.80s: %+v, want %q", value, r, want)
		}
	}
}
