package teacher

import (
	"math"
	"slices"
	"sort"
)

// predictable is the standard score of the rank sum from which failures are taken
// to follow from the networks.
const predictable = 2.5

// fail ranks networks whose training fails below all that were trained and, where
// a process that was fitted to who failed foretells it, others by how likely they
// fail as well: the expected rank of a network that fails with probability p,
// being the last then, is (1-p) of that which it has otherwise.
func (f *Features) fail(labelled, failed []int, r *Result) error {
	r.Failed = pick(r.Score, failed)
	lowest, highest := slices.Min(r.Score), slices.Max(r.Score)
	p, own, err := f.failures(labelled, failed)
	if err != nil {
		return err
	}
	if p != nil {
		sorted := slices.Sorted(slices.Values(r.Score))
		expected := func(score, p float64) float64 {
			at := float64(sort.SearchFloat64s(sorted, score)+sort.Search(len(sorted), func(i int) bool { return sorted[i] > score })) / 2
			return (1 - p) * (at + 0.5) / float64(len(sorted)+1)
		}
		for i, score := range r.OutOfFold {
			r.OutOfFold[i] = expected(score, own[i])
		}
		for k, score := range r.Failed {
			r.Failed[k] = expected(score, own[len(labelled)+k])
		}
		for i, score := range r.Score {
			r.Score[i] = expected(score, p[i])
		}
		lowest, highest = 0, 1
	}
	width := max(highest-lowest, 1e-9)
	for k, row := range failed {
		r.Score[row] = lowest - 0.01*width*(2-(r.Failed[k]-lowest)/width)
	}
	return nil
}

// failures returns the probability that a network's training fails, of all and,
// made without their own outcome, of the labelled and the failed; nil where the
// outcomes do not follow from the networks.
func (f *Features) failures(labelled, failed []int) (p, own []float64, err error) {
	rows := slices.Concat(labelled, failed)
	kept := slices.Concat(spread(len(labelled), probeLabels), nil)
	for _, k := range spread(len(failed), probeLabels) {
		kept = append(kept, len(labelled)+k)
	}
	z := make([]float64, len(kept))
	for i, k := range kept {
		if k >= len(labelled) {
			z[i] = 1
		}
	}
	base, s := mean(z), 0.0
	if s = standardise(z); s == 0 {
		return nil, nil, nil
	}
	outOfFold, at, err := f.process(pick(rows, kept), z, all(f.n))
	if err != nil || outOfFold == nil {
		return nil, nil, err
	}
	if !separates(outOfFold, z) {
		return nil, nil, nil
	}
	probability := func(v float64) float64 { return min(max(base+s*v, 0), 0.98) }
	p, own = make([]float64, f.n), make([]float64, len(rows))
	for i, v := range at {
		p[i] = probability(v)
	}
	for i, row := range rows {
		own[i] = p[row]
	}
	for i, k := range kept {
		own[k] = probability(outOfFold[i])
	}
	return p, own, nil
}

// separates reports whether predictions are higher for the outcomes z above 0, beyond
// chance. Source: Mann and Whitney, 1947.
func separates(predicted, z []float64) bool {
	wins, m, n := 0.0, 0.0, 0.0
	for i, a := range z {
		if a <= 0 {
			n++
			continue
		}
		m++
		for j, b := range z {
			switch {
			case b > 0:
			case predicted[i] > predicted[j]:
				wins++
			case predicted[i] == predicted[j]:
				wins += 0.5
			}
		}
	}
	return (wins-m*n/2)/math.Sqrt(m*n*(m+n+1)/12) > predictable
}
