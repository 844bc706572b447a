package teacher

import "math"

// A walk leaves the end of a cell and goes back to its beginning, choosing at every node
// among the predecessors with given probabilities. The operations on the way describe all
// paths at once, at a cost that is linear in the edges. The probabilities come from
// flow.go.

const histogram = 6 // 0, 1, 2, 3, 4, and 5 or more

// walks computes the expected operations on random walks.
type walks struct {
	masks []uint32

	mean, square, decay []float64 // [node, mask]
	counts              []float64 // [node, mask, histogram]
	share, entropy      []float64 // [node]
	visits              []float64 // [node]
}

// width returns the number of features: of each mask the mean, the variance,
// the mean of exp(-count) and the histogram of the members met; the chance that
// two walks are the same, and the entropy.
func (w *walks) width() int { return len(w.masks)*(3+histogram) + 2 }

// features writes to dst [width] the features of a walk through c that steps from a node
// to its e-th predecessor with probability p[predStart+e]. It leaves the expected visits
// of each node in w.visits.
func (w *walks) features(c *cell, p []float64, dst []float64) {
	nodes, k := len(c.class), len(w.masks)
	w.mean, w.square, w.decay = zeros(w.mean, nodes*k), zeros(w.square, nodes*k), zeros(w.decay, nodes*k)
	w.counts = zeros(w.counts, nodes*k*histogram)
	w.share, w.entropy = zeros(w.share, nodes), zeros(w.entropy, nodes)
	for t := range nodes {
		first, end := c.predStart[t], c.predStart[t+1]
		if first == end {
			w.share[t] = 1
			for j := range k {
				w.decay[t*k+j] = 1
				w.counts[(t*k+j)*histogram] = 1
			}
		}
		for e := first; e < end; e++ {
			u, q := c.pred[e], p[e]
			if q <= 0 {
				continue
			}
			w.share[t] += q * q * w.share[u]
			w.entropy[t] += q * (w.entropy[u] - math.Log(q))
			for j := range k {
				w.mean[t*k+j] += q * w.mean[u*k+j]
				w.square[t*k+j] += q * w.square[u*k+j]
				w.decay[t*k+j] += q * w.decay[u*k+j]
			}
			from, to := w.counts[u*k*histogram:(u+1)*k*histogram], w.counts[t*k*histogram:(t+1)*k*histogram]
			for j, v := range from {
				to[j] += q * v
			}
		}
		if c.class[t] < 0 {
			continue
		}
		for j, m := range w.masks {
			if m>>c.class[t]&1 == 0 {
				continue
			}
			i := t*k + j
			w.square[i] += 2*w.mean[i] + 1
			w.mean[i]++
			w.decay[i] /= math.E
			h := w.counts[i*histogram : (i+1)*histogram]
			h[histogram-1] += h[histogram-2]
			copy(h[1:histogram-1], h[:histogram-2])
			h[0] = 0
		}
	}
	join := c.last()
	at := 0
	for j := range k {
		i := join*k + j
		dst[at], dst[at+1], dst[at+2] = w.mean[i], w.square[i]-w.mean[i]*w.mean[i], w.decay[i]
		copy(dst[at+3:], w.counts[i*histogram:(i+1)*histogram])
		at += 3 + histogram
	}
	dst[at], dst[at+1] = w.share[join], w.entropy[join]

	w.visits = zeros(w.visits, nodes)
	w.visits[join] = 1
	for t := join; t >= 0; t-- {
		for e := c.predStart[t]; e < c.predStart[t+1]; e++ {
			w.visits[c.pred[e]] += p[e] * w.visits[t]
		}
	}
}

// zeros returns a slice of n zeros, in the memory of s if it is enough.
func zeros(s []float64, n int) []float64 {
	if cap(s) < n {
		return make([]float64, n)
	}
	s = s[:n]
	clear(s)
	return s
}
