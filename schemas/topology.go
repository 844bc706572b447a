package schemas

// predecessors lists the predecessors of each node: compressed rows.
type predecessors struct {
	start []int32 // [n+1]
	node  []int32
}

func (p *predecessors) of(v int) []int32 { return p.node[p.start[v]:p.start[v+1]] }

// build lists the predecessors of n nodes, each in the order of the edges.
func (p *predecessors) build(n int, edges []int32) {
	p.start, p.node = sized(p.start, n+1), sized(p.node, len(edges)/2)
	start, node := p.start, p.node
	clear(start)
	for e := 1; e < len(edges); e += 2 {
		start[edges[e]]++
	}
	// start[v] runs down from the end of row v to its beginning.
	var sum int32
	for v, degree := range start {
		sum += degree
		start[v] = sum
	}
	for e := len(edges) - 2; e >= 0; e -= 2 {
		to := edges[e+1]
		start[to]--
		node[start[to]] = edges[e]
	}
}

// topology checks and orders graphs and reuses its memory.
type topology struct {
	in     predecessors
	mark   []int32
	degree []int32
	next   []int32 // successors, compressed
	from   []int32
	ready  []int32 // a heap
	rank   []int32 // the new number of each node
	spare  []Symbol
}

// survey reports whether from < to for every edge, and whether every edge comes
// after the one before in the order of from and then to, so that none repeats.
func survey(edges []int32) (inOrder, ascending bool) {
	inOrder, ascending = true, true
	last := int64(-1)
	for e := 0; e+1 < len(edges); e += 2 {
		from, to := edges[e], edges[e+1]
		if from >= to {
			inOrder = false
		}
		edge := int64(from)<<32 | int64(to)
		if edge <= last {
			ascending = false
		}
		last = edge
	}
	return inOrder, ascending
}

// order renumbers the nodes of edges, none of which leads from a node to
// itself, so that from < to; t.rank then has the new numbers. Of the nodes that
// could come next, the one that was given first does. On a cycle it returns one
// of its nodes, else -1.
func (t *topology) order(n int, edges []int32) (cycle int) {
	// The predecessors of the reversed graph are the successors.
	t.degree, t.from = sized(t.degree, n), sized(t.from, n+1)
	clear(t.degree)
	clear(t.from)
	for e := 0; e < len(edges); e += 2 {
		t.degree[edges[e+1]]++
		t.from[edges[e]]++
	}
	var sum int32
	for v, degree := range t.from {
		sum += degree
		t.from[v] = sum
	}
	t.next = sized(t.next, len(edges)/2)
	for e := 0; e < len(edges); e += 2 {
		from := edges[e]
		t.from[from]--
		t.next[t.from[from]] = edges[e+1]
	}
	t.rank = sized(t.rank, n)
	t.ready = t.ready[:0]
	for v, degree := range t.degree {
		t.rank[v] = -1
		if degree == 0 {
			t.ready = append(t.ready, int32(v)) // ascending: a heap already
		}
	}
	done := int32(0)
	for len(t.ready) > 0 {
		v := t.pop()
		t.rank[v] = done
		done++
		for _, w := range t.next[t.from[v]:t.from[v+1]] {
			if t.degree[w]--; t.degree[w] == 0 {
				t.push(w)
			}
		}
	}
	if int(done) < n {
		return t.onCycle(n, edges)
	}
	for e := range edges {
		edges[e] = t.rank[edges[e]]
	}
	return -1
}

// onCycle returns a node of a cycle: every node that was left over has a
// predecessor that was, so that walking back must come round.
func (t *topology) onCycle(n int, edges []int32) int {
	t.in.build(n, edges)
	t.mark = sized(t.mark, n)
	clear(t.mark)
	v := 0
	for t.rank[v] >= 0 {
		v++
	}
	for t.mark[v] == 0 {
		t.mark[v] = 1
		for _, u := range t.in.of(v) {
			if t.rank[u] < 0 {
				v = int(u)
				break
			}
		}
	}
	return v
}

func (t *topology) push(v int32) {
	t.ready = append(t.ready, v)
	h := t.ready
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent] <= h[i] {
			return
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

func (t *topology) pop() int32 {
	h := t.ready
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	t.ready = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			return top
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if h[i] <= h[child] {
			return top
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// permute puts ops into the order of the last call of order.
func (t *topology) permute(ops []Symbol) {
	t.spare = append(t.spare[:0], ops...)
	for v, op := range t.spare {
		ops[t.rank[v]] = op
	}
}

// merge drops the edges that repeat an earlier one, keeping the order of the
// rest. t.in lists the predecessors before and after.
func (t *topology) merge(n int, edges []int32) []int32 {
	t.mark = sized(t.mark, n)
	clear(t.mark)
	twice := false
	for v := range n {
		for _, u := range t.in.of(v) {
			if t.mark[u] == int32(v)+1 {
				twice = true
			}
			t.mark[u] = int32(v) + 1
		}
	}
	if !twice {
		return edges
	}
	seen := make(map[[2]int32]bool, len(edges)/2)
	kept := edges[:0]
	for e := 0; e < len(edges); e += 2 {
		pair := [2]int32{edges[e], edges[e+1]}
		if !seen[pair] {
			seen[pair] = true
			kept = append(kept, pair[0], pair[1])
		}
	}
	t.in.build(n, kept)
	return kept
}
