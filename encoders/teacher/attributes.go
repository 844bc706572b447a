package teacher

import (
	"math"
	"slices"

	"archflow/schemas"
)

// Features of attributes and hyperparameters, in blocks of one kind each:
// hyperparameters as they are; totals over nodes, and along the longest path;
// places, the mean at each depth; groups, the mean over the nodes that share a
// value of another attribute; products, such as width x depth. Every column
// remembers the attributes that it depends on (relevance.go).

const (
	maxPlaces   = 24 // distinct depths
	quarters    = 4  // of a network, by depth
	maxPaired   = 8  // attributes that are grouped by one another
	maxProducts = 6  // positive attributes that are multiplied
	maxKinds    = 8  // operations with attribute features of their own
)

// addTraits adds the blocks of t, for n graphs.
func (v *view) addTraits(n int, t *traits) {
	var whole, totals, places, groups, products columns
	for k := range t.whole.columns {
		c := &t.whole.columns[k]
		whole.add(c.bits(), filled(c.scaled)...)
	}
	for _, rows := range []*table{&t.nodes, &t.lists} {
		for k := range rows.columns {
			c := &rows.columns[k]
			totals.add(c.bits(), rows.totals(c)...)
			places.add(c.bits(), rows.places(c)...)
		}
		paired := rows.columns[:min(len(rows.columns), maxPaired)]
		for k := range paired {
			for j := range paired {
				if a, b := &paired[k], &paired[j]; j != k {
					groups.add(a.bits().or(b.bits()), rows.groups(a, b)...)
				}
			}
		}
		rows.products(&products)
	}
	if len(products.values) > 0 {
		for k := range t.whole.columns {
			if c := &t.whole.columns[k]; c.positive {
				products.add(c.bits(), filled(logs(c.values))...)
			}
		}
	}
	for _, b := range []struct {
		name string
		columns
	}{{"hyperparameters", whole}, {"totals", totals}, {"places", places}, {"groups", groups}, {"products", products}} {
		v.addColumns(b.name, n, &b.columns)
	}
}

// columns are columns [n] each and the attributes that each depends on.
type columns struct {
	values [][]float64
	uses   []bitset
}

func (c *columns) add(uses bitset, values ...[]float64) {
	for _, v := range values {
		c.values, c.uses = append(c.values, v), append(c.uses, uses)
	}
}

// addColumns adds a block.
func (v *view) addColumns(name string, n int, c *columns) {
	w := len(c.values)
	raw := make([]float64, n*w)
	for j, column := range c.values {
		for i, x := range column {
			raw[i*w+j] = x
		}
	}
	b, kept := newBlockOf(name, raw, n, w)
	if b.width > 0 {
		b.uses, b.single = pick(c.uses, kept), name == "hyperparameters"
		v.blocks = append(v.blocks, b)
	}
}

func (t *trait) bits() bitset { return bitOf(t.bit) }

// filled returns the values with their mean where one is absent, and where one is absent
// an indicator column; nothing when all are.
func filled(values []float64) [][]float64 {
	out, known := make([]float64, len(values)), make([]float64, len(values))
	sum, count := 0.0, 0
	for i, v := range values {
		if v == v {
			sum += v
			count++
			known[i] = 1
		}
	}
	if count == 0 {
		return nil
	}
	for i, v := range values {
		if out[i] = v; v != v {
			out[i] = sum / float64(count)
		}
	}
	if count == len(values) {
		return [][]float64{out}
	}
	return [][]float64{out, known}
}

// graphs returns the number of graphs.
func (t *table) graphs() int { return len(t.start) - 1 }

// totals returns aggregates of column c over each graph: its sum, mean, least and most
// and, for each of a few operations, its mean.
func (t *table) totals(c *trait) [][]float64 {
	n := t.graphs()
	sum, size, mean := make([]float64, n), make([]float64, n), make([]float64, n)
	smallest, largest := make([]float64, n), make([]float64, n)
	for i := range n {
		count := 0.0
		smallest[i], largest[i] = math.Inf(1), math.Inf(-1)
		for r := t.start[i]; r < t.start[i+1]; r++ {
			if v := c.scaled[r]; v == v {
				count++
				sum[i] += c.values[r]
				mean[i] += v
				smallest[i], largest[i] = min(smallest[i], v), max(largest[i], v)
			}
		}
		size[i] = math.Log1p(math.Abs(sum[i]))
		mean[i] /= count
		if count == 0 {
			smallest[i], largest[i] = math.NaN(), math.NaN()
		}
	}
	out := slices.Concat([][]float64{sum, size}, filled(mean), filled(smallest), filled(largest))
	kinds := t.kinds(c)
	if len(kinds) < 2 || len(kinds) > maxKinds {
		return out
	}
	for _, op := range kinds {
		own := make([]float64, n)
		for i := range n {
			sum, count := 0.0, 0.0
			for r := t.start[i]; r < t.start[i+1]; r++ {
				if v := c.scaled[r]; v == v && t.op[r] == op {
					sum += v
					count++
				}
			}
			own[i] = sum / count
		}
		out = append(out, filled(own)...)
	}
	return out
}

