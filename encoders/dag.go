package encoders

import (
	"slices"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

// dag is a batch of directed graphs. A row is a node; rows are sorted by
// generation over all graphs, so that a pass along the edges is as many products
// of matrices as there are generations, however many graphs there are.
type dag struct {
	start   []int32 // [generations+1] into rows
	row     []int32 // [nodes] of every node of the batch
	code    []int32 // [rows] operation
	before  lists   // rows of the predecessors of every row
	after   lists   // rows of its successors
	longest int     // in a list of either
	depth   []int32 // [nodes] generation
	blends  *blends // codes behind the vocabulary

	codes []int32 // of a graph's nodes
}

// lists are short lists of numbers side by side.
type lists struct{ start, items []int32 }

func (l *lists) of(i int) []int32 { return l.items[l.start[i]:l.start[i+1]] }

// begin makes room for n lists, whose items are first counted, then put.
func (l *lists) begin(n int) {
	l.start = resized(l.start, n+2)
	clear(l.start)
}

func (l *lists) count(i int32, items int) { l.start[i+2] += int32(items) }

// counted ends the counting and returns the length of the longest list.
func (l *lists) counted() int {
	longest := int32(0)
	for i := 2; i < len(l.start); i++ {
		longest = max(longest, l.start[i])
		l.start[i] += l.start[i-1]
	}
	l.items = resized(l.items, int(l.start[len(l.start)-1]))
	return int(longest)
}

func (l *lists) put(i, item int32) {
	l.items[l.start[i+1]] = item
	l.start[i+1]++
}

// generations returns how many there are.
func (d *dag) generations() int { return len(d.start) - 1 }

// rows returns the range of the rows of a generation.
func (d *dag) rows(generation int) (from, to int) {
	return int(d.start[generation]), int(d.start[generation+1])
}

// direct fills b with the named graphs in the directed form, reusing its memory.
func (b *batch) direct(v *Vocabulary, g *schemas.Graphs, rows []int) {
	d := &b.dag
	d.blends = &b.blends
	d.blends.reset(v)
	b.graphs = len(rows)
	b.nodeStart = append(b.nodeStart[:0], 0)
	d.depth = d.depth[:0]
	for _, i := range rows {
		ops, edges := g.Graph(i)
		d.depth = appendGenerations(d.depth, len(ops), edges)
		b.nodeStart = append(b.nodeStart, int32(len(d.depth)))
	}
	n := len(d.depth)
	d.start = resized(d.start, int(slices.Max(append(d.depth, 0)))+2)
	clear(d.start)
	for _, generation := range d.depth {
		d.start[generation+1]++
	}
	for i := 1; i < len(d.start); i++ {
		d.start[i] += d.start[i-1]
	}
	d.row, d.code = resized(d.row, n), resized(d.code, n)
	for i, generation := range d.depth {
		d.row[i] = d.start[generation]
		d.start[generation]++
	}
	copy(d.start[1:], d.start)
	d.start[0] = 0
	d.before.begin(n)
	d.after.begin(n)
	for r, i := range rows {
		_, edges := g.Graph(i)
		row := d.row[b.nodeStart[r]:b.nodeStart[r+1]]
		d.codes = d.blends.appendCodes(d.codes[:0], v, g, i)
		for u, code := range d.codes {
			d.code[row[u]] = code
		}
		for e := 0; e < len(edges); e += 2 {
			d.after.count(row[edges[e]], 1)
			d.before.count(row[edges[e+1]], 1)
		}
	}
	d.longest = max(d.before.counted(), d.after.counted())
	for r, i := range rows {
		_, edges := g.Graph(i)
		row := d.row[b.nodeStart[r]:b.nodeStart[r+1]]
		for e := 0; e < len(edges); e += 2 {
			from, to := row[edges[e]], row[edges[e+1]]
			d.after.put(from, to)
			d.before.put(to, from)
		}
	}
}

// appendGenerations appends the generation of every node of a graph: the length
// of the longest path that leads to it. Edges mostly come in an order that needs
// one pass and one to see it.
func appendGenerations(dst []int32, nodes int, edges []int32) []int32 {
	from := len(dst)
	for range nodes {
		dst = append(dst, 0)
	}
	own := dst[from:]
	for pass, moved := 0, true; moved && pass < nodes; pass++ {
		moved = false
		for e := 0; e < len(edges); e += 2 {
			if u, v := edges[e], edges[e+1]; own[v] <= own[u] {
				own[v], moved = own[u]+1, true
			}
		}
	}
	return dst
}

// embedded writes the embedding of every row's operation to x [rows, width].
func (d *dag) embedded(x, w []float32, operations *slot) {
	table, width := operations.in(w), operations.cols
	for r, code := range d.code {
		row := x[r*width : (r+1)*width]
		if code < d.blends.first {
			copy(row, table[int(code)*width:])
			continue
		}
		clear(row)
		d.blends.add(row, code, table)
	}
}

// embeddedBack adds the gradient of the operations, given that of x.
func (d *dag) embeddedBack(dx, dw []float32, operations *slot) {
	table, width := operations.in(dw), operations.cols
	for r, code := range d.code {
		if code < d.blends.first {
			kernels.Add(table[int(code)*width:][:width], dx[r*width:])
			continue
		}
		d.blends.addBack(table, code, dx[r*width:][:width])
	}
}
