package stages

import (
	"fmt"
	"strings"
	"testing"

	"archflow/encoders/flow"
	"archflow/encoders/learner"
	"archflow/schemas"
)

// TestKeptIsBounded: candidates with ids of four kilobytes, and graphs with thousands of
// edges, push out their own kind and not the data of other spaces.
func TestKeptIsBounded(t *testing.T) {
	train := NewTrain(schemas.Limits{}, 8, func(space string) *learner.Learner {
		return learner.New(learner.Config{Space: space, Flow: flow.New(flow.Config{K: 8})})
	})
	train.bytes = 8 << 20
	decode := NewDecode(schemas.Limits{})
	publish := func(values ...string) {
		t.Helper()
		b := messagesOf(values...)
		if err := decode.Process(t.Context(), b); err != nil || len(b.Rejects) > 0 {
			t.Fatalf("%v, %.300q", err, b.Rejects[0].Reason)
		}
		train.Candidates(b)
		b.Rows.Release()
	}
	honest := func(space string, n int) string {
		return fmt.Sprintf(`{"space":%q,"id":"%s %d","ops":["input","a","b%d","output"],"edges":[[0,1],[1,2],[2,3]]}`, space, space, n, n)
	}
	for n := range 100 {
		publish(honest("mine", n))
	}
	kept := train.bySpace["mine"].Size()
	for n := range 40 {
		publish(honest("wide", n))
		for i := range 50 {
			publish(fmt.Sprintf(`{"space":"wide","id":"%s%d","hyperparameters":{"n":%d}}`, strings.Repeat("x", 4000), 50*n+i, 50*n+i))
		}
		publish(denseGraph("dense", n))
	}
	total := 0
	for _, l := range train.Learners() {
		total += l.Size()
	}
	if total > train.bytes || total < train.bytes/2 {
		t.Errorf("%d bytes are kept, of %d", total, train.bytes)
	}
	if l := train.bySpace["mine"]; l.Size() != kept || l.Networks() != 100 {
		t.Errorf("another space lost its data: %d bytes of %d", l.Size(), kept)
	}
	if n := train.bySpace["dense"].Networks(); n == 0 || n == 40 {
		t.Errorf("%d dense networks are kept", n)
	}
	b := messagesOf(`{"space":"wide","id":"wide 39","task":"t","value":1}`, `{"space":"mine","id":"mine 0","task":"t","value":1}`)
	for i, row := range train.Labels(b, 0) {
		if row.Architecture == (schemas.ID{}) {
			t.Errorf("label %d does not find its candidate", i)
		}
	}
	b.Rows.Release()
}

// denseGraph is a candidate with 39,060 edges.
func denseGraph(space string, n int) string {
	const nodes = 280
	var ops, edges strings.Builder
	for i := range nodes {
		fmt.Fprintf(&ops, `,"c%d"`, (i+n)%9)
		for j := range i {
			fmt.Fprintf(&edges, ",[%d,%d]", j, i)
		}
	}
	return fmt.Sprintf(`{"space":%q,"id":%d,"ops":["input"%s],"edges":[%s]}`, space, n, ops.String()[len(`,"c0"`):], edges.String()[1:])
}
