package flow

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"archflow/schemas"
)

func number(node int32, name string, v float64) schemas.Attribute {
	return schemas.Attribute{Node: node, Name: schemas.MustIntern(name), Text: schemas.NoSymbol, Number: v}
}

// attributed returns a random graph whose nodes have attributes of every kind.
func attributed(r *rand.Rand) schemas.Graph {
	ops, edges := randomGraph(r, 2+r.IntN(12), r.IntN(30))
	g := schemas.Graph{Ops: ops, Edges: edges}
	g.Attributes = append(g.Attributes, number(schemas.WholeGraph, "resolution", 224))
	for t := range ops {
		switch r.IntN(3) {
		case 0:
			g.Attributes = append(g.Attributes, number(int32(t), "width", math.Exp(10*r.Float64())))
		case 1:
			x := number(int32(t), "bias", float64(r.IntN(2)))
			x.Kind = schemas.BooleanKind
			y := schemas.Attribute{Node: int32(t), Name: schemas.MustIntern("act"), Kind: schemas.TextKind, Text: schemas.MustIntern([]string{"gelu", "relu"}[r.IntN(2)])}
			g.Attributes = append(g.Attributes, y, x)
		}
	}
	return g
}

func TestAttributesAgainstOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var g schemas.Graphs
	for range 50 {
		g.Add(attributed(r))
	}
	for _, c := range []Config{{}, {K: 12, Std: 1, Seed: 5}} {
		f := New(c)
		got := make([]float32, g.Len()*f.K())
		f.Surrogates(got, &g)
		for i := range g.Len() {
			want := f.SurrogateOf(&g, i)
			compare(t, "attributes", wide(got[i*f.K():(i+1)*f.K()]), want, 1e-5)
			other := make([]float64, f.K())
			_, edges := g.Graph(i)
			f.surrogate64(other, Variant{}.withDefaults(), nil, f.operations(&g, i), edges)
			compare(t, "variant", other, want, 1e-12)
		}
	}
}

func TestAttributesMoveASurrogateByAsMuch(t *testing.T) {
	f := New(Config{K: 12})
	chain := func(width float64) []float64 {
		var g schemas.Graphs
		x := schemas.Graph{Ops: symbols([]string{"input", "conv", "output"}), Edges: []int32{0, 1, 1, 2}}
		x.Attributes = []schemas.Attribute{number(1, "width", width)}
		g.Add(x)
		s := make([]float32, f.K())
		f.Surrogates(s, &g)
		return wide(s)
	}
	distance := func(a, b []float64) (d float64) {
		for i := range a {
			d += (a[i] - b[i]) * (a[i] - b[i])
		}
		return math.Sqrt(d)
	}
	near, far := distance(chain(64), chain(65)), distance(chain(64), chain(640))
	if near == 0 || near > far/20 {
		t.Errorf("64 to 65 moves it by %g, 64 to 640 by %g", near, far)
	}
	var g schemas.Graphs
	g.Append(symbols([]string{"input", "conv", "output"}), []int32{0, 1, 1, 2})
	without := make([]float32, f.K())
	f.Surrogates(without, &g)
	if zero := chain(0); !slices.Equal(zero, wide(without)) {
		t.Errorf("a width of 0 gives %v, none %v", zero, without)
	}
}

// Surrogates are in users' tables, and models were trained on them: these values
// may not change.
func TestGoldenSurrogatesOfAttributes(t *testing.T) {
	var g schemas.Graphs
	x := schemas.Graph{Ops: symbols([]string{"input", "conv", "pool", "output"}), Edges: []int32{0, 1, 0, 2, 1, 3, 2, 3}}
	bias := number(1, "bias", 1)
	bias.Kind = schemas.BooleanKind
	x.Attributes = []schemas.Attribute{
		number(schemas.WholeGraph, "resolution", 224),
		{Node: 1, Name: schemas.MustIntern("act"), Kind: schemas.TextKind, Text: schemas.MustIntern("gelu")}, bias,
		number(1, "width", 64), number(2, "kernel", 0.5),
	}
	g.Add(x)
	compare(t, "golden", New(Config{}).SurrogateOf(&g, 0), []float64{0.224216770681, 0.257399461032, 0.492497425576, 0.259168800617, 0.176670047106, 0.618313889632, 0.556009496623}, 1e-9)
}
