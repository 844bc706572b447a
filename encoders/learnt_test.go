package encoders

import (
	"slices"
	"testing"

	"archflow/schemas"
)

func TestUnknownPartsAreNamed(t *testing.T) {
	block := func(op string, attributes ...schemas.Attribute) schemas.Graph {
		return schemas.Graph{Ops: []schemas.Symbol{schemas.MustIntern(op)}, Attributes: attributes}
	}
	number := func(node int32, name string, v float64) schemas.Attribute {
		return schemas.Attribute{Node: node, Name: schemas.MustIntern(name), Text: schemas.NoSymbol, Number: v}
	}
	text := func(name, v string) schemas.Attribute {
		return schemas.Attribute{Name: schemas.MustIntern(name), Kind: schemas.TextKind, Text: schemas.MustIntern(v)}
	}
	var g schemas.Graphs
	var values []float64
	for k := range 11 {
		g.Add(block("conv", number(schemas.WholeGraph, "depth", float64(10+k)), text("act", "relu"), number(0, "width", float64(int(16)<<(k%4)))))
		values = append(values, float64(k))
	}
	l := NewLearnt(&g, allRows(g.Len()), values)
	var asked schemas.Graphs
	for _, c := range []struct {
		graph   schemas.Graph
		unknown []string
		strange float64
	}{
		{block("conv", number(schemas.WholeGraph, "depth", 15), text("act", "relu"), number(0, "width", 100)), nil, 0},
		{block("conv", number(schemas.WholeGraph, "depth", 20.5)), nil, 0},
		{block("attention"), []string{"operation attention"}, 1},
		{block("conv", text("act", "swish")), []string{"attribute act = swish"}, 1},
		{block("conv", number(0, "depth", 15)), []string{"attribute depth"}, 1},
		{block("conv", number(schemas.WholeGraph, "depth", 22.5)), []string{"hyperparameter depth = 22.5"}, .5},
		{block("conv", number(0, "width", 1<<12)), []string{"attribute width = 4096"}, 1},
		{block("conv", number(0, "width", -1)), []string{"attribute width = -1"}, 1},
	} {
		asked.Reset()
		asked.Add(c.graph)
		names, strange := l.Unknown(nil, &asked, 0)
		if !slices.Equal(names, c.unknown) || strange.Unknown != c.strange {
			t.Errorf("%v: %q, %v; want %q, %v", c.graph, names, strange.Unknown, c.unknown, c.strange)
		}
	}
	if low, high := l.extrapolate(4.5, 4, 5, Strangeness{Unknown: 1}); low != l.Low || high != l.High || low >= 0 || high <= 10 {
		t.Errorf("nothing known: %v to %v", low, high)
	}
	if low, high := l.extrapolate(4.5, 4, 5, Strangeness{}); low != 4 || high != 5 {
		t.Errorf("everything known: %v to %v", low, high)
	}
	if low, high := (*Learnt)(nil).extrapolate(4.5, 4, 5, Strangeness{Unknown: 1}); low != 4 || high != 5 {
		t.Errorf("a model from before: %v to %v", low, high)
	}
}

// A text that is unique to every candidate is named and extends no interval.
func TestTextsOfTheirOwnAreNotStrange(t *testing.T) {
	of := func(name, act string) schemas.Graph {
		text := func(name, v string) schemas.Attribute {
			return schemas.Attribute{Node: schemas.WholeGraph, Name: schemas.MustIntern(name), Kind: schemas.TextKind, Text: schemas.MustIntern(v)}
		}
		return schemas.Graph{Ops: []schemas.Symbol{schemas.MustIntern("conv")}, Attributes: []schemas.Attribute{text("act", act), text("name", name)}}
	}
	var g schemas.Graphs
	var values []float64
	for k := range 10 {
		g.Add(of(string(rune('a'+k)), []string{"relu", "gelu"}[k%2]))
		values = append(values, float64(k))
	}
	var asked schemas.Graphs
	asked.Add(of("z", "relu"))
	asked.Add(of("y", "swish"))
	l := NewLearnt(&g, allRows(g.Len()), values)
	if names, strange := l.Unknown(nil, &asked, 0); len(names) != 1 || strange.Unknown != 0 {
		t.Errorf("%q, %v; want the name and 0", names, strange.Unknown)
	}
	if names, strange := l.Unknown(nil, &asked, 1); len(names) != 2 || strange.Unknown != 1 {
		t.Errorf("%q, %v; want both and 1", names, strange.Unknown)
	}
}
