package teacher

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Gradient boosting of small regression trees on squared error, each grown on
// a random part of the labels, each split chosen among a random part of the
// columns. Columns are cut into at most maxBins bins by the labelled values.

const (
	treeRate   = 0.06
	treeRows   = 0.6 // share of the labels that a tree sees
	treeColumn = 0.1 // share of the columns that a split sees
	maxBins    = 64
)

// growth is how much is grown, more and deeper but less often for more labels.
type growth struct {
	trees, depth int
	seeds        int // ensembles averaged for the score
	folds        int
	foldSeeds    int // and for each fold of the held-out scores
}

func growthFor(labels int) growth {
	switch {
	case labels <= 500:
		return growth{trees: 150, depth: 3, seeds: 4, folds: 8, foldSeeds: 2}
	case labels <= 2500:
		return growth{trees: 250, depth: 5, seeds: 2, folds: 5, foldSeeds: 1}
	default:
		return growth{trees: 300, depth: 7, seeds: 1, folds: 3, foldSeeds: 1}
	}
}

// node of a tree; a leaf has column -1.
type node struct {
	column      int
	threshold   float32 // rows below go left
	cut         uint8   // the same in bins: the last that goes left
	left, right int
	value       float64
}

// binned holds the labelled rows by columns, cut into bins.
type binned struct {
	rows, width int
	bin         []uint8     // [width][rows]
	edges       [][]float32 // of each column: the threshold above each bin but the last
	pace        func() int  // before each tree, if given
}

// newBinned cuts x [rows, width].
func newBinned(x []float32, width int) *binned {
	b := &binned{rows: len(x) / max(width, 1), width: width, bin: make([]uint8, len(x)), edges: make([][]float32, width)}
	column := make([]float32, b.rows)
	for j := range width {
		for i := range column {
			column[i] = x[i*width+j]
		}
		sorted := slices.Clone(column)
		slices.Sort(sorted)
		levels := slices.Compact(slices.Clone(sorted))
		if len(levels) > maxBins { // quantiles of the rows, not of the levels
			cut := levels[:0]
			for q := range maxBins {
				cut = append(cut, sorted[(2*q+1)*len(sorted)/(2*maxBins)])
			}
			levels = slices.Compact(cut)
		}
		for k := 1; k < len(levels); k++ {
			b.edges[j] = append(b.edges[j], (levels[k-1]+levels[k])/2)
		}
		for i, v := range column {
			at, equal := slices.BinarySearch(b.edges[j], v)
			if equal {
				at++
			}
			b.bin[j*b.rows+i] = uint8(at)
		}
	}
	return b
}

// boost returns the trees, all in one slice, and their roots.
func (b *binned) boost(rows []int, z []float64, by growth, rng *rand.Rand) (nodes []node, roots []int) {
	fit := make([]float64, b.rows)
	rest := make([]float64, b.rows)
	order := slices.Clone(rows)
	nodes = make([]node, 0, by.trees<<(min(by.depth, 3)+1)) // a deep tree is rarely full
	for range by.trees {
		if b.pace != nil {
			b.pace()
		}
		for _, i := range rows {
			rest[i] = z[i] - fit[i]
		}
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		roots = append(roots, len(nodes))
		nodes = b.grow(nodes, order[:max(int(treeRows*float64(len(order))), 2)], rest, by.depth, rng)
		root := &nodes[roots[len(roots)-1]]
		for _, i := range rows {
			k := root
			for k.column >= 0 {
				if b.bin[k.column*b.rows+i] > k.cut {
					k = &nodes[k.right]
				} else {
					k = &nodes[k.left]
				}
			}
			fit[i] += k.value
		}
	}
	return nodes, roots
}

// grow appends to nodes the tree of rows, depth splits deep.
func (b *binned) grow(nodes []node, rows []int, rest []float64, depth int, rng *rand.Rand) []node {
	sum := 0.0
	for _, i := range rows {
		sum += rest[i]
	}
	self := len(nodes)
	nodes = append(nodes, node{column: -1, value: treeRate * sum / float64(len(rows))})
	if depth == 0 || len(rows) < 2 {
		return nodes
	}
	var sums [maxBins]float64
	var counts [maxBins]int
	best, column, cut, below := sum*sum/float64(len(rows))+1e-12, -1, 0, 0
	for range max(int(treeColumn*float64(b.width)), 1) {
		j := rng.IntN(b.width)
		bins := len(b.edges[j]) + 1
		if bins == 1 {
			continue
		}
		clear(sums[:bins])
		clear(counts[:bins])
		col := b.bin[j*b.rows : (j+1)*b.rows]
		for _, i := range rows {
			sums[col[i]] += rest[i]
			counts[col[i]]++
		}
		left, n := 0.0, 0
		for k := range bins - 1 {
			left += sums[k]
			n += counts[k]
			if n == 0 || n == len(rows) {
				continue
			}
			right := sum - left
			if gain := left*left/float64(n) + right*right/float64(len(rows)-n); gain > best {
				best, column, cut, below = gain, j, k, n
			}
		}
	}
	if column < 0 {
		return nodes
	}
	both := make([]int, len(rows))
	low, high := both[:0:below], both[below:below]
	for _, i := range rows {
		if int(b.bin[column*b.rows+i]) <= cut {
			low = append(low, i)
		} else {
			high = append(high, i)
		}
	}
	nodes[self].column, nodes[self].threshold, nodes[self].cut = column, b.edges[column][cut], uint8(cut)
	nodes[self].left = len(nodes)
	nodes = b.grow(nodes, low, rest, depth-1, rng)
	nodes[self].right = len(nodes)
	return b.grow(nodes, high, rest, depth-1, rng)
}

