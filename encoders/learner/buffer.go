package learner

import (
	"math"
	"math/rand/v2"

	"archflow/encoders/teacher"
	"archflow/schemas"
)

// network is one distinct network of the space: a pruned graph and the proxies of its
// candidates. Several architectures may share it.
type network struct {
	id         schemas.ID
	graph      schemas.Graph
	proxies    []proxy
	proxyCount int // proxies of the candidate that carried most
	slot       int // in the buffer, -1 outside
	labels     int // labels that name it, over all tasks
	named      int // architectures in the memory that it is the network of
}

type proxy struct {
	name  schemas.Symbol
	value float64
}

// learn takes over the proxies of a candidate, given in number. Where candidates disagree
// the one with the most proxies wins: a benchmark measures an architecture whose
// operations are all alive in full, and one with dead operations only in part. It reports
// whether anything changed.
func (n *network) learn(given int, each func(func(schemas.Symbol, float64))) (changed bool) {
	more := given > n.proxyCount
	if more {
		n.proxyCount = given
	}
	each(func(name schemas.Symbol, value float64) {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return
		}
		for i := range n.proxies {
			if p := &n.proxies[i]; p.name == name {
				if more && p.value != value {
					p.value, changed = value, true
				}
				return
			}
		}
		n.proxies = append(n.proxies, proxy{name, value})
		changed = true
	})
	return changed
}

// buffer is the replay buffer: a uniform sample of the distinct networks offered, all of
// them up to its capacity. Labelled networks stay.
type buffer struct {
	capacity int
	networks []*network
	offered  int64 // distinct networks offered
	bytes    int   // of the networks, as size counts them
	random   *rand.Rand
}

// offer puts n into the buffer or leaves it out, by reservoir sampling, and returns the
// network that it replaced, if any.
func (b *buffer) offer(n *network) (out *network, added bool) {
	b.offered++
	if len(b.networks) < b.capacity {
		b.put(len(b.networks), n)
		return nil, true
	}
	at := b.random.Int64N(b.offered)
	if at >= int64(len(b.networks)) || b.networks[at].labels > 0 {
		return nil, false
	}
	return b.put(int(at), n), true
}

// keep puts a labelled network into the buffer and returns the network that it replaced.
// When labelled ones fill the buffer, it grows.
func (b *buffer) keep(n *network) (out *network) {
	const tries = 64
	if len(b.networks) >= b.capacity {
		for range tries {
			if at := b.random.IntN(len(b.networks)); b.networks[at].labels == 0 {
				return b.put(at, n)
			}
		}
	}
	return b.put(len(b.networks), n)
}

func (b *buffer) put(at int, n *network) (out *network) {
	n.slot = at
	b.bytes += n.size()
	if at == len(b.networks) {
		b.networks = append(b.networks, n)
		return nil
	}
	out = b.networks[at]
	out.slot = -1
	b.bytes -= out.size()
	b.networks[at] = n
	return out
}

// shed takes out the largest network without labels, the last of equal ones, and
// returns it; nil when all have labels.
func (b *buffer) shed() *network {
	largest := -1
	for i, n := range b.networks {
		if n.labels == 0 && (largest < 0 || n.size() >= b.networks[largest].size()) {
			largest = i
		}
	}
	if largest < 0 {
		return nil
	}
	last := len(b.networks) - 1
	out := b.networks[largest]
	b.networks[largest] = b.networks[last]
	b.networks[largest].slot = largest
	b.networks[last] = nil
	b.networks = b.networks[:last]
	out.slot = -1
	b.bytes -= out.size()
	return out
}

// idsOf returns the identities of networks.
func idsOf(networks []*network) []schemas.ID {
	ids := make([]schemas.ID, len(networks))
	for i, n := range networks {
		ids[i] = n.id
	}
	return ids
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

// pretextColumns returns the columns of proxies that the trunk learns to rank. One that
// follows the labels would leak them into the embedding that they later judge.
func (b *buffer) pretextColumns() (names []string, values [][]float64) {
	var trained []int
	for i, n := range b.networks {
		if n.labels > 0 {
			trained = append(trained, i)
		}
	}
	all, columns := b.proxyColumns(proxyShare)
	for i, name := range all {
		if _, follows := teacher.FollowsLabels(columns[i], trained); !follows {
			names, values = append(names, name), append(values, columns[i])
		}
	}
	return names, values
}
