package teacher

// depthsBlock is the prefix of the names of its blocks.
const depthsBlock = "depths"

// depths counts the operations of each class at each depth: the position along a network,
// which determines a chain.
type depths struct {
	classes, depths int
	depth           []int
}

// newDepths is for cells of a family that are at most so deep.
func newDepths(f family, deepest int) *depths {
	return &depths{classes: f.classes, depths: min(deepest, maxPlaces)}
}

// width returns the number of features.
func (d *depths) width() int { return d.classes * d.depths }

// features writes the counts of c to dst [width], [depth][class]. Operations
// beyond the last depth count there.
func (d *depths) features(c *cell, dst []float64) {
	clear(dst)
	d.depth = d.depth[:0]
	for t := range c.last() {
		depth := 0
		for _, u := range c.preds(t) {
			step := 0
			if c.class[u] >= 0 {
				step = 1
			}
			depth = max(depth, d.depth[u]+step)
		}
		d.depth = append(d.depth, depth)
		if k := c.class[t]; k >= 0 {
			dst[min(depth, d.depths-1)*d.classes+k]++
		}
	}
}
