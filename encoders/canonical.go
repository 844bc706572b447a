package encoders

import (
	"cmp"
	"slices"
)

// canonical puts the nodes of a graph into an order that does not depend on their
// numbering: by generation, then by their place in the unlabelled graph, so that graphs
// of one shape are ordered alike, then by operations. Nodes are distinguished by colours,
// each refined by those of its predecessors and successors until no more differ; while
// two nodes still have the same, one of the first such is given a colour of its own, and
// refinement goes on. Source: McKay, "Practical graph isomorphism", 1981. There is no
// search: where nodes of one colour are not interchangeable, which takes a graph of great
// regularity, the order may depend on the numbering.
type canonical struct {
	generation       []int32  // [rows]
	structure, whole []uint64 // [rows] colours without and with operations
	next             []uint64
	order            []int32
}

// begin takes the generations and first colours of a batch.
func (c *canonical) begin(d *dag) {
	n := len(d.row)
	c.generation, c.structure = resized(c.generation, n), resized(c.structure, n)
	c.whole, c.next = resized(c.whole, n), resized(c.next, n)
	for generation := range d.generations() {
		from, to := d.rows(generation)
		for row := from; row < to; row++ {
			c.generation[row] = int32(generation)
			c.structure[row] = mixed(uint64(generation) + 1)
		}
	}
	clear(c.whole)
}

// sort returns the rows of a graph in order, valid until the next call.
func (c *canonical) sort(d *dag, rows []int32) []int32 {
	c.order = append(c.order[:0], rows...)
	c.refine(c.structure, d)
	for _, row := range rows {
		c.whole[row] = mixed(c.structure[row] ^ d.blends.key(d.code[row]).a)
	}
	for c.refine(c.whole, d) < len(rows) {
		for i, row := range c.order[1:] {
			if c.compare(c.order[i], row) == 0 {
				c.whole[row] = mixed(^c.whole[row])
				break
			}
		}
	}
	return c.order
}

// refine colours the rows of c.order, sorts them, and returns the number of
// colours, which the last round has not changed.
func (c *canonical) refine(colours []uint64, d *dag) int {
	for count := c.colours(); ; {
		for _, row := range c.order {
			var before, after uint64
			for _, j := range d.before.of(int(row)) {
				before += mixed(colours[j] ^ 0x9e3779b97f4a7c15)
			}
			for _, j := range d.after.of(int(row)) {
				after += mixed(colours[j] ^ 0xc2b2ae3d27d4eb4f)
			}
			c.next[row] = mixed(mixed(colours[row]*0xd6e8feb86659fd93+before) + after)
		}
		for _, row := range c.order {
			colours[row] = c.next[row]
		}
		now := c.colours()
		if now <= count {
			return now
		}
		count = now
	}
}

// colours sorts the rows and counts those that differ.
func (c *canonical) colours() int {
	slices.SortFunc(c.order, c.compare)
	count := 1
	for i, row := range c.order[1:] {
		if c.compare(c.order[i], row) != 0 {
			count++
		}
	}
	return count
}

func (c *canonical) compare(x, y int32) int {
	return cmp.Or(cmp.Compare(c.generation[x], c.generation[y]),
		cmp.Compare(c.structure[x], c.structure[y]), cmp.Compare(c.whole[x], c.whole[y]))
}
