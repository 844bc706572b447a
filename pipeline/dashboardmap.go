package pipeline

import (
	"math"

	"archflow/ops"
	"archflow/schemas"
)

// mapWidth is how many hyperparameters the map of a space without graphs shows:
// the first that came, each text one of its own.
const mapWidth = 32

// coordinates are the places of hyperparameters in the vectors of a map. All
// candidates without a graph have one surrogate, which would be one point.
type coordinates struct{ at map[coordinate]int }

type coordinate struct{ name, text schemas.Symbol }

// of returns the kind of vectors.
func (c *coordinates) of() string {
	if c.at != nil {
		return "hyperparameters"
	}
	return "surrogates"
}

// place adds x to the map if it consists of hyperparameters alone, and says
// whether it does.
func (c *coordinates) place(p *ops.Projection, x *schemas.Graph, shade float32) bool {
	given := x.Hyperparameters()
	if len(x.Ops) != 1 || len(given) == 0 {
		return false
	}
	if c.at == nil {
		c.at = map[coordinate]int{}
		p.Equal()
	}
	vector := make([]float32, mapWidth)
	for i := range given {
		a := &given[i]
		k, v := coordinate{a.Name, schemas.NoSymbol}, math.Asinh(1e4*a.Number) // even in the logarithm, but for the smallest
		if a.Kind == schemas.TextKind {
			k, v = coordinate{a.Name, a.Text}, 1
		}
		at, known := c.at[k]
		if !known {
			if at = len(c.at); at >= mapWidth {
				continue
			}
			c.at[k] = at
		}
		vector[at] = float32(v)
	}
	p.Add(vector, shade)
	return true
}
