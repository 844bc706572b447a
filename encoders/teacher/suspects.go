package teacher

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Suspect is a label that is not learnt from: it lies far outside the others, and they do
// not explain that by its network.
type Suspect struct {
	Label      int     // number of the label
	Ratio      float64 // its size over the median size of the others
	Percentile float64 // of the networks with other labels, in predicted rank, 0 to 100
}

const (
	// apart is the distance to the others, in their range from the 5th to the 95th
	// percentile, from which labels are looked at; on a logarithmic scale too.
	apart = 1.0
	// strays is the largest share of the labels that may be apart at one end.
	strays = 0.25
	// expected is the prior mean distance of a network from the end where its label is
	// rightly apart, as a share of all, but for a chance of being anywhere;
	// expectedLabels labels of the fraction tail of the others at that end have the same
	// weight.
	expected       = 0.1
	chance         = 0.1
	expectedLabels = 3
	tail           = 0.2
	// unplaced are the odds of a label apart whose network nobody has placed.
	unplaced = -1.4
	// reach is the distance from the others, in the same unit, to which outlying labels
	// are drawn in: at the top, which the warp stretches, and elsewhere.
	reachTop, reach = 1.0, 3.0
	// fewToDoubt is the number of labels below which none is doubted.
	fewToDoubt = 10
)

// suspects returns the labels that are taken for mistakes, in order. The others decide: a
// process is fitted to them and predicts the networks of labels that lie apart. A group
// is accepted if the process expects the better part of it at the end where its labels
// are (networks that cannot be trained, say), and so is one that lies no further out than
// results do, unless its networks speak against it.
func (f *Features) suspects(labelled []int, y []float64) ([]Suspect, error) {
	groups := apartGroups(y)
	if len(groups) == 0 {
		return nil, nil
	}
	rest := betweenGroups(groups, len(y))
	probe := pick(rest, spread(len(rest), probeLabels))
	outOfFold, at, err := f.expect(pick(labelled, probe), pick(y, probe), labelled)
	if err != nil || outOfFold == nil {
		return nil, err
	}
	usual := newUsual(pick(y, rest))
	var found []Suspect
	for _, g := range groups {
		var members []Suspect
		odds := usual.odds(g, y) // logarithm
		mean := expectedAt(pick(y, probe), outOfFold, g.top)
		for _, i := range g.labels {
			place := placeAmong(outOfFold, at[i])
			members = append(members, Suspect{i, math.Abs(y[i]) / usual.size, 100 * place})
			odds += explained(place, g.top, mean)
		}
		if odds < 0 {
			found = append(found, members...)
		}
	}
	slices.SortFunc(found, func(a, b Suspect) int { return a.Label - b.Label })
	return found, nil
}

// betweenGroups returns the numbers, of n, that are in none of the groups.
func betweenGroups(groups []apartGroup, n int) []int {
	out := make([]bool, n)
	for _, g := range groups {
		for _, i := range g.labels {
			out[i] = true
		}
	}
	var rest []int
	for i := range n {
		if !out[i] {
			rest = append(rest, i)
		}
	}
	return rest
}

// usual describes the labels that do not lie apart.
type usual struct {
	size         float64 // median of the absolute values
	sign         float64 // 0 where they have several
	low, high    float64 // the ends
	lower, upper float64 // 5th and 95th percentile
}

func newUsual(y []float64) usual {
	sorted := slices.Sorted(slices.Values(y))
	m := len(sorted) - 1
	sizes := make([]float64, len(y))
	for i, v := range y {
		sizes[i] = math.Abs(v)
	}
	u := usual{size: median(sizes), low: sorted[0], high: sorted[m]}
	u.lower, u.upper = sorted[int(math.Round(0.05*float64(m)))], sorted[int(math.Round(0.95*float64(m)))]
	if u.low*u.high > 0 {
		u.sign = math.Copysign(1, u.low)
	}
	return u
}

// odds returns the logarithm of the prior odds that the mildest of the labels of a group
// is right. Trainings that went wrong are up to ten or twenty times worse than others
// (chance level beside good accuracies, a loss that diverged); other units and
// placeholder values are further away, and never within a factor of e. A value near zero
// may still be chance level among many classes.
func (u *usual) odds(g apartGroup, y []float64) float64 {
	best := math.Inf(-1)
	for _, i := range g.labels {
		best = max(best, u.oddsOf(y[i]))
	}
	return best
}

