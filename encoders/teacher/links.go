package teacher

// links counts which classes of operations feed which; terminals are one class
// more.
type links struct{ classes int }

// width returns the number of features.
func (l links) width() int { return (l.classes + 1) * (l.classes + 1) }

// features writes the counts of c to dst [width], [from][to].
func (l links) features(c *cell, dst []float64) {
	clear(dst)
	class := func(t int) int {
		if k := c.class[t]; k >= 0 {
			return k
		}
		return l.classes
	}
	for t := range c.last() {
		for _, u := range c.preds(t) {
			dst[class(u)*(l.classes+1)+class(t)]++
		}
	}
}
