package teacher

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// farBelow is the share of a proxy among the networks to be ranked, in that
	// among the trained, under which the one is far below the other.
	farBelow = 0.75
	// byChance is how probable a sample must be to have come about by chance.
	byChance = 1e-6
)

// FollowsLabels reports whether a proxy [n], NaN where missing, is significantly more
// common among the trained networks (numbers, each once) than among the others, such as
// an accuracy early in training, which exists only for labelled ones. A model of it does
// not transfer to networks without it. keep is the number of the trained ones that would
// have it were it as common as among the others.
func FollowsLabels(values []float64, trained []int) (keep int, follows bool) {
	of, all := 0, 0
	for _, v := range values {
		if present(v) {
			all++
		}
	}
	for _, row := range trained {
		if present(values[row]) {
			of++
		}
	}
	m, others := len(trained), len(values)-len(trained)
	if of == 0 || others == 0 {
		return of, false
	}
	share := float64(all-of) / float64(others)
	if share >= farBelow*float64(of)/float64(m) || atLeast(of, m, all, len(values)) > byChance {
		return of, false
	}
	return int(share*float64(m) + 0.5), true
}

// atLeast returns the probability that a random sample of m among n has x or more
// of the k that are marked.
func atLeast(x, m, k, n int) float64 {
	choose := func(n, k int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		return a - b - c
	}
	sum := 0.0
	for i := x; i <= min(m, k); i++ {
		if m-i <= n-k {
			sum += math.Exp(choose(k, i) + choose(n-k, m-i) - choose(n, m))
		}
	}
	return sum
}

// asAsked returns the features with proxies that follow the labels removed from trained
// networks, drawn at random, until they are as common there as among the networks to be
// ranked: out-of-fold scores then use the same inputs as the ranking. Where no proxy
// follows the labels, it is f.
func (f *Features) asAsked(labelled, failed []int, seed uint64) *Features {
	proxies, changed := f.views[0].proxies.given, false
	trained := slices.Concat(labelled, failed)
	for i, p := range proxies {
		keep, follows := FollowsLabels(p.Values, trained)
		if !follows {
			continue
		}
		if !changed {
			proxies, changed = slices.Clone(proxies), true
		}
		proxies[i].Values = masked(p.Values, trained, keep, seed)
	}
	if !changed {
		return f
	}
	out := *f
	out.views = nil
	for _, v := range f.views {
		v.blocks = slices.DeleteFunc(slices.Clone(v.blocks), func(b block) bool { return b.name == ranksBlock || b.name == levelsBlock })
		v.proxies.given = proxies
		v.addProxies(f.n)
		out.views = append(out.views, v)
	}
	return &out
}

// masked returns the values, missing at all but keep of the rows that have one.
// Proxies of the same rows lose the same ones.
func masked(values []float64, rows []int, keep int, seed uint64) []float64 {
	out := slices.Clone(values)
	trained := make([]bool, len(values))
	for _, row := range rows {
		trained[row] = true
	}
	for _, row := range rand.New(rand.NewPCG(seed, 8)).Perm(len(values)) {
		if !trained[row] || !present(values[row]) {
			continue
		}
		if keep--; keep < 0 {
			out[row] = math.NaN()
		}
	}
	return out
}
