package encoders

// The kinds of relation of a row to another of its graph.
const (
	itself = iota
	predecessor
	ancestor // but no predecessor
	successor
	descendant // but no successor
	unrelated
	relationKinds
)

// relations name, for every row of a batch, the rows of its graph that it
// attends to, in the order of their nodes.
type relations struct {
	related lists
	kinds   []uint8 // beside near.items
	longest int     // in one list

	local []int32  // [rows] place of a row in its graph
	bits  []uint64 // [rows, words] its ancestors' places
	words int
}

func (r *relations) kindsOf(row int) []uint8 {
	return r.kinds[r.related.start[row]:r.related.start[row+1]]
}

// after says whether a path leads from another row of the same graph to row.
func (r *relations) after(row, other int32) bool {
	at := r.local[other]
	return r.bits[int(row)*r.words+int(at>>6)]>>(at&63)&1 == 1
}

func (r *relations) kind(row, other int32) uint8 {
	switch {
	case row == other:
		return itself
	case r.after(row, other):
		return ancestor
	case r.after(other, row):
		return descendant
	}
	return unrelated
}

// relate fills b.relations of a batch in its directed form: the whole graph of every row,
// or only the rows on a path with it. Direct edges have a kind of their own in the first
// case.
func (b *batch) relate(whole bool) {
	d, r := &b.dag, &b.relations
	r.findAncestors(b)
	r.related.begin(len(d.row))
	for g := range b.graphs {
		rows := d.row[b.nodeStart[g]:b.nodeStart[g+1]]
		for _, row := range rows {
			n := len(rows)
			if !whole {
				n = 0
				for _, other := range rows {
					if r.kind(row, other) != unrelated {
						n++
					}
				}
			}
			r.related.count(row, n)
		}
	}
	r.longest = r.related.counted()
	r.kinds = resized(r.kinds, len(r.related.items))
	for g := range b.graphs {
		rows := d.row[b.nodeStart[g]:b.nodeStart[g+1]]
		for _, row := range rows {
			for _, other := range rows {
				if kind := r.kind(row, other); whole || kind != unrelated {
					r.kinds[r.related.start[row+1]] = kind
					r.related.put(row, other)
				}
			}
		}
	}
	if !whole {
		return
	}
	for row := range d.row {
		kinds := r.kindsOf(row)
		for _, other := range d.before.of(row) {
			kinds[r.local[other]] = predecessor
		}
		for _, other := range d.after.of(row) {
			kinds[r.local[other]] = successor
		}
	}
}

// findAncestors finds the ancestors of every row from those of its predecessors, which
// come before it.
func (r *relations) findAncestors(b *batch) {
	d, longest := &b.dag, 0
	r.local = resized(r.local, len(d.row))
	for g := range b.graphs {
		rows := d.row[b.nodeStart[g]:b.nodeStart[g+1]]
		longest = max(longest, len(rows))
		for place, row := range rows {
			r.local[row] = int32(place)
		}
	}
	r.words = (longest + 63) / 64
	r.bits = resized(r.bits, len(d.row)*r.words)
	clear(r.bits)
	for row := range d.row {
		own := r.bits[row*r.words:][:r.words]
		for _, before := range d.before.of(row) {
			for i, word := range r.bits[int(before)*r.words:][:r.words] {
				own[i] |= word
			}
			at := r.local[before]
			own[at>>6] |= 1 << (at & 63)
		}
	}
}
