package stages

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"archflow/encoders/flow"
	"archflow/encoders/learner"
	"archflow/schemas"
)

// manyCandidate is candidate n of a space: hyperparameters alone in every other
// space, chains of operations with a width in the others.
func manyCandidate(space, n int) string {
	width, depth := 8*(1+(n*7+space)%9), 1+(n*5+space)%4
	if space%2 == 0 {
		return fmt.Sprintf(`{"space":"space-%d","id":%d,"hyperparameters":{"width":%d,"depth":%d,"act":%q}}`,
			space, n, width, depth, []string{"relu", "gelu"}[n%2])
	}
	return fmt.Sprintf(`{"space":"space-%d","id":%d,"ops":["input",{"op":"conv","width":%d},{"op":"conv-%d"},"output"],"edges":[[0,1],[1,2],[2,3]]}`,
		space, n, width, depth)
}

func manyLabel(space, n int) string {
	width, depth := 8*(1+(n*7+space)%9), 1+(n*5+space)%4
	return fmt.Sprintf(`{"space":"space-%d","id":%d,"task":"t","value":%d}`, space, n, (space+1)*width+100*depth*depth)
}

// learnMany returns the model of every space, all spaces interleaved.
func learnMany(t *testing.T, spaces []int, candidates, labels int) map[string][]byte {
	t.Helper()
	train := NewTrain(schemas.Limits{}, 64, func(space string) *learner.Learner {
		return learner.New(learner.Config{Space: space, Flow: flow.New(flow.Config{K: 8}), Encoder: "mlp", Width: 8, Layers: 1, Epochs: 1, Seed: 3})
	})
	decode := NewDecode(schemas.Limits{})
	var rows, values []string
	for n := range candidates {
		for _, space := range spaces {
			rows = append(rows, manyCandidate(space, n))
			if n < labels {
				values = append(values, manyLabel(space, n))
			}
		}
	}
	b := messagesOf(rows...)
	if err := decode.Process(t.Context(), b); err != nil || len(b.Rejects) > 0 {
		t.Fatal(err, b.Rejects)
	}
	train.Candidates(b)
	b.Rows.Release()
	b = messagesOf(values...)
	if train.Labels(b, 0); len(b.Rejects) > 0 {
		t.Fatal(b.Rejects)
	}
	b.Rows.Release()
	for worked := true; worked; {
		var err error
		if _, _, worked, err = train.Work(t.Context(), Mode{}); err != nil {
			t.Fatal(err)
		}
	}
	models := map[string][]byte{}
	for _, l := range train.Learners() {
		if l.Champion() == nil {
			t.Fatalf("%s has no model", l.Space())
		}
		var file bytes.Buffer
		if err := l.Champion().Write(&file); err != nil {
			t.Fatal(err)
		}
		models[l.Space()] = file.Bytes()
	}
	return models
}

// TestManySpacesLearnAsAlone: 30 spaces at once end with the very models that each has
// alone, with any interleaving.
func TestManySpacesLearnAsAlone(t *testing.T) {
	spaces := make([]int, 30)
	for i := range spaces {
		spaces[i] = i
	}
	together := learnMany(t, spaces, 34, 20)
	if len(together) != len(spaces) {
		t.Fatalf("%d models of %d spaces", len(together), len(spaces))
	}
	for _, space := range []int{0, 13, 28, 29} {
		for name, alone := range learnMany(t, []int{space}, 34, 20) {
			if !bytes.Equal(alone, together[name]) {
				t.Errorf("%s has another model among others than alone", name)
			}
		}
	}
}

