package experiment

import (
	"math"

	"archflow/internal/finite"
	"archflow/schemas"
)

// items are the encoded graphs: distinct networks, or the rows themselves.
type items struct {
	graphs schemas.Graphs
	of     []int       // [rows] the item of a row
	values [][]float64 // [proxies][items], NaN where missing
}

// prepare makes the items of a table. With merge, equal networks share their
// proxies; with prune too, they are one item.
func prepare(t *Table, prune, merge bool) *items {
	n := t.Rows()
	class, members := make([]int, n), []int(nil) // members: first row of a network
	at := map[schemas.ID]int{}
	for i, id := range t.Network {
		c, ok := at[id]
		if !ok {
			c = len(members)
			at[id] = c
			members = append(members, i)
		}
		class[i] = c
	}
	if merge && prune {
		return &items{graphs: t.Networks.Select(members), of: class, values: believed(t, class, len(members))}
	}
	x := &items{graphs: t.Graphs, of: make([]int, n)}
	if prune {
		x.graphs = t.Networks
	}
	for i := range x.of {
		x.of[i] = i
	}
	var shared [][]float64
	if merge {
		shared = believed(t, class, len(members))
	}
	for p, proxy := range t.Proxies {
		values := make([]float64, n)
		for i, v := range proxy.Values {
			if !finite.Is(v) {
				v = math.NaN()
				if merge {
					v = shared[p][class[i]]
				}
			}
			values[i] = v
		}
		x.values = append(x.values, values)
	}
	return x
}

// believed returns the proxies of the networks, [proxies][networks]. Where architectures
// of one network disagree, the one with the most proxies wins: a benchmark measures an
// architecture whose operations are all alive in full, and one with dead operations only
// in part.
func believed(t *Table, class []int, networks int) [][]float64 {
	out := make([][]float64, len(t.Proxies))
	for p := range out {
		out[p] = make([]float64, networks)
		for c := range out[p] {
			out[p][c] = math.NaN()
		}
	}
	kept := make([]int, networks)
	for i, c := range class {
		given := 0
		for _, proxy := range t.Proxies {
			if finite.Is(proxy.Values[i]) {
				given++
			}
		}
		more := given > kept[c]
		if more {
			kept[c] = given
		}
		for p, proxy := range t.Proxies {
			if v := proxy.Values[i]; finite.Is(v) && (more || math.IsNaN(out[p][c])) {
				out[p][c] = v
			}
		}
	}
	return out
}

// labels returns the items that rows name and the target of each, in the order of the
// items: the mean over the rows that share one.
func (x *items) labels(rows []int, label []float64) (item []int, y []float64) {
	sum, count := make([]float64, x.graphs.Len()), make([]int, x.graphs.Len())
	for _, r := range rows {
		sum[x.of[r]] += label[r]
		count[x.of[r]]++
	}
	for i, c := range count {
		if c > 0 {
			item, y = append(item, i), append(y, sum[i]/float64(c))
		}
	}
	return item, y
}

// rows returns the items of rows, one each, and their labels.
func (x *items) rows(rows []int, label []float64) (item []int, y []float64) {
	for _, r := range rows {
		item, y = append(item, x.of[r]), append(y, label[r])
	}
	return item, y
}
