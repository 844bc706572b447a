package learner

import (
	"math"
	"math/rand/v2"

	"archflow/schemas"
)

// network is one distinct network of the space: a pruned graph and what its
// candidates said about it. Several architectures may share it.
type network struct {
	id      schemas.ID
	ops     []schemas.Symbol
	edges   []int32
	proxies []proxy // in the order in which they came
	slot    int     // in the buffer, -1 outside
	labels  int     // labels that name it, over all tasks
}

type proxy struct {
	name  schemas.Symbol
	value float64
}

// learn takes over a proxy that the network did not have.
func (n *network) learn(name schemas.Symbol, value float64) (isNew bool) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return false
	}
	for _, p := range n.proxies {
		if p.name == name {
			return false
		}
	}
	n.proxies = append(n.proxies, proxy{name, value})
	return true
}

// buffer is the replay buffer: a uniform sample of the distinct networks seen,
// all of them while there is room. Labelled networks stay.
type buffer struct {
	room     int
	networks []*network
	seen     int64 // distinct networks offered
	random   *rand.Rand
}

// offer puts n into the buffer or leaves it out, by reservoir sampling.
func (b *buffer) offer(n *network) (added bool) {
	b.seen++
	n.slot = -1
	if len(b.networks) < b.room {
		n.slot = len(b.networks)
		b.networks = append(b.networks, n)
		return true
	}
	at := b.random.Int64N(b.seen)
	if at >= int64(b.room) || b.networks[at].labels > 0 {
		return false
	}
	b.put(int(at), n)
	return true
}

// keep makes sure that a labelled network is in the buffer.
func (b *buffer) keep(n *network) {
	if n.slot >= 0 {
		return
	}
	if len(b.networks) < b.room {
		n.slot = len(b.networks)
		b.networks = append(b.networks, n)
		return
	}
	for range 64 {
		at := b.random.IntN(b.room)
		if b.networks[at].labels == 0 {
			b.put(at, n)
			return
		}
	}
	// Labels fill the buffer: it grows with them.
	n.slot = len(b.networks)
	b.networks = append(b.networks, n)
}

func (b *buffer) put(at int, n *network) {
	b.networks[at].slot = -1
	b.networks[at] = n
	n.slot = at
}

// graphs returns a copy of the buffer's networks in flat form.
func (b *buffer) graphs() schemas.Graphs {
	var g schemas.Graphs
	for _, n := range b.networks {
		g.Append(n.ops, n.edges)
	}
	return g
}

// proxyColumns returns the zero-cost proxies that at least a share of the
// buffer carries, in order of their names: values [proxies][len(buffer)], NaN
// where a network has none.
func (b *buffer) proxyColumns(share float64) (names []string, values [][]float64) {
	count := map[schemas.Symbol]int{}
	for _, n := range b.networks {
		for _, p := range n.proxies {
			count[p.name]++
		}
	}
	column := map[schemas.Symbol]int{}
	for _, name := range sortedNames(count) {
		symbol, _ := schemas.Lookup(name)
		if float64(count[symbol]) < share*float64(len(b.networks)) {
			continue
		}
		column[symbol] = len(names)
		names = append(names, name)
		empty := make([]float64, len(b.networks))
		for i := range empty {
			empty[i] = math.NaN()
		}
		values = append(values, empty)
	}
	for i, n := range b.networks {
		for _, p := range n.proxies {
			if c, ok := column[p.name]; ok {
				values[c][i] = p.value
			}
		}
	}
	return names, values
}