// follow returns the sum of the trees for one row of columns.
func follow(nodes []node, roots []int, row []float32) float64 {
	sum := 0.0
	for _, at := range roots {
		for nodes[at].column >= 0 {
			if row[nodes[at].column] < nodes[at].threshold {
				at = nodes[at].left
			} else {
				at = nodes[at].right
			}
		}
		sum += nodes[at].value
	}
	return sum
}

// forest is the trees of several ensembles, each filled up to full depth, so that
// a row takes the same steps in all of them.
type forest struct {
	depth  int
	seeds  int
	splits []split   // [tree][2^depth - 1]
	leaves []float64 // [tree][2^depth]
}

type split struct {
	column    int
	threshold float32 // rows below go left
}

// add appends the tree at a root.
func (f *forest) add(nodes []node, root int) {
	splits, leaves := len(f.splits), len(f.leaves)
	f.splits = append(f.splits, make([]split, 1<<f.depth-1)...)
	f.leaves = append(f.leaves, make([]float64, 1<<f.depth)...)
	f.fill(f.splits[splits:], f.leaves[leaves:], nodes, root, 0)
}

func (f *forest) fill(splits []split, leaves []float64, nodes []node, from, to int) {
	if to >= len(splits) {
		leaves[to-len(splits)] = nodes[from].value
		return
	}
	left, right := from, from
	if n := nodes[from]; n.column >= 0 {
		splits[to] = split{n.column, n.threshold}
		left, right = n.left, n.right
	}
	f.fill(splits, leaves, nodes, left, 2*to+1)
	f.fill(splits, leaves, nodes, right, 2*to+2)
}

// predict adds the mean of the ensembles to dst, the scores of the networks of a
// tile.
func (f *forest) predict(dst []float64, t *tile) {
	if len(f.leaves) == 0 {
		return
	}
	inner, outer := 1<<f.depth-1, 1<<f.depth
	trees := len(f.leaves) / outer
	sums := make([]float64, t.rows)
	for tree := range trees {
		splits, leaves := f.splits[tree*inner:(tree+1)*inner], f.leaves[tree*outer:(tree+1)*outer]
		for i := range sums {
			at := 0
			for range f.depth {
				s := &splits[at]
				at = 2*at + 1
				if t.values[s.column*t.stride+i] >= s.threshold {
					at++
				}
			}
			sums[i] += leaves[at-inner]
		}
		if (tree+1)%(trees/f.seeds) == 0 {
			for i, sum := range sums {
				dst[i] += sum / float64(f.seeds)
			}
			clear(sums)
		}
	}
}

// boosted returns the trees that answer for all networks, and the cross-validated
// scores of the labelled, whose columns are at [labels, width].
func boosted(pace func() int, at []float32, width int, z []float64, rng *rand.Rand) (f *forest, outOfFold []float64) {
	by := growthFor(len(z))
	f, outOfFold = &forest{depth: by.depth, seeds: by.seeds}, make([]float64, len(z))
	if width == 0 {
		return f, outOfFold
	}
	b := newBinned(at, width)
	b.pace = pace
	for range by.seeds {
		nodes, roots := b.boost(all(len(z)), z, by, rng)
		for _, root := range roots {
			f.add(nodes, root)
		}
	}
	order := rng.Perm(len(z))
	folds := min(by.folds, len(z))
	for fold := range folds {
		var in, out []int
		for k, i := range order {
			if k%folds == fold {
				out = append(out, i)
			} else {
				in = append(in, i)
			}
		}
		for range by.foldSeeds {
			nodes, roots := b.boost(in, z, by, rng)
			for _, i := range out {
				outOfFold[i] += follow(nodes, roots, at[i*width:(i+1)*width]) / float64(by.foldSeeds)
			}
		}
	}
	return f, outOfFold
}

// softmax returns the mean of values weighted by exp(merit/temperature).
func softmax(values, merit []float64, temperature float64) float64 {
	top := slices.Max(merit)
	sum, total := 0.0, 0.0
	for i, v := range values {
		e := math.Exp((merit[i] - top) / temperature)
		sum += v * e
		total += e
	}
	return sum / total
}
