package encoders

import (
	"cmp"
	"slices"

	"archflow/schemas"
)

// refinement holds the colours of a batch's nodes after one round of Weisfeiler-Leman
// refinement, a round per layer.
//
// The state of a node depends on its own state and on those of its neighbours a layer
// before, so nodes of one colour share it: an encoder computes each state once. The
// colours of round 0 are the operations.
type refinement struct {
	codes      []int32 // [colours] operation of the nodes of this colour
	own        []int32 // [colours] their colour in the round before
	start      []int32 // [colours+1] into neighbours
	neighbours []int32 // their neighbours' colours in the round before
	colours    []int32 // [nodes] colour of every node
	keys       []key   // [colours]
	nodes      []int32 // [colours] number of nodes
}

// size returns the number of colours; round 0 counts none.
func (l *refinement) size() int { return len(l.own) }

// span returns the range in neighbours of a colour's neighbours.
func (l *refinement) span(colour int) (from, to int) {
	return int(l.start[colour]), int(l.start[colour+1])
}

// dependsOn returns an upper bound of the colours of the round before that the colours
// from first to last depend on, all earlier ones counted.
func (l *refinement) dependsOn(first, last int) int {
	highest := slices.Max(l.own[first:last])
	for _, c := range l.neighbours[l.start[first]:l.start[last]] {
		highest = max(highest, c)
	}
	return int(highest) + 1
}

// key identifies a colour across rounds and batches. 128 bits make equal keys of
// different colours as unlikely as equal hashes of different architectures.
type key struct{ a, b uint64 }

// spread scatters a key, so that keys of neighbours can be added, in any order.
func (k key) spread() key {
	return key{mixed(k.a ^ 0x9e3779b97f4a7c15), mixed(k.b ^ 0xc2b2ae3d27d4eb4f)}
}

// above returns the key of a colour in the next round, given the sum of its neighbours'
// spread keys.
func (k key) above(sum key) key {
	return key{mixed(k.a*0xd6e8feb86659fd93 + sum.a), mixed(k.b*0xa0761d6478bd642f + sum.b)}
}

// mixed is a bijection that leaves no bit where it was. Source: Steele et al.,
// "Fast splittable pseudorandom number generators", 2014.
func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// colourTable finds the colours of one round by their keys.
type colourTable struct {
	slots   []int32 // state + 1, 0 where free; a power of two
	spreads []key   // of the level below
}

// build computes the rounds after round 0, whose colours b.rounds[0].colours holds. At
// most maxNodes nodes share a colour.
func (t *colourTable) build(b *batch, maxNodes int32) {
	ground := &b.rounds[0]
	ground.keys = ground.keys[:0]
	for c := range slices.Max(append(ground.colours, 0)) + 1 {
		ground.keys = append(ground.keys, b.blends.key(c))
	}
	size := 16
	for size < 2*len(ground.colours) {
		size *= 2
	}
	t.slots = resized(t.slots, size)
	for i := range b.rounds[1:] {
		t.refine(&b.rounds[i+1], &b.rounds[i], b, maxNodes)
	}
}

// refine computes round l from the round below.
func (t *colourTable) refine(l, below *refinement, b *batch, maxNodes int32) {
	l.codes, l.own, l.neighbours, l.keys, l.nodes = l.codes[:0], l.own[:0], l.neighbours[:0], l.keys[:0], l.nodes[:0]
	l.start, l.colours = append(l.start[:0], 0), resized(l.colours, len(below.colours))
	t.spreads = t.spreads[:0]
	for _, k := range below.keys {
		t.spreads = append(t.spreads, k.spread())
	}
	clear(t.slots)
	mask := uint64(len(t.slots) - 1)
	for i, own := range below.colours {
		neighbours := b.neighbour[b.edgeStart[i]:b.edgeStart[i+1]]
		var sum key
		for _, j := range neighbours {
			s := &t.spreads[below.colours[j]]
			sum.a += s.a
			sum.b += s.b
		}
		k := below.keys[own].above(sum)
		slot := k.a & mask
		for t.slots[slot] != 0 && l.keys[t.slots[slot]-1] != k {
			slot = (slot + 1) & mask
		}
		if t.slots[slot] == 0 || l.nodes[t.slots[slot]-1] == maxNodes {
			l.add(k, b.rounds[0].colours[i], own, neighbours, below)
			t.slots[slot] = int32(len(l.keys))
		}
		l.colours[i] = t.slots[slot] - 1
		l.nodes[l.colours[i]]++
	}
}

// add appends a colour. Its neighbours are put into the order of their keys: sums over
// them must not depend on the node that was coloured first.
func (l *refinement) add(k key, code, own int32, neighbours []int32, below *refinement) {
	l.keys, l.nodes = append(l.keys, k), append(l.nodes, 0)
	l.codes = append(l.codes, code)
	l.own = append(l.own, own)
	from := len(l.neighbours)
	for _, j := range neighbours {
		l.neighbours = append(l.neighbours, below.colours[j])
	}
	byKey(l.neighbours[from:], below.keys)
	l.start = append(l.start, int32(len(l.neighbours)))
}

// similar orders rows so that graphs of equal edges and mostly equal operations are
// neighbours, whose nodes share colours. order[i] is the place in rows of the i-th; keys
// is memory.
func similar(order []int, keys []uint64, v *Vocabulary, g *schemas.Graphs, rows []int) ([]int, []uint64) {
	order, keys = resized(order, len(rows)), resized(keys, len(rows))
	for r, i := range rows {
		ops, edges := g.Graph(i)
		shape := uint64(len(ops))
		for _, u := range edges {
			shape = shape*0x9e3779b97f4a7c15 + uint64(u)
		}
		k := mixed(shape)
		for _, op := range ops[:min(len(ops), 11)] {
			k = k<<4 | uint64(v.Code(op))&15
		}
		order[r], keys[r] = r, k
	}
	slices.SortFunc(order, func(x, y int) int { return cmp.Or(cmp.Compare(keys[x], keys[y]), cmp.Compare(x, y)) })
	return order, keys
}

// byKey sorts states by their keys. Most nodes have a few neighbours.
func byKey(states []int32, keys []key) {
	if len(states) > 12 {
		slices.SortFunc(states, func(x, y int32) int { return cmp.Compare(keys[x].a, keys[y].a) })
		return
	}
	for i := 1; i < len(states); i++ {
		s, j := states[i], i
		for ; j > 0 && keys[states[j-1]].a > keys[s].a; j-- {
			states[j] = states[j-1]
		}
		states[j] = s
	}
}
