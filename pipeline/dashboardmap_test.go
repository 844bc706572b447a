package pipeline

import (
	"math"
	"testing"

	"archflow/ops"
	"archflow/schemas"
)

// TestMapOfHyperparameters: candidates without a graph, whose surrogates are all
// one, are far apart on the map where their hyperparameters are, whatever the units.
func TestMapOfHyperparameters(t *testing.T) {
	p, c := ops.NewProjection(100, 1), coordinates{}
	number := func(name string, v float64) schemas.Attribute {
		return schemas.Attribute{Node: schemas.WholeGraph, Name: schemas.MustIntern(name), Text: schemas.NoSymbol, Number: v}
	}
	for _, rate := range []float64{1e-4, 1e-2} {
		for _, width := range []float64{64, 512} {
			x := schemas.Graph{Ops: []schemas.Symbol{schemas.MustIntern("hyperparameters")}}
			x.Attributes = []schemas.Attribute{number("rate", rate), number("width", width)}
			if !c.place(p, &x, -1) {
				t.Fatal("hyperparameters alone are not placed")
			}
		}
	}
	points, _ := p.Points()
	minDistance := math.Inf(1)
	for i, a := range points {
		for _, b := range points[:i] {
			minDistance = min(minDistance, math.Hypot(float64(a[0]-b[0]), float64(a[1]-b[1])))
		}
	}
	if len(points) != 4 || minDistance < 0.5 || c.of() != "hyperparameters" {
		t.Errorf("%s, least distance %g: %v", c.of(), minDistance, points)
	}
	chain := schemas.Graph{Ops: []schemas.Symbol{1, 2}, Edges: []int32{0, 1}, Attributes: []schemas.Attribute{number("rate", 1)}}
	if c.place(p, &chain, -1) {
		t.Error("a graph was placed by its hyperparameters")
	}
}
