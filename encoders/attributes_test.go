package encoders

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"testing"

	"archflow/schemas"
)

// attributed returns a trunk that has learnt graphs with attributes a little.
func attributed(t *testing.T, encoder string) (*Trunk, *schemas.Graphs) {
	t.Helper()
	g := withRandomAttributes(randomGraphs(60, 9, 8), 9)
	trunk, err := NewTrunk(TrunkConfig{Encoder: encoder, Width: 8, Layers: 2, K: 2})
	if err != nil {
		t.Fatal(err)
	}
	targets := make([]float32, 2*g.Len())
	for i := range targets {
		targets[i] = float32(i % 7)
	}
	for range 3 {
		trunk.Step(g, allRows(g.Len()), targets, nil)
	}
	return trunk, g
}

func TestAttributesCountInEveryEncoder(t *testing.T) {
	for _, encoder := range Names {
		trunk, g := attributed(t, encoder)
		var same schemas.Graphs
		for i := range g.Len() {
			same.Append(g.Graph(i))
		}
		width := trunk.Dimension()
		with, without := make([]float32, g.Len()*width), make([]float32, g.Len()*width)
		trunk.Embed(with, g, allRows(g.Len()))
		trunk.Embed(without, &same, allRows(g.Len()))
		for i := range g.Len() {
			equal := slices.Equal(with[i*width:(i+1)*width], without[i*width:(i+1)*width])
			if any := len(g.AttributesOf(i)) > 0; any == equal {
				t.Errorf("%s: graph %d with %d attributes; embeddings equal: %v", encoder, i, len(g.AttributesOf(i)), equal)
			}
		}
		// Each alone, to the bit.
		alone := make([]float32, width)
		for i := range g.Len() {
			trunk.Embed(alone, g, []int{i})
			if !slices.Equal(alone, with[i*width:(i+1)*width]) {
				t.Fatalf("%s: the embedding of graph %d depends on its batch", encoder, i)
			}
		}
	}
}

func TestAttributesOfTrunkAndModelAreStored(t *testing.T) {
	trunk, g := attributed(t, "resgated")
	metadata, tensors, err := trunk.State()
	if err != nil {
		t.Fatal(err)
	}
	again, err := RestoreTrunk(metadata, tensors, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !again.training.vocabulary.equal(trunk.training.vocabulary) {
		t.Errorf("restored %+v, was %+v", again.training.vocabulary.attributes, trunk.training.vocabulary.attributes)
	}
	d, err := Distil(t.Context(), trunk, g, allRows(g.Len()), [][]float64{make([]float64, g.Len())}, DistilConfig{Epochs: 1})
	if err != nil {
		t.Fatal(err)
	}
	model, err := NewModel("dag", 1, []*Member{d.Member}, []Task{{Name: "t", Heads: []Head{{}}}})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := model.Write(&file); err != nil {
		t.Fatal(err)
	}
	read, err := ReadModel(&file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read.Members[0].Scores(g, allRows(g.Len())), d.Member.Scores(g, allRows(g.Len())); !reflect.DeepEqual(got, want) {
		t.Error("a model with attributes answers otherwise once it was stored")
	}
	if got := read.Members[0].Operations(); slices.Contains(got, "") || len(got) != len(testOperations) {
		t.Errorf("operations %q", got)
	}
}

func TestNumbersAreScaledBySight(t *testing.T) {
	number := func(v float64) schemas.Graph {
		return schemas.Graph{Ops: []schemas.Symbol{schemas.MustIntern("conv")}, Attributes: []schemas.Attribute{{Name: schemas.MustIntern("width"), Text: schemas.NoSymbol, Number: v}}}
	}
	var g schemas.Graphs
	for _, v := range []float64{16, 32, 64, 128} {
		g.Add(number(v))
	}
	a := describeAttributes(&g)[attributeKey{name: schemas.MustIntern("width"), text: schemas.NoSymbol}]
	if !a.Log || math.Abs(a.Centre-math.Log(math.Sqrt(32*64))) > 1e-12 {
		t.Fatalf("%+v", a)
	}
	if a.value(45.254834) > 1e-6 || a.value(16) >= 0 || a.value(1e300) > attributeBound || a.value(0) != -attributeBound || a.value(-5) != -attributeBound {
		t.Errorf("%v %v %v %v", a.value(45.254834), a.value(16), a.value(1e300), a.value(0))
	}
	var constant schemas.Graphs
	constant.Add(number(3))
	if a := describeAttributes(&constant)[attributeKey{name: schemas.MustIntern("width"), text: schemas.NoSymbol}]; a.value(3) != 0 || a.value(4) <= 0 {
		t.Errorf("of a number that never varied: %+v", a)
	}
}
