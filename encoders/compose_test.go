package encoders

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"archflow/schemas"
)

// A composed model answers every task to the bit as the model does that the task
// was taken from, of networks that one of them remembers, both or neither, and
// again after it was written and read.
func TestComposedModelAnswersAsItsParts(t *testing.T) {
	g := randomGraphs(9, 12, 1)
	rows := allRows(g.Len())
	ids := make([]schemas.ID, len(rows))
	for i := range ids {
		ids[i][0] = byte(i + 1)
	}
	member := func(seed uint64, columns int) *Member {
		trunk, err := NewTrunk(TrunkConfig{Encoder: "resgated", Width: 8, Layers: 2, K: 2, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		targets := make([][]float64, columns)
		for c := range targets {
			for i := range rows {
				targets[c] = append(targets[c], float64((i*7+c*3+int(seed))%11))
			}
		}
		d, err := Distil(t.Context(), trunk, g, rows, targets, DistilConfig{Epochs: 2, HeldOut: -1, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return d.Member
	}
	model := func(version int64, m *Member, names []string, known []schemas.ID, first float64) *Model {
		var tasks []Task
		scores := make([][]float64, len(names))
		for i, name := range names {
			tasks = append(tasks, Task{Name: name, Labels: int(version), Heads: []Head{{0, i}}})
			for k := range known {
				scores[i] = append(scores[i], first+float64(10*i+k))
			}
		}
		out, err := NewModel("nb201", version, []*Member{m}, tasks)
		if err != nil {
			t.Fatal(err)
		}
		out.Cache = NewScoreCache(known, scores, nil)
		return out
	}
	older := model(1, member(1, 3), []string{"a", "b", "c"}, ids[2:6], 1000)
	newer := model(2, member(2, 2), []string{"b", "c"}, ids[4:9], 2000)
	composed, err := Compose(newer, older, []string{"c"}, []string{"b", "a"})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := composed.Write(&file); err != nil {
		t.Fatal(err)
	}
	back, err := ReadModel(&file)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(m *Model, task string) []float64 {
		a := m.Predict(NewWorkspace(1), g, rows)
		m.UseCache(a, ids, rows)
		return slices.Clone(a.Score[m.Task(task)])
	}
	for _, m := range []*Model{composed, back} {
		if m.Version != 2 || len(m.Tasks) != 3 || m.Tasks[0].Name != "a" || m.Tasks[2].Labels != 2 || len(m.Members) != 2 {
			t.Fatalf("composed %+v", m.Tasks)
		}
		for task, from := range map[string]*Model{"a": older, "b": older, "c": newer} {
			if got, want := ask(m, task), ask(from, task); !slices.Equal(got, want) {
				t.Errorf("task %s: %v, want %v", task, got, want)
			}
			for i, id := range ids {
				if got, want := m.Cached(id, m.Task(task)), from.Cached(id, from.Task(task)); got != want {
					t.Errorf("task %s of network %d is remembered: %v, want %v", task, i, got, want)
				}
			}
		}
	}
	alone, err := Compose(newer, older, nil, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if len(alone.Members) != 1 || alone.Cache.Len() != 4 {
		t.Errorf("%d members and %d networks, want those of task a", len(alone.Members), alone.Cache.Len())
	}
	for _, scores := range alone.Cache.scores {
		if math.IsNaN(scores) {
			t.Error("a network without any score is remembered")
		}
	}
}
