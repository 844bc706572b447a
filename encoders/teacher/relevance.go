package teacher

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Attributes that say nothing of the labels cost a ranking from few labels
// dearly: every distance holds their noise. Evidence drops them one by one, and
// then each counts as far as evidence is sure of it.

var (
	relevanceSizes  = []float64{0.02, 0.06, 0.2, 0.5} // of all weights together
	relevanceNoises = []float64{0.01, 0.03, 0.1, 0.3}
)

// fewAttributes is how many attributes are dropped one at a time.
const fewAttributes = 12

// With at most averagedLabels labels, the probability that an attribute counts is an average
// over averagedChoices choices of the others. More labels agree on one choice.
const (
	averagedLabels  = 100
	averagedChoices = 100
	// unlikely is the difference in evidence from which on choices are not looked around.
	unlikely = 4
)

// fadesOut is the share from which on a column counts at all.
const fadesOut = 0.02

// relevant returns the blocks with each column scaled by how likely it is that all
// the attributes that it depends on count, given targets z of the labelled networks
// of n.
func relevant(n int, blocks []block, labelled []int, z []float64) []block {
	var every bitset
	small := make([]block, len(blocks)) // of the labelled networks
	for k, b := range blocks {
		for _, u := range b.uses {
			every = every.or(u)
		}
		small[k] = b
		small[k].values = nil
		for _, l := range labelled {
			small[k].values = append(small[k].values, b.values[l*b.width:(l+1)*b.width]...)
		}
	}
	if every == (bitset{}) {
		return blocks
	}
	share := relevance(every, len(z) <= averagedLabels, func(dropped bitset) float64 { return evidence(small, dropped, z) })
	return scaled(blocks, n, func(u bitset) float64 {
		product := 1.0
		for _, a := range u.members() {
			product *= share[a]
		}
		return product
	})
}

// relevance returns the probability that each attribute of every counts: averaged over
// likely choices of the others, or with the others as evidence has them. Of many
// attributes those that evidence drops have none: each of them might count a little, all
// of them are noise.
func relevance(every bitset, averaged bool, evidence func(dropped bitset) float64) map[int]float64 {
	members := every.members()
	known := map[bitset]float64{}
	remembered := func(dropped bitset) float64 {
		e, ok := known[dropped]
		if !ok {
			e = evidence(dropped)
			known[dropped] = e
		}
		return e
	}
	dropped, best := dropOneByOne(every, bitset{}, remembered)
	many := len(members) > fewAttributes
	if averaged && !many {
		lookAround(members, known, remembered)
		return average(members, known)
	}
	if many {
		// Distances that many attributes blur do not say which of them count.
		few := takeOneByOne(members, every, remembered)
		if few, largest := dropOneByOne(every.less(few), few, remembered); largest > best {
			dropped, best = few, largest
		}
	}
	share := map[int]float64{}
	for _, a := range members {
		switch b := bitOf(a); {
		case !dropped.meets(b):
			share[a] = 1 / (1 + math.Exp(remembered(dropped.or(b))-best))
		case many:
			share[a] = 0
		default:
			share[a] = 1 / (1 + math.Exp(best-remembered(dropped.less(b))))
		}
	}
	return share
}

// lookAround adds choices to those known: those that differ in one attribute from one
// that is likely, the likeliest first. Source: Madigan and Raftery, "Model selection and
// accounting for model uncertainty in graphical models using Occam's window", 1994.
func lookAround(members []int, known map[bitset]float64, evidence func(bitset) float64) {
	seen := map[bitset]bool{}
	for len(known) < averagedChoices {
		var next bitset
		largest, best := math.Inf(-1), math.Inf(-1)
		for dropped, e := range known {
			best = max(best, e)
			if !seen[dropped] && (e > largest || e == largest && slices.Compare(dropped[:], next[:]) < 0) {
				next, largest = dropped, e
			}
		}
		if !(largest > best-unlikely) {
			return
		}
		seen[next] = true
		for _, a := range members {
			if b := bitOf(a); next.meets(b) {
				evidence(next.less(b))
			} else {
				evidence(next.or(b))
			}
		}
	}
}

