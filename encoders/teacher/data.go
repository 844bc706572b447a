package teacher

import (
	"fmt"
	"math"
	"slices"

	"archflow/schemas"
)

// Data is all that is known of the distinct networks of one space. It is not
// changed by this package and must not change while Features of it are in use.
type Data struct {
	// Networks are the pruned graphs, one for each distinct network, nodes in
	// topological order.
	Networks schemas.Graphs
	// Proxies are the zero-cost proxies of the networks. A proxy that depends
	// on dead operations (parameters, FLOPs) should come from a graph that has
	// none, where there is one.
	Proxies []Proxy
	// Embedding [n, Width] of a pre-trained encoder is used when Width is not 0.
	Embedding []float32
	Width     int
	// Pace, if given, is called every few milliseconds while features are
	// computed and may take its time; the cores that it returns are not looked at. It changes no result.
	Pace func() int
	// Cores that may be used, 0 for all of them. They change no result.
	Cores int
}

// withoutAttributes returns the networks that differ without their attributes.
func (d *Data) withoutAttributes(same equals) *Data {
	first := make([]int, same.count)
	for i, c := range slices.Backward(same.class) {
		first[c] = i
	}
	slices.Sort(first)
	out := &Data{Networks: d.Networks.Select(first)}
	out.Networks.Attributes, out.Networks.AttributeStart = nil, nil
	for _, p := range shared(d.Proxies, same) {
		out.Proxies = append(out.Proxies, Proxy{p.Name, pick(p.Values, first)})
	}
	return out
}

// Proxy is one number for each network, obtained without training it.
type Proxy struct {
	Name   string
	Values []float64 // [n], NaN where missing
}

// check returns the fault in the shapes of d.
func (d *Data) check() error {
	n := d.Networks.Len()
	for _, p := range d.Proxies {
		if len(p.Values) != n {
			return fmt.Errorf("teacher: proxy %q has %d values for %d networks; give one each, NaN where missing", p.Name, len(p.Values), n)
		}
	}
	return checkEmbedding(d.Embedding, n, d.Width)
}

func checkEmbedding(embedding []float32, n, width int) error {
	if width < 0 || len(embedding) != n*width {
		return fmt.Errorf("teacher: %d embedding values for %d networks of width %d; give their product", len(embedding), n, width)
	}
	for i, v := range embedding {
		if v != v || math.IsInf(float64(v), 0) {
			return fmt.Errorf("teacher: embedding of network %d is not finite; train the encoder again", i/width)
		}
	}
	return nil
}
