package experiment

import (
	"fmt"

	"archflow/internal/finite"
	"archflow/schemas"
)

// Table is a benchmark: one architecture a row, all of one space.
type Table struct {
	Space    string
	Graphs   schemas.Graphs // as given
	Networks schemas.Graphs // without nodes and edges on no path from input to output
	Network  []schemas.ID   // of Networks; equal ones are the same network
	Proxies  []Proxy
	Label    []float64 // more is better, NaN where a row has none
	Minimise bool      // labels were turned for that
	Lower    []float64 // labels of cheaper trainings, like Label; nil without
}

// Proxy is a zero-cost proxy of every row, NaN where it is missing.
type Proxy struct {
	Name   string
	Values []float64
}

// Rows returns the number of architectures.
func (t *Table) Rows() int { return len(t.Label) }

func (t *Table) check() error {
	n := t.Rows()
	if t.Graphs.Len() != n || t.Networks.Len() != n || len(t.Network) != n {
		return fmt.Errorf("table: %d labels, %d graphs, %d networks and %d identities; give one of each a row", n, t.Graphs.Len(), t.Networks.Len(), len(t.Network))
	}
	for _, p := range t.Proxies {
		if len(p.Values) != n {
			return fmt.Errorf("table: proxy %q has %d values for %d rows", p.Name, len(p.Values), n)
		}
	}
	return nil
}

// labelled returns the rows that have a label.
func (t *Table) labelled() []int {
	var rows []int
	for i, v := range t.Label {
		if finite.Is(v) {
			rows = append(rows, i)
		}
	}
	return rows
}
