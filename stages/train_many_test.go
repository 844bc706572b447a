package stages

import (
	"bytes"
	"fmt"
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