// TestLabelsReachTheirLearner: whatever a label tells reaches the learner of its space, but
// for a result that is not a number.
func TestLabelsReachTheirLearner(t *testing.T) {
	train := NewTrain(schemas.Limits{}, 64, func(space string) *learner.Learner {
		return learner.New(learner.Config{Space: space, Flow: flow.New(flow.Config{K: 8}), Encoder: "mlp", Width: 8, Layers: 1, Epochs: 1, FirstLabels: 16, Seed: 3})
	})
	label := func(what string) string {
		return `{"space":"s","ops":["input","conv","output"],"edges":[[0,1],[1,2]],"task":"t",` + what + `}`
	}
	for _, c := range []struct {
		what, reason string
		known        bool
	}{
		{`"value":NaN`, "", false},
		{`"failed":true`, "trainings that gave a result", true},
		{`"value":3`, "fewer than the 16 labels that it needs", true},
		{`"value":null`, "", true},
		{`"value":3,"fidelity":2`, "fewer than the 16 labels that it needs", true},
	} {
		b := messagesOf(label(c.what))
		rows := train.Labels(b, 0)
		b.Rows.Release()
		if len(rows) != 1 || rows[0].Known != c.known {
			t.Fatalf("%s: %+v, refused %+v", c.what, rows, b.Rejects)
		}
		reason := ""
		for _, l := range train.Learners() {
			for _, task := range l.Tasks() {
				reason = task.Reason
			}
		}
		if !strings.Contains(reason, c.reason) || c.reason == "" && reason != "" {
			t.Errorf("after %s the task is said to lack %q", c.what, reason)
		}
	}
}

// TestContraryGoalsAreNamed: a goal that is the opposite of that of the labels before it is
// named; the first goal is none.
func TestContraryGoalsAreNamed(t *testing.T) {
	var notices []string
	train := NewTrain(schemas.Limits{}, 64, func(space string) *learner.Learner {
		return learner.New(learner.Config{Space: space, Flow: flow.New(flow.Config{K: 8}), Encoder: "mlp", Width: 8, Layers: 1, Epochs: 1, Seed: 3})
	}).Warn(func(notice string) { notices = append(notices, notice) })
	const graph = `"space":"s","ops":["input","a","output"],"edges":[[0,1],[1,2]],"task":"t"`
	for _, goal := range []string{"min", "min", "max"} {
		b := messagesOf(`{` + graph + `,"goal":"` + goal + `","value":2}`)
		train.Labels(b, 0)
		b.Rows.Release()
		if goal == "min" && len(notices) != 0 {
			t.Errorf("%q", notices)
		}
	}
	if len(notices) != 1 || !strings.Contains(notices[0], `"t"`) || !strings.Contains(notices[0], "both goals") {
		t.Errorf("%q", notices)
	}
}

// TestOddLabelsAreNamed: members of labels that nothing reads are named once, those of
// archflow's own answers aside, and results that are not numbers.
func TestOddLabelsAreNamed(t *testing.T) {
	var notices []string
	train := NewTrain(schemas.Limits{}, 64, func(space string) *learner.Learner {
		return learner.New(learner.Config{Space: space, Flow: flow.New(flow.Config{K: 8}), Encoder: "mlp", Width: 8, Layers: 1, Epochs: 1, Seed: 3})
	}).Warn(func(notice string) { notices = append(notices, notice) })
	for range 2 {
		b := messagesOf(
			`{"space":"s","id":1,"task":"t","value":2,"epochs":12,"network":"x","tasks":{"t":null},"labels":{"u":1}}`,
			`{"space":"s","id":2,"task":"t","value":NaN}`)
		b.Topic = "labels"
		train.Labels(b, 0)
		b.Rows.Release()
	}
	if len(notices) != 2 || notices[0] != "topic labels: members that nothing reads: epochs" || !strings.Contains(notices[1], "NaN") {
		t.Errorf("%q", notices)
	}
}

// TestNamesOfSmallSpacesAreDoubted: a name that is nearly that of a built-in space is
// doubted at its first candidate, because few may follow.
func TestNamesOfSmallSpacesAreDoubted(t *testing.T) {
	var notices []string
	decode := NewDecode(schemas.Limits{}).Warn(func(notice string) { notices = append(notices, notice) })
	b := messagesOf(
		`{"space":"nasbench-201","ops":["a","b"],"edges":[[0,1]]}`,
		`{"space":"mine","ops":["a","b"],"edges":[[0,1]],"hint":1}`)
	b.Topic = "architectures"
	if err := decode.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	b.Rows.Release()
	if len(notices) != 2 || notices[0] != "topic architectures: members that nothing reads: hint" || !strings.Contains(notices[1], `if "nb201" is meant`) {
		t.Errorf("%q", notices)
	}
}
