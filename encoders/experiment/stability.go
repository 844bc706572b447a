package experiment

import (
	"math"
	"math/rand/v2"

	"archflow/encoders/flow"
	"archflow/schemas"
)

// NamedVariant is a variant of the surrogate and its name.
type NamedVariant struct {
	Name    string       `json:"name"`
	Variant flow.Variant `json:"variant"`
}

// Stable are variants that may keep large graphs in range.
var Stable = []NamedVariant{
	{"mean", flow.Variant{Gather: "mean"}},
	{"degree", flow.Variant{Gather: "degree"}},
	{"generations scaled", flow.Variant{Scale: "generation"}},
	{"mean, states scaled, mean of all", flow.Variant{Gather: "mean", Scale: "state", Pool: "mean"}},
}

// Stability says how surrogates of a variant behave on graphs of one size.
type Stability struct {
	Name   string  `json:"name"`
	Family string  `json:"family"` // one of Families
	Std    float64 `json:"std"`
	Nodes  int     `json:"nodes"`
	// Size is the root mean square of the surrogates' components.
	Size float64 `json:"size"`
	// Change is the mean distance between the surrogates of two graphs that differ in one
	// operation, as a share of their length; 0 when single precision distinguishes none.
	Change float64 `json:"change"`
}

// Families of the graphs that MeasureStability draws.
var Families = []string{"chain", "dense"}

// Graphs of each size, and operations that they are made of.
const (
	stabilityGraphs     = 16
	stabilityOperations = 6
)

// MeasureStability computes a variant's surrogates of random graphs of each
// size. A chain's nodes follow one another; in a dense graph each node has up to
// three of the eight nodes before it as predecessors, so that the number of paths
// grows exponentially. The graphs are the same for every variant.
func MeasureStability(v NamedVariant, c flow.Config, sizes []int) []Stability {
	draws := flow.NewDraws(c, v.Variant, 1)
	var out []Stability
	for _, family := range Families {
		for _, nodes := range sizes {
			random := rand.New(rand.NewPCG(1, uint64(nodes)))
			var g schemas.Graphs
			for range stabilityGraphs {
				ops, edges := randomArchitecture(random, family, nodes)
				g.Append(ops, edges)
				ops[random.IntN(nodes-2)+1] = operation(random.IntN(stabilityOperations) + stabilityOperations)
				g.Append(ops, edges)
			}
			s := Stability{Name: v.Name, Family: family, Std: c.Std, Nodes: nodes}
			s.Size, s.Change = sizeAndChange(draws, &g)
			out = append(out, s)
		}
	}
	return out
}

func randomArchitecture(random *rand.Rand, family string, nodes int) (ops []schemas.Symbol, edges []int32) {
	for i := range nodes {
		ops = append(ops, operation(random.IntN(stabilityOperations)))
		if i == 0 {
			continue
		}
		edges = append(edges, int32(i-1), int32(i))
		if family == "dense" {
			for _, back := range random.Perm(7)[:2] {
				if from := i - 2 - back; from >= 0 {
					edges = append(edges, int32(from), int32(i))
				}
			}
		}
	}
	return ops, edges
}

// operation names an operation of the random graphs.
func operation(i int) schemas.Symbol { return schemas.MustIntern("random:" + string(rune('a'+i))) }

// sizeAndChange compares the surrogates of every second graph with those that
// follow.
func sizeAndChange(d *flow.Draws, g *schemas.Graphs) (size, change float64) {
	k := d.K()
	s := make([]float32, g.Len()*k)
	d.Surrogates(s, g)
	for i := 0; i < g.Len(); i += 2 {
		length, apart := 0., 0.
		for c := range k {
			a, b := float64(s[i*k+c]), float64(s[(i+1)*k+c])
			length += a * a
			apart += (a - b) * (a - b)
		}
		size += length / float64(k*g.Len()/2)
		if length > 0 {
			change += math.Sqrt(apart/length) / float64(g.Len()/2)
		}
	}
	return math.Sqrt(size), change
}
