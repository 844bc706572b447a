package decisions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"archflow/schemas"
)

func made(space, task, what string, next ...int64) Decision {
	d := Decision{Space: space, Task: task, Decision: what}
	positions := map[schemas.TopicPartition]int64{}
	for i, n := range next {
		positions[schemas.TopicPartition{Topic: "archflow.labels", Number: int32(i)}] = n
	}
	d.Learn(positions)
	return d
}

func TestHistory(t *testing.T) {
	h := NewHistory()
	if h.Considered("a", map[int32]int64{0: 1}) || !h.Considered("a", nil) || h.Learnt("a", "x") != nil || len(h.Newest("")) != 0 {
		t.Error("an empty history says something")
	}
	for i := range int64(40) {
		h.Add(made("a", "x", Promoted, i, 2*i))
	}
	h.Add(made("b", "y", Kept, 7))
	h.Add(made("a", "z", Waiting, 45, 90))
	for _, c := range []struct {
		space  string
		learnt map[int32]int64
		want   bool
	}{
		{"a", map[int32]int64{0: 39, 1: 78}, true},
		{"a", map[int32]int64{0: 45}, true}, // by the decision of another task of the space
		{"a", map[int32]int64{0: 46}, false},
		{"a", map[int32]int64{1: 91}, false},
		{"a", map[int32]int64{2: 1}, false},
		{"b", map[int32]int64{0: 7}, true},
		{"b", map[int32]int64{0: 8}, false},
		{"new", map[int32]int64{0: 45}, true}, // it has no labels up to there
		{"new", map[int32]int64{0: 46}, false},
	} {
		if got := h.Considered(c.space, c.learnt); got != c.want {
			t.Errorf("%s %v: %v", c.space, c.learnt, got)
		}
	}
	h.Expect("new") // it has labels, and its first fit is under way
	if h.Considered("new", map[int32]int64{0: 45}) {
		t.Error("a decision about another space says that the labels of a new one are learnt")
	}
	h.Add(made("b", "y", Promoted, 47, 90))
	h.Add(made("b", "y", NoneDue, 40, 90)) // of an earlier trainer
	if !h.Considered("without", map[int32]int64{0: 47}) {
		t.Error("a promotion says nothing about a space without labels")
	}
	all, a := h.Newest(""), h.Newest("a")
	if len(all) != keptOfTask+4 || all[0].Space != "b" || all[2].Task != "z" || len(a) != keptOfTask+1 || a[1].Learnt["archflow.labels/0"] != 39 {
		t.Errorf("%d decisions, of a %d: %+v", len(all), len(a), a)
	}
	for i := range 2 * keptTasks {
		h.Add(made("c", fmt.Sprint(i), NoneDue, 50))
	}
	if n := len(h.Newest("")); n != keptTasks || h.Learnt("c", fmt.Sprint(2*keptTasks-1)) == nil {
		t.Errorf("%d decisions are kept", n)
	}
}

func TestWait(t *testing.T) {
	h := NewHistory()
	var done sync.WaitGroup
	for i := range int64(8) {
		done.Go(func() {
			if err := h.Wait(t.Context(), []string{"a", "b"}, map[int32]int64{0: i + 1}); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range int64(8) {
		h.Add(made("a", "x", NoneDue, i+1))
		h.Add(made("b", "x", Kept, i+1))
	}
	done.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Wait(ctx, []string{"a"}, map[int32]int64{0: 100}); err == nil {
		t.Error("it does not wait")
	}
}

// TestDecisionsFollowTheirSchema: written decisions follow the schema in schemas/json.
func TestDecisionsFollowTheirSchema(t *testing.T) {
	text, err := schemas.JSONSchema("decision")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:archflow:decision", document); err != nil {
		t.Fatal(err)
	}
	schema := c.MustCompile("urn:archflow:decision")
	model := "a/3"
	full := made("a", "x", Promoted, 3, 4)
	full.Model, full.Why, full.Labels, full.Version = &model, "it is better", 16, 9
	full.SetTau(-.5)
	bare := made("a", "x", Waiting)
	bare.Why = "it lacks labels"
	bare.SetTau(math.NaN())
	for _, d := range []Decision{full, bare} {
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := schema.Validate(map[string]any{"space": "a"}); err == nil {
		t.Error("the schema accepts anything")
	}
}

func TestParse(t *testing.T) {
	want := made("a", "x", Promoted, 3)
	want.SetTau(.5)
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(text)
	if err != nil || got.Key() != "a/x" || *got.Tau != .5 || got.Learnt["archflow.labels/0"] != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if d, err := Parse([]byte(`{"space":"a","registry":3,"model":"a/2"}`)); d != nil || err != nil {
		t.Errorf("what the registry has is a decision: %+v, %v", d, err)
	}
	if _, err := Parse([]byte(`{"space":`)); err == nil {
		t.Error("no error")
	}
}
