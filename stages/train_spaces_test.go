package stages

import (
	"fmt"
	"strings"
	"testing"

	"archflow/encoders/flow"
	"archflow/encoders/learner"
	"archflow/schemas"
)

func messagesOf(values ...string) *schemas.Batch {
	var m schemas.Messages
	for o, value := range values {
		m.Append(int64(o), 0, nil, nil)
		m.Value.Append([]byte(value))
	}
	return &schemas.Batch{Next: int64(len(values)), Rows: m.Record()}
}

// TestSpacesAreBounded: names of spaces that come once share the places that are
// left, spaces with labels keep theirs, and a label of one space too many is
// refused.
func TestSpacesAreBounded(t *testing.T) {
	train := NewTrain(schemas.Limits{}, 2, func(space string) *learner.Learner {
		return learner.New(learner.Config{Space: space, Flow: flow.New(flow.Config{K: 8})})
	})
	decode := NewDecode(schemas.Limits{})
	candidates := func(values ...string) {
		b := messagesOf(values...)
		if err := decode.Process(t.Context(), b); err != nil || len(b.Rejects) > 0 {
			t.Fatal(err, b.Rejects)
		}
		train.Candidates(b)
		b.Rows.Release()
	}
	spaces := func() string {
		var names []string
		for _, l := range train.Learners() {
			names = append(names, l.Space())
		}
		return strings.Join(names, " ")
	}
	candidate := func(space string, n int) string {
		return fmt.Sprintf(`{"space":%q,"id":%d,"hyperparameters":{"n":%d}}`, space, n, n)
	}
	candidates(candidate("mine", 1), candidate("mine", 2), candidate("flood-1", 1), candidate("flood-2", 1), `{"space":"nb201","arch":"(4, 0, 3, 1, 4, 3)"}`)
	if got := spaces(); got != "mine flood-2 nb201" {
		t.Fatalf("spaces %s", got)
	}
	label := func(space string) *schemas.Batch {
		b := messagesOf(fmt.Sprintf(`{"space":%q,"id":1,"task":"t","value":1}`, space))
		train.Labels(b, 0)
		b.Rows.Release()
		return b
	}
	if b := label("mine"); len(b.Rejects) > 0 {
		t.Fatal(b.Rejects)
	}
	if b := label("yours"); len(b.Rejects) > 0 || spaces() != "mine yours nb201" {
		t.Fatal(b.Rejects, spaces())
	}
	if b := label("third"); len(b.Rejects) != 1 || b.Rejects[0].Class != schemas.ClassTooManyNames || !strings.Contains(b.Rejects[0].Reason, "--spaces") {
		t.Fatal(b.Rejects)
	}
	candidates(candidate("flood-3", 1))
	if got := spaces(); got != "mine yours nb201" {
		t.Fatalf("spaces %s", got)
	}
}
