package flow_test

import (
	"fmt"

	"archflow/encoders/flow"
	"archflow/schemas"
)

// A surrogate describes how information flows through a graph, without training: equal
// networks have equal ones, in any order of their nodes.
func ExampleFlow_Surrogates() {
	in, conv, pool, out := schemas.MustIntern("input"), schemas.MustIntern("conv"), schemas.MustIntern("pool"), schemas.MustIntern("output")
	var g schemas.Graphs
	g.Append([]schemas.Symbol{in, conv, pool, out}, []int32{0, 1, 0, 2, 1, 3, 2, 3})
	g.Append([]schemas.Symbol{in, pool, conv, out}, []int32{0, 1, 0, 2, 1, 3, 2, 3})
	g.Append([]schemas.Symbol{in, conv, pool, out}, []int32{0, 1, 1, 2, 2, 3})

	f := flow.New(flow.Config{Seed: 1})
	values := make([]float32, g.Len()*f.K())
	f.Surrogates(values, &g)
	distance := func(a, b int) (d float32) {
		for i := range f.K() {
			x := values[a*f.K()+i] - values[b*f.K()+i]
			d += x * x
		}
		return d
	}
	fmt.Println(f.K(), distance(0, 1) < 1e-9, distance(0, 2) > 1e-9)
	// Output: 7 true true
}
