package flow

import (
	"fmt"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

// bound limits every message, so that graphs of thousands of nodes, in which
// sums over paths grow without end, keep finite surrogates.
const bound = 1e30

// workspace is the memory that one call needs; it grows to the largest graph
// met and is then reused.
type workspace struct {
	state   []float32 // [nodes, width]: messages, then forward, then backward states
	out     []int32   // [nodes+1]: where the edges that leave a node begin
	in      []bool    // [nodes]: whether an edge arrives
	scratch []float32 // [width]
	rows    []float32 // [nodes, width]: of operations with attributes
	starts  []int32   // [nodes]: where the row of a node begins
	edges   []int32   // edges ordered by their origin, when they do not come so
}

// Surrogates writes the surrogate of every graph in g to dst [len(g), k].
// States are single precision: results lie within 1e-5 of double precision, relative
// to the largest component. Time is linear in nodes and edges, and nothing is
// allocated once every operation has been met.
func (f *Flow) Surrogates(dst []float32, g *schemas.Graphs) {
	n := g.Len()
	if len(dst) < n*f.k {
		panic(fmt.Sprintf("flow: %d numbers for %d surrogates of %d", len(dst), n, f.k))
	}
	if n == 0 {
		return
	}
	v := f.known.Load()
	if ops := g.Ops[g.NodeStart[0]:g.NodeStart[n]]; !v.has(ops) {
		v = f.learn(ops)
	}
	w := f.take()
	for i := range n {
		ops, edges := g.Graph(i)
		rows := v.rows
		w.starts = w.starts[:0]
		if plain(g, i) {
			for _, op := range ops {
				w.starts = append(w.starts, v.at[op])
			}
		} else {
			f.rowsOf(g, i, v, w)
			rows = w.rows
			for t := range ops {
				w.starts = append(w.starts, int32(t*f.width))
			}
		}
		f.surrogate(dst[i*f.k:(i+1)*f.k], edges, rows, w)
	}
	f.mu.Lock()
	f.idle = append(f.idle, w)
	f.mu.Unlock()
}

func (f *Flow) take() *workspace {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := len(f.idle) - 1
	if last < 0 {
		return new(workspace)
	}
	w := f.idle[last]
	f.idle = f.idle[:last]
	return w
}

// surrogate writes the surrogate of a graph whose nodes have their rows at
// w.starts.
func (f *Flow) surrogate(dst []float32, edges []int32, rows []float32, w *workspace) {
	n, width := len(w.starts), f.width
	edges = w.prepare(n, edges, width)
	state, alpha := w.state, float32(f.alpha)

	for i := range n {
		own := state[i*width : (i+1)*width]
		if w.in[i] {
			kernels.FlowState(own, rows[w.starts[i]:], f.message, w.scratch, alpha, bound)
		} else {
			copy(own, f.start)
		}
		for e := w.out[i]; e < w.out[i+1]; e += 2 {
			to := int(edges[e+1]) * width
			add(state[to:to+width], own)
		}
	}
	// Going down, the successors hold backward states already, and the forward
	// state of a node is needed only if it has none: then it is the backward one.
	clear(dst)
	for i := n - 1; i >= 0; i-- {
		own := state[i*width : (i+1)*width]
		if w.out[i] < w.out[i+1] {
			clear(own)
			for e := w.out[i]; e < w.out[i+1]; e += 2 {
				to := int(edges[e+1]) * width
				add(own, state[to:to+width])
			}
			kernels.FlowState(own, rows[w.starts[i]:], f.message, w.scratch, alpha, bound)
		}
		if !w.in[i] {
			for c := range dst {
				dst[c] += own[c]
			}
		}
	}
}

// add computes dst += src for slices of whole lanes.
func add(dst, src []float32) {
	for ; len(src) >= lane; dst, src = dst[lane:], src[lane:] {
		d, s := (*[lane]float32)(dst), (*[lane]float32)(src)
		d[0] += s[0]
		d[1] += s[1]
		d[2] += s[2]
		d[3] += s[3]
		d[4] += s[4]
		d[5] += s[5]
		d[6] += s[6]
		d[7] += s[7]
	}
}

// prepare clears the states, notes where edges arrive and leave, and returns
// the edges ordered by origin, each origin's in the order given.
func (w *workspace) prepare(n int, edges []int32, width int) []int32 {
	w.state = sized(w.state, n*width)
	clear(w.state)
	w.scratch = sized(w.scratch, width)
	w.in = sized(w.in, n)
	clear(w.in)
	w.out = sized(w.out, n+1)
	clear(w.out)
	ordered, last := true, int32(0)
	for e := 0; e < len(edges); e += 2 {
		from, to := edges[e], edges[e+1]
		ordered = ordered && from >= last
		last = from
		w.in[to] = true
		w.out[from+1] += 2
	}
	for i := range n {
		w.out[i+1] += w.out[i]
	}
	if ordered {
		return edges
	}
	w.edges = sized(w.edges, len(edges))
	for e := 0; e < len(edges); e += 2 {
		at := w.out[edges[e]]
		w.edges[at], w.edges[at+1] = edges[e], edges[e+1]
		w.out[edges[e]] += 2
	}
	// Every entry is now the start of the next node's edges.
	copy(w.out[1:], w.out[:n])
	w.out[0] = 0
	return w.edges
}

func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/2)[:n]
	}
	return s[:n]
}