// kinds returns the operations that have a value in column c, by name.
func (t *table) kinds(c *trait) []schemas.Symbol {
	var out []schemas.Symbol
	for r, op := range t.op {
		if c.values[r] == c.values[r] && !slices.Contains(out, op) {
			if out = append(out, op); len(out) > maxKinds {
				break
			}
		}
	}
	sortByName(out)
	return out
}

// places returns the mean of column c at each depth, and in each quarter of the
// depth of a graph.
func (t *table) places(c *trait) [][]float64 {
	n := t.graphs()
	deepest := int32(0)
	for r, v := range c.values {
		if v == v {
			deepest = max(deepest, t.depth[r])
		}
	}
	depths := int(min(deepest, maxPlaces-1)) + 1
	sum, count := make([][]float64, depths+quarters), make([]float64, depths+quarters)
	for p := range sum {
		sum[p] = make([]float64, n)
	}
	for i := range n {
		clear(count)
		first, last := int32(math.MaxInt32), int32(-1)
		for r := t.start[i]; r < t.start[i+1]; r++ {
			if c.values[r] == c.values[r] {
				first, last = min(first, t.depth[r]), max(last, t.depth[r])
			}
		}
		for r := t.start[i]; r < t.start[i+1]; r++ {
			v := c.scaled[r]
			if v != v {
				continue
			}
			if d := int(t.depth[r]); d < depths {
				sum[d][i] += v
				count[d]++
			}
			q := depths + int(t.depth[r]-first)*quarters/int(last-first+1)
			sum[q][i] += v
			count[q]++
		}
		for p := range sum {
			sum[p][i] /= count[p]
		}
	}
	var out [][]float64
	for _, s := range sum {
		out = append(out, filled(s)...)
	}
	return out
}

// groups returns, for each value of column b, the mean of column a over the rows
// that have it, and their number.
func (t *table) groups(a, b *trait) [][]float64 {
	n := t.graphs()
	var out [][]float64
	for _, value := range b.distinct {
		mean, count := make([]float64, n), make([]float64, n)
		for i := range n {
			for r := t.start[i]; r < t.start[i+1]; r++ {
				if v := a.scaled[r]; v == v && b.values[r] == value {
					mean[i] += v
					count[i]++
				}
			}
			mean[i] /= count[i]
		}
		out = append(out, filled(mean)...)
		out = append(out, count)
	}
	return out
}

// products adds logarithms of sums over rows of products of one, two and three
// positive columns, each over its mean. Where one of them is absent it counts as
// 1.
func (t *table) products(to *columns) {
	n := t.graphs()
	var use []*trait
	for k := range t.columns {
		if c := &t.columns[k]; c.positive && len(use) < maxProducts {
			unit := meanOf(c.values)
			values := make([]float64, len(c.values))
			for r, v := range c.values {
				values[r] = v / unit
			}
			use = append(use, &trait{bit: c.bit, values: values})
		}
	}
	sum := func(members ...*trait) {
		out, bits := make([]float64, n), bitset{}
		for _, m := range members {
			bits = bits.or(m.bits())
		}
		for i := range n {
			sum := 0.0
			for r := t.start[i]; r < t.start[i+1]; r++ {
				product, some := 1.0, false
				for _, m := range members {
					if v := m.values[r]; v == v {
						product *= v
						some = true
					}
				}
				if some {
					sum += product
				}
			}
			out[i] = math.Log1p(sum)
		}
		to.add(bits, out)
	}
	for i, a := range use {
		sum(a)
		for j, b := range use[:i] {
			sum(a, b)
			for _, c := range use[:j] {
				sum(a, b, c)
			}
		}
	}
}

// meanOf returns the mean of the values that are not NaN.
func meanOf(values []float64) float64 {
	sum, count := 0.0, 0.0
	for _, v := range values {
		if v == v {
			sum += v
			count++
		}
	}
	return sum / count
}