func (u *usual) oddsOf(v float64) float64 {
	const mild, plausible, steep, strongest, impossible, weakestNearZero = 1.0, 3.2, 2.0, 4.0, -3.0, -1.0
	gap := max(u.low-v, v-u.high) / max(u.upper-u.lower, 1e-300)
	far, weakest := math.Log(max(gap, 1))-1, impossible
	if u.sign != 0 {
		if v*u.sign < 0 {
			return impossible
		}
		if v == 0 {
			return weakestNearZero
		}
		ratio := math.Log(math.Abs(v) / u.size)
		if ratio < 0 {
			weakest = weakestNearZero
		}
		far = max(far, math.Abs(ratio))
	}
	if far < mild {
		return math.Inf(1)
	}
	return min(max(steep*(plausible-far), weakest), strongest)
}

// expectedAt returns the predicted distance from an end, as a share of all, of networks
// whose labels are at that end, by the out-of-fold scores of labels y.
func expectedAt(y, outOfFold []float64, top bool) float64 {
	order := all(len(y))
	slices.SortStableFunc(order, func(a, b int) int {
		if top {
			a, b = b, a
		}
		return cmp.Compare(y[a], y[b])
	})
	count := int(math.Ceil(tail * float64(len(y))))
	sum := expected * expectedLabels
	for _, i := range order[:count] {
		place := placeAmong(outOfFold, outOfFold[i])
		if top {
			place = 1 - place
		}
		sum += place
	}
	return sum / float64(count+expectedLabels)
}

// placeAmong returns the share of values that are below v, half of those that are equal
// included.
func placeAmong(values []float64, v float64) float64 {
	below := 0.0
	for _, other := range values {
		if other < v {
			below++
		} else if other == v {
			below += 0.5
		}
	}
	return below / float64(len(values))
}

// explained returns the logarithm of the odds that a label apart is right whose
// network is expected at a place, 0 to 1, among the others, where those of right ones
// are a mean distance from that end.
func explained(place float64, top bool, mean float64) float64 {
	if top {
		place = 1 - place
	}
	density := math.Exp(-place/mean) / mean / (1 - math.Exp(-1/mean))
	return math.Log((1-chance)*density + chance)
}

// Doubt says whether label i of y, more is better, lies apart from the others
// with nothing to explain it. percentile is where its network is expected among
// others, NaN when that is not known.
func Doubt(y []float64, i int, percentile float64) (Suspect, bool) {
	groups := apartGroups(y)
	for _, g := range groups {
		if !slices.Contains(g.labels, i) {
			continue
		}
		usual := newUsual(pick(y, betweenGroups(groups, len(y))))
		odds := usual.odds(g, y)
		if percentile == percentile {
			odds += explained(percentile/100, g.top, expected)
		} else {
			odds += unplaced
		}
		return Suspect{i, math.Abs(y[i]) / usual.size, percentile}, odds < 0
	}
	return Suspect{}, false
}

// apartGroup are labels beside each other and far from all that lie further in.
type apartGroup struct {
	labels []int
	top    bool
}

// apartGroups returns the groups of each end, from the outside in.
func apartGroups(y []float64) []apartGroup {
	n := len(y)
	if n < fewToDoubt {
		return nil
	}
	order := all(n)
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case y[a] < y[b]:
			return -1
		case y[a] > y[b]:
			return 1
		}
		return 0
	})
	sorted := pick(y, order)
	scales := [][]float64{sorted}
	if sign := math.Copysign(1, sorted[0]); sorted[0]*sorted[n-1] > 0 {
		logarithms := make([]float64, n)
		for i, v := range sorted {
			logarithms[i] = sign * math.Log(math.Abs(v))
		}
		scales = append(scales, logarithms)
	}
	largest := int(strays * float64(n))
	var groups []apartGroup
	for _, top := range []bool{false, true} {
		from := 0 // labels already in a group
		for k := 1; k <= largest; k++ {
			separate := false
			for _, s := range scales {
				gap, rest := s[k]-s[k-1], s[k:]
				if top {
					gap, rest = s[n-k]-s[n-k-1], s[:n-k]
				}
				m := float64(len(rest) - 1)
				width := rest[int(math.Round(0.95*m))] - rest[int(math.Round(0.05*m))]
				separate = separate || gap > apart*width && gap > 0
			}
			if !separate {
				continue
			}
			group := apartGroup{labels: order[from:k], top: top}
			if top {
				group.labels = order[n-k : n-from]
			}
			groups = append(groups, group)
			from = k
		}
	}
	return joined(groups, y, sorted)
}