// average returns the share of the probability of all known choices that have an
// attribute.
func average(members []int, known map[bitset]float64) map[int]float64 {
	order := slices.SortedFunc(maps.Keys(known), func(a, b bitset) int { return slices.Compare(a[:], b[:]) })
	best := math.Inf(-1)
	for _, e := range known {
		best = max(best, e)
	}
	share, total := map[int]float64{}, 0.
	for _, dropped := range order { // sums depend on the order
		p := math.Exp(known[dropped] - best)
		total += p
		for _, a := range members {
			if !dropped.meets(bitOf(a)) {
				share[a] += p
			}
		}
	}
	for _, a := range members {
		share[a] /= total
	}
	return share
}

// evidence returns that of targets z of the networks of the blocks without the
// attributes dropped.
func evidence(blocks []block, dropped bitset, z []float64) float64 {
	rows := all(len(z))
	kept := scaled(blocks, len(z), func(u bitset) float64 {
		if u.meets(dropped) {
			return 0
		}
		return 1
	})
	g := newGeometry(len(rows), kept, rows)
	if len(g.blocks) == 0 {
		return math.Inf(-1)
	}
	b := balance{d: g.d, z: z, prior: logs(g.defaults())}
	best := math.Inf(-1)
	for _, size := range relevanceSizes {
		theta := slices.Clone(b.prior)
		for i := range theta {
			theta[i] += math.Log(2 * size) // the defaults add up to a half
		}
		for _, noise := range relevanceNoises {
			best = max(best, b.score(append(slices.Clone(theta), math.Log(noise))))
		}
	}
	return best
}

// dropOneByOne drops attributes of those left, beside those dropped, as long as
// evidence grows, of many several at once. It returns all that are dropped.
func dropOneByOne(left, dropped bitset, evidence func(bitset) float64) (bitset, float64) {
	best := evidence(dropped)
	for {
		members := left.members()
		gain := make([]float64, len(members))
		for k, a := range members {
			gain[k] = evidence(dropped.or(bitOf(a))) - best
		}
		order := all(len(members))
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(gain[b], gain[a]) })
		helpful := 0
		for helpful < len(order) && gain[order[helpful]] > 0 {
			helpful++
		}
		if helpful == 0 {
			return dropped, best
		}
		take := 1
		if len(members) > fewAttributes {
			take = max(helpful/2, 1)
		}
		for ; ; take /= 2 {
			var more bitset
			for _, k := range order[:take] {
				more = more.or(bitOf(members[k]))
			}
			if e := evidence(dropped.or(more)); take == 1 || e > best+gain[order[0]] {
				dropped, left, best = dropped.or(more), left.less(more), e
				break
			}
		}
	}
}

// takeOneByOne begins without any of the members and takes back the one that
// evidence asks for most, as long as it grows. It returns those that stay dropped.
func takeOneByOne(members []int, dropped bitset, evidence func(bitset) float64) bitset {
	best := evidence(dropped)
	for {
		largest, at := best, -1
		for _, a := range members {
			if !dropped.meets(bitOf(a)) {
				continue
			}
			if e := evidence(dropped.less(bitOf(a))); e > largest {
				largest, at = e, a
			}
		}
		if at < 0 {
			return dropped
		}
		dropped, best = dropped.less(bitOf(at)), largest
	}
}

// scaled returns the blocks of n networks with the part of the squared distances
// that each column makes multiplied by the share of the attributes that it depends
// on.
func scaled(blocks []block, n int, share func(uses bitset) float64) []block {
	var out []block
	for _, b := range blocks {
		var kept []int
		var factor []float32
		same := true
		for j, u := range b.uses {
			s := share(u)
			same = same && s == 1
			if s > fadesOut {
				kept, factor = append(kept, j), append(factor, float32(math.Sqrt(s)))
			}
		}
		switch {
		case same:
			out = append(out, b)
		case len(kept) > 0:
			c := b
			c.width, c.uses, c.values = len(kept), pick(b.uses, kept), make([]float32, 0, n*len(kept))
			for i := range n {
				for k, j := range kept {
					c.values = append(c.values, factor[k]*b.values[i*b.width+j])
				}
			}
			out = append(out, c)
		}
	}
	return out
}
