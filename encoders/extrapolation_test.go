package encoders

import (
	"encoding/json"
	"math"
	"testing"

	"archflow/schemas"
)

// convolution returns a network of one operation with two hyperparameters.
func convolution(depth, width float64) schemas.Graph {
	number := func(name string, v float64) schemas.Attribute {
		return schemas.Attribute{Node: schemas.WholeGraph, Name: schemas.MustIntern(name), Text: schemas.NoSymbol, Number: v}
	}
	return schemas.Graph{Ops: []schemas.Symbol{schemas.MustIntern("conv")}, Attributes: []schemas.Attribute{number("depth", depth), number("width", width)}}
}

// Errors that grow where the largest values of one hyperparameter are held out together
// widen intervals beyond these values, and beyond no others.
func TestIntervalsGrowBeyondTheEndsThatAreHardToForetell(t *testing.T) {
	const n = 40
	var g schemas.Graphs
	values := make([]float64, n)
	for k := range n {
		g.Add(convolution(float64(10+k), float64(100+k*7%n)))
		values[k] = float64(k)
	}
	l := NewLearnt(&g, allRows(n), values)
	errors := func(group []int) []float64 {
		first := n
		for _, row := range group {
			first = min(first, row)
		}
		out := make([]float64, len(group))
		for k, row := range group {
			if out[k] = 1; first == n-len(group) { // the deepest
				out[k] = 1 + 30*float64(row-first+1)/float64(first)
			}
		}
		return out
	}
	l.Extrapolate(&g, allRows(n), errors)
	var asked schemas.Graphs
	for _, v := range [][2]float64{{51, 120}, {9, 120}, {30, 141}, {30, 120}} {
		asked.Add(convolution(v[0], v[1]))
	}
	var growth [4]float64
	for i := range growth {
		_, strange := l.Unknown(nil, &asked, i)
		growth[i] = strange.Growth
	}
	if growth[0] < 3*growth[1] || growth[0] < 3*growth[2] || growth[0] < .5 || growth[3] != 0 {
		t.Errorf("deeper, less deep, wider, within: %.3f; want the first far above the second and third, and 0 at the end", growth)
	}
	for _, c := range []struct {
		s         Strangeness
		low, high float64
	}{
		{Strangeness{Growth: 1}, 18, 22},
		{Strangeness{Growth: 1e9}, l.Low, l.High},
		{Strangeness{Unknown: 1, Growth: 1}, l.Low, l.High},
	} {
		if low, high := l.extrapolate(20, 19, 21, c.s); math.Abs(low-c.low) > 1e-9 || math.Abs(high-c.high) > 1e-9 {
			t.Errorf("%+v: %v to %v; want %v to %v", c.s, low, high, c.low, c.high)
		}
	}
}

// Numbers that are hundreds of orders of magnitude apart leave a model that can be stored,
// and candidates far from all of them have intervals.
func TestGrowthIsFinite(t *testing.T) {
	const n = 40
	var g schemas.Graphs
	values := make([]float64, n)
	for k := range n {
		size := float64(k) * 1e-300
		if k == n-1 {
			size = 1e200
		}
		g.Add(convolution(size, 0))
		values[k] = float64(k)
	}
	for _, e := range []float64{0, 1, math.Inf(1)} {
		l := NewLearnt(&g, allRows(n), values)
		l.Extrapolate(&g, allRows(n), func(group []int) []float64 {
			out := make([]float64, len(group))
			for k := range out {
				out[k] = e
			}
			return out
		})
		if _, err := json.Marshal(l); err != nil {
			t.Errorf("errors of %v: %v", e, err)
		}
		var asked schemas.Graphs
		asked.Add(convolution(math.MaxFloat64, math.MaxFloat64))
		asked.Add(convolution(-math.MaxFloat64, -math.MaxFloat64))
		for i := range asked.Len() {
			_, strange := l.Unknown(nil, &asked, i)
			if low, high := l.extrapolate(20, 19, 21, strange); !(low <= 19) || !(high >= 21) {
				t.Errorf("errors of %v: %+v, from %v to %v", e, strange, low, high)
			}
		}
	}
}