// joined puts groups of one end together that are nearer to each other than to
// the rest; sorted are the labels y in order.
func joined(groups []apartGroup, y, sorted []float64) []apartGroup {
	var out []apartGroup
	for g := len(groups) - 1; g >= 0; g-- { // from the inside out
		group, last := groups[g], len(out)-1
		if last >= 0 && out[last].top == group.top {
			inner := out[last].labels
			if group.top {
				edge := sorted[len(sorted)-1-sort.Search(len(sorted), func(i int) bool { return sorted[len(sorted)-1-i] < y[inner[0]] })]
				if y[group.labels[0]]-y[inner[len(inner)-1]] <= y[inner[0]]-edge {
					out[last].labels = slices.Concat(inner, group.labels)
					continue
				}
			} else {
				edge := sorted[sort.Search(len(sorted), func(i int) bool { return sorted[i] > y[inner[len(inner)-1]] })]
				if y[inner[0]]-y[group.labels[len(group.labels)-1]] <= edge-y[inner[len(inner)-1]] {
					out[last].labels = slices.Concat(group.labels, inner)
					continue
				}
			}
		}
		out = append(out, group)
	}
	slices.Reverse(out)
	return out
}

// expect fits a process to some labels and returns their leave-one-out predictions beside
// its predictions for any networks; nil where the features of all networks are equal.
func (f *Features) expect(labelled []int, y []float64, asked []int) (outOfFold, at []float64, err error) {
	probe := spread(len(y), probeLabels)
	labelled, y = pick(labelled, probe), pick(y, probe)
	g := newGeometry(f.n, f.views[0].blocks, labelled)
	if len(g.blocks) == 0 || !Rankable(y) {
		return nil, nil, nil
	}
	z, _, _, err := g.bestWarp(y, g.defaults(), rough)
	if err != nil || z == nil {
		return nil, nil, err
	}
	return f.process(labelled, z, asked)
}

// process does the same for targets with mean 0 and variance 1.
func (f *Features) process(labelled []int, z []float64, asked []int) (outOfFold, at []float64, err error) {
	g := newGeometry(f.n, f.views[0].blocks, labelled)
	if len(g.blocks) == 0 {
		return nil, nil, nil
	}
	w := g.defaults()
	var columns []column
	for b, blk := range g.blocks {
		scale := float32(math.Sqrt(w[b] / g.median[b]))
		for c := range blk.width {
			columns = append(columns, column{b, c, scale})
		}
	}
	one := subspace{columns: columns, rows: all(len(labelled)), at: g.gather(labelled, columns)}
	if one.process, err = fitProcess(distances(one.at, len(columns)), z, rough); err != nil {
		return nil, nil, err
	}
	return one.process.leaveOneOut, one.predict(g.blocks, asked), nil
}

// spread returns at most limit of n numbers, evenly.
func spread(n, limit int) []int {
	if n <= limit {
		return all(n)
	}
	out := make([]int, limit)
	for i := range out {
		out[i] = i * n / limit
	}
	return out
}

// bounded returns y with outlying labels drawn in towards the others, in their order, so
// that a few do not compress the scale of the rest. It is y itself where there are none.
func bounded(y []float64) []float64 {
	var out []float64
	groups := apartGroups(y)
	for g := len(groups) - 1; g >= 0; g-- { // from the inside out
		group := groups[g]
		if out == nil {
			out = slices.Clone(y)
		}
		sign, reach := -1.0, reach
		inner := group.labels[len(group.labels)-1]
		if group.top {
			sign, reach, inner = 1, reachTop, group.labels[0]
		}
		var rest []float64
		for i, v := range y {
			if sign*v < sign*y[inner] {
				rest = append(rest, sign*out[i])
			}
		}
		slices.Sort(rest)
		m := float64(len(rest) - 1)
		far := reach * (rest[int(math.Round(0.95*m))] - rest[int(math.Round(0.05*m))])
		edge := rest[len(rest)-1]
		excess := sign*y[inner] - edge - far
		if far == 0 || excess <= 0 {
			continue
		}
		for _, i := range group.labels { // at most a reach of the differences inside the group remains
			own := sign*y[i] - sign*y[inner]
			out[i] = sign * (edge + far + far*own/(own+far))
		}
	}
	if out == nil {
		return y
	}
	return out
}
