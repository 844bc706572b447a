package encoders

import (
	"cmp"
	"slices"

	"archflow/schemas"
)

// level holds the distinct states of a batch's nodes after so many layers.
//
// A state depends on a node's own state and on those of its neighbours a layer
// before, so nodes with equal surroundings share it: an encoder computes each
// state once. The states of level 0 are the operations.
type level struct {
	codes []int32 // [states] operation of the nodes in this state
	self  []int32 // [states] their state one level below
	start []int32 // [states+1] into near
	near  []int32 // their neighbours' states one level below
	at    []int32 // [nodes] state of every node
	keys  []key   // [states]
	nodes []int32 // [states] how many nodes are in it
}

// states returns how many there are; level 0 counts none.
func (l *level) states() int { return len(l.self) }

// neighbours returns where in near those of a state stand.
func (l *level) neighbours(state int) (from, to int) {
	return int(l.start[state]), int(l.start[state+1])
}

// reach returns how many states one level below the states from first to last
// depend on at most, all earlier ones counted.
func (l *level) reach(first, last int) int {
	most := slices.Max(l.self[first:last])
	for _, s := range l.near[l.start[first]:l.start[last]] {
		most = max(most, s)
	}
	return int(most) + 1
}

// key identifies a state across levels and batches. 128 bits make equal keys of
// different states as unlikely as equal hashes of different architectures.
type key struct{ a, b uint64 }

// spread scatters a key, so that keys of neighbours can be added, in any order.
func (k key) spread() key {
	return key{mixed(k.a ^ 0x9e3779b97f4a7c15), mixed(k.b ^ 0xc2b2ae3d27d4eb4f)}
}

// above returns the key one level above a state, given the sum of its
// neighbours' spread keys.
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

// stateTable finds the states of one level by their keys.
type stateTable struct {
	slots   []int32 // state + 1, 0 where free; a power of two
	spreads []key   // of the level below
}

// build fills the levels above level 0, which b.levels[0].at holds. At most so
// many nodes share a state.
func (t *stateTable) build(b *batch, most int32) {
	ground := &b.levels[0]
	ground.keys = ground.keys[:0]
	for c := range slices.Max(append(ground.at, 0)) + 1 {
		ground.keys = append(ground.keys, b.blends.key(c))
	}
	size := 16
	for size < 2*len(ground.at) {
		size *= 2
	}
	t.slots = resized(t.slots, size)
	for i := range b.levels[1:] {
		t.rise(&b.levels[i+1], &b.levels[i], b, most)
	}
}

// rise fills the level that is one above below.
func (t *stateTable) rise(l, below *level, b *batch, most int32) {
	l.codes, l.self, l.near, l.keys, l.nodes = l.codes[:0], l.self[:0], l.near[:0], l.keys[:0], l.nodes[:0]
	l.start, l.at = append(l.start[:0], 0), resized(l.at, len(below.at))
	t.spreads = t.spreads[:0]
	for _, k := range below.keys {
		t.spreads = append(t.spreads, k.spread())
	}
	clear(t.slots)
	mask := uint64(len(t.slots) - 1)
	for i, own := range below.at {
		neighbours := b.neighbour[b.edgeStart[i]:b.edgeStart[i+1]]
		var sum key
		for _, j := range neighbours {
			s := &t.spreads[below.at[j]]
			sum.a += s.a
			sum.b += s.b
		}
		k := below.keys[own].above(sum)
		slot := k.a & mask
		for t.slots[slot] != 0 && l.keys[t.slots[slot]-1] != k {
			slot = (slot + 1) & mask
		}
		if t.slots[slot] == 0 || l.nodes[t.slots[slot]-1] == most {
			l.add(k, b.levels[0].at[i], own, neighbours, below)
			t.slots[slot] = int32(len(l.keys))
		}
		l.at[i] = t.slots[slot] - 1
		l.nodes[l.at[i]]++
	}
}

// add appends a state. Its neighbours are put into the order of their keys:
// sums over them must not depend on the node that met the state first.
func (l *level) add(k key, code, own int32, neighbours []int32, below *level) {
	l.keys, l.nodes = append(l.keys, k), append(l.nodes, 0)
	l.codes = append(l.codes, code)
	l.self = append(l.self, own)
	from := len(l.near)
	for _, j := range neighbours {
		l.near = append(l.near, below.at[j])
	}
	byKey(l.near[from:], below.keys)
	l.start = append(l.start, int32(len(l.near)))
}

// similar orders rows so that graphs of equal edges and mostly equal operations
// stand together, whose nodes share states. order[i] is the place in rows of
// the i-th; keys is memory.
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
