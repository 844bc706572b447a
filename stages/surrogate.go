package stages

import (
	"context"

	"archflow/encoders/flow"
	"archflow/schemas"
)

// Surrogate computes the flow surrogate of every candidate, as given.
type Surrogate struct {
	flows *Flows
}

// NewSurrogate returns the stage.
func NewSurrogate(flows *Flows) *Surrogate { return &Surrogate{flows} }

// Process appends the surrogate column.
func (s *Surrogate) Process(_ context.Context, b *schemas.Batch) error {
	c := schemas.ViewCandidates(b.Rows)
	n := c.Len()
	out := schemas.Surrogates{Start: make([]int32, n+1)}
	for i, space := range c.Space {
		out.Start[i+1] = out.Start[i] + int32(s.flows.Of(space).K())
	}
	out.Values = make([]float32, out.Start[n])
	for _, part := range bySpace(c.Space) {
		f := s.flows.Of(part.space)
		if len(part.rows) == n {
			f.Surrogates(out.Values, &c.Graphs)
			break
		}
		graphs := c.Graphs.Select(part.rows)
		vectors := make([]float32, len(part.rows)*f.K())
		f.Surrogates(vectors, &graphs)
		for j, i := range part.rows {
			copy(out.Values[out.Start[i]:out.Start[i+1]], vectors[j*f.K():])
		}
	}
	replace(b, schemas.WithSurrogates(b.Rows, out))
	return nil
}

// Flows holds the surrogate of each built-in space; those that users name have
// that of dag. It is safe for concurrent use.
type Flows struct {
	flows map[schemas.Symbol]*flow.Flow
	open  *flow.Flow
}

// NewFlows draws the random parameters of every space from seed.
func NewFlows(seed uint64) *Flows {
	f := &Flows{flows: map[schemas.Symbol]*flow.Flow{}}
	for _, name := range schemas.SpaceNames() {
		space, _ := schemas.SpaceOf(name)
		f.flows[schemas.MustIntern(space.Name)] = flow.New(flow.Config{K: space.K, Std: space.Std, Seed: seed})
	}
	f.open = f.flows[schemas.MustIntern("dag")]
	return f
}

// Of returns the surrogate of a space.
func (f *Flows) Of(space schemas.Symbol) *flow.Flow {
	if own := f.flows[space]; own != nil {
		return own
	}
	return f.open
}

// part is the rows of a batch that belong to one space.
type part struct {
	space schemas.Symbol
	rows  []int
}

// bySpace sorts rows by their space, in the order in which spaces first appear.
func bySpace(spaces []schemas.Symbol) []part {
	var parts []part
next:
	for i, space := range spaces {
		for j := range parts {
			if parts[j].space == space {
				parts[j].rows = append(parts[j].rows, i)
				continue next
			}
		}
		parts = append(parts, part{space, []int{i}})
	}
	return parts
}
