package teacher

// Features of subsets of operations, after GRAF (Kadlecová et al., ICML 2024):
// how many, how they are linked, the shortest way through them alone, the most
// and the fewest that a way through the cell meets.

// allSubsetsUpTo is the number of classes up to which every subset is used.
const allSubsetsUpTo = 5

// masks returns the subsets of k classes that features are computed for: all of them, or
// when they are many the single ones, the pairs, the complements of one, and the whole.
// The single ones come first.
func masks(k int) []uint32 {
	var out []uint32
	whole := uint32(1)<<k - 1
	add := func(m uint32) {
		for _, have := range out {
			if have == m {
				return
			}
		}
		if m != 0 {
			out = append(out, m)
		}
	}
	for a := range k {
		add(1 << a)
	}
	add(whole)
	for a := range k {
		add(whole &^ (1 << a))
	}
	if k <= allSubsetsUpTo {
		for m := uint32(1); m <= whole; m++ {
			add(m)
		}
		return out
	}
	for a := range k {
		for b := range a {
			add(1<<a | 1<<b)
		}
	}
	return out
}

// subsets computes the features of the subsets of one family.
type subsets struct {
	masks   []uint32
	sources int // kinds of source in the space
	far     int // length of a way that does not exist

	short, longest []int
}

func newSubsets(f family, far int) *subsets {
	return &subsets{masks: masks(f.classes), sources: f.sources, far: far}
}

const perSubset = 10

// width returns the number of features.
func (s *subsets) width() int { return len(s.masks)*(perSubset+3*s.ways()) + 3 }

// ways returns the number of kinds of source, beside all together.
func (s *subsets) ways() int {
	if s.sources == 1 {
		return 0
	}
	return min(s.sources, 4)
}

// features writes the features of c to dst [width].
func (s *subsets) features(c *cell, dst []float64) {
	join := c.last()
	at := 0
	put := func(v float64) { dst[at] = v; at++ }
	put(float64(join))
	put(float64(c.predStart[join]))
	depth := 0
	s.run(c, ^uint32(0), -1)
	if s.short[join] < s.far {
		depth = s.longest[join]
	}
	put(float64(depth))
	for _, m := range s.masks {
		var count, inside, into, out, maxInto, maxOut, fed, feeding int
		for t := range join {
			if c.class[t] < 0 || m>>c.class[t]&1 == 0 {
				continue
			}
			preds := c.preds(t)
			count++
			into += len(preds)
			out += c.out[t]
			maxInto, maxOut = max(maxInto, len(preds)), max(maxOut, c.out[t])
			isFed := false
			for _, u := range preds {
				if k := c.class[u]; k >= 0 && m>>k&1 == 1 {
					inside++
				} else if k < 0 {
					isFed = true
				}
			}
			if isFed {
				fed++
			}
		}
		for t := range join + 1 {
			if c.class[t] == sinkClass {
				for _, u := range c.preds(t) {
					if k := c.class[u]; k >= 0 && m>>k&1 == 1 {
						feeding++
					}
				}
			}
		}
		put(float64(count))
		put(float64(inside))
		put(ratio(into, count))
		put(ratio(out, count))
		put(float64(maxInto))
		put(float64(maxOut))
		put(float64(fed))
		put(float64(feeding))
		s.run(c, m, -1)
		put(float64(s.short[join]))
		put(float64(s.longest[join]))
		for w := range s.ways() {
			s.run(c, m, w)
			put(float64(s.short[join]))
			put(float64(s.longest[join]))
			fed := 0
			for t := range join {
				if c.class[t] < 0 || m>>c.class[t]&1 == 0 {
					continue
				}
				for _, u := range c.preds(t) {
					if c.source[u] == w {
						fed++
					}
				}
			}
			put(float64(fed))
		}
	}
}

// run finds for each node the fewest inner nodes of a way to it through
// members of m alone, and the most members of m on any way; ways start at the
// sources of one kind, or at every node without predecessors when kind is -1.
func (s *subsets) run(c *cell, m uint32, kind int) {
	s.short, s.longest = s.short[:0], s.longest[:0]
	for t := range c.class {
		preds := c.preds(t)
		short, largest := s.far, -1
		k := c.class[t]
		member := k >= 0 && m>>k&1 == 1
		if len(preds) == 0 && t < c.last() && (kind < 0 || c.source[t] == kind) {
			short, largest = 0, 0
		}
		for _, u := range preds {
			short, largest = min(short, s.short[u]), max(largest, s.longest[u])
		}
		switch {
		case member:
			if largest >= 0 {
				largest++
			}
			short = min(short+1, s.far)
		case k >= 0:
			short = s.far
		}
		s.short, s.longest = append(s.short, short), append(s.longest, largest)
	}
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
