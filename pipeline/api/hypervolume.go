package api

import (
	"cmp"
	"container/heap"
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// objective is one of two that are weighed against each other, more being better.
type objective struct {
	task     string
	minimise bool
	cost     bool // known exactly with each candidate, as a proxy; no task
}

// objectives returns the objectives of a request: tasks, and proxies that known or given
// entries carry and that are costs, of which less is better. Costs alone are nothing to train for: the names are then those of
// tasks without labels.
func (v *view) objectives(given []*entry, names []string) []objective {
	tasks, out := make([]objective, len(names)), make([]objective, len(names))
	costs := 0
	for i, name := range names {
		tasks[i] = objective{task: name, minimise: v.minimise(name)}
		out[i] = tasks[i]
		if _, labelled := v.known.tasks[name]; !labelled && v.task(name) < 0 && (hasProxy(v.entries, name) || hasProxy(given, name)) {
			out[i].cost, out[i].minimise = true, true
			costs++
		}
	}
	if costs == len(names) {
		return tasks
	}
	return out
}

// measured returns an entry's known value, more being better.
func (o objective) measured(e *entry) (float64, bool) {
	x, ok := e.labels[o.task].value()
	if o.cost {
		x, ok = e.proxy(o.task)
	}
	if o.minimise {
		x = -x
	}
	return x, ok
}

// gainOf returns the expected value of an entry; a known one is certain.
func (v *view) gainOf(e *entry, o objective) (gain, bool) {
	if x, ok := o.measured(e); ok {
		return gain{median: x}, true
	}
	if o.cost || v.task(o.task) < 0 || e.scores == nil {
		return gain{}, false
	}
	g := v.gain(e, o.task)
	return g, g.median == g.median
}

// beyondWorst is how far the reference point lies behind the worst that was
// trained, as a share of the range.
const beyondWorst = .1

// byHypervolume returns the n entries with the highest expected addition to the area
// that the trained networks dominate, each on the assumption that those before it reach
// their expected values. ok is false if too few are trained; the error is that of ctx.
func (v *view) byHypervolume(ctx context.Context, open []*entry, o []objective, n int, a askRequest) (out []*entry, ok bool, err error) {
	worst, front := v.trainedFront(o)
	if front == nil {
		return nil, false, nil
	}
	var all additions
	for place, e := range open {
		x, one := v.gainOf(e, o[0])
		y, other := v.gainOf(e, o[1])
		if one && other {
			p := (1 - x.fails) * (1 - y.fails) * v.chance(e, a.Constraints)
			all = append(all, &addition{e, [2]gain{x, y}, p, place, math.Inf(1), -1})
		}
	}
	// What an entry adds only shrinks as others are chosen: the first that is up to date
	// adds the most, and few others need to be looked at.
	heap.Init(&all)
	for len(out) < n && len(all) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		c := all[0]
		if c.after < len(out) {
			c.adds, c.after = c.p*hypervolumeImprovement(c.g, front, worst), len(out)
			heap.Fix(&all, 0)
			continue
		}
		heap.Pop(&all)
		out = append(out, c.entry)
		front = frontOfPoints(append(front, [2]float64{c.g[0].median, c.g[1].median}))
	}
	return out, true, nil
}

// addition is an entry with what it is expected to add to the dominated area.
type addition struct {
	*entry
	g     [2]gain
	p     float64 // that it trains and meets the constraints
	place int
	adds  float64 // at most
	after int     // how many were chosen when that was computed
}

// additions is a heap with what adds most on top, of equals the first.
type additions []*addition

func (a additions) Len() int { return len(a) }

func (a additions) Less(i, j int) bool {
	if a[i].adds != a[j].adds {
		return a[i].adds > a[j].adds
	}
	return a[i].place < a[j].place
}

func (a additions) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push is part of heap.Interface, and so is Pop.
func (a *additions) Push(x any) { *a = append(*a, x.(*addition)) }

func (a *additions) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}

// trainedFront returns the front of the trained networks and the reference point a little
// behind the worst of them; no front if too few are trained.
func (v *view) trainedFront(o []objective) (worst [2]float64, front [][2]float64) {
	var trained [][2]float64
	for _, e := range v.entries {
		x, one := o[0].measured(e)
		y, other := o[1].measured(e)
		if one && other && len(e.labels) > 0 {
			trained = append(trained, [2]float64{x, y})
		}
	}
	if len(trained) < 2 {
		return worst, nil
	}
	worst, best := trained[0], trained[0]
	for _, p := range trained {
		for i := range p {
			worst[i], best[i] = min(worst[i], p[i]), max(best[i], p[i])
		}
	}
	for i := range worst {
		worst[i] -= beyondWorst * (best[i] - worst[i]) // so that the ends of the front count
	}
	return worst, frontOfPoints(trained)
}

// frontOfPoints returns the points that no other dominates, the largest first
// coordinate first.
func frontOfPoints(points [][2]float64) [][2]float64 {
	points = slices.Clone(points)
	slices.SortFunc(points, func(a, b [2]float64) int { return cmp.Or(-cmp.Compare(a[0], b[0]), -cmp.Compare(a[1], b[1])) })
	var front [][2]float64
	for _, p := range points {
		if n := len(front); n == 0 || p[1] > front[n-1][1] {
			front = append(front, p)
		}
	}
	return front
}

// hypervolumeImprovement is the expected growth of the area between a front, as
// frontOfPoints gives it, and a reference point, of two independent normal
// distributions. Source: Emmerich, Deutz and Klinkenberg 2011, for two objectives
// as a sum over the strips between neighbours of the front.
func hypervolumeImprovement(g [2]gain, front [][2]float64, worst [2]float64) float64 {
	// The strip between right and left in the first objective is free above floor
	// in the second. From the largest first coordinate to the reference point.
	total, right, floor := 0., math.Inf(1), worst[1]
	for i := 0; i <= len(front); i++ {
		left := worst[0]
		if i < len(front) {
			left = max(front[i][0], worst[0])
		}
		if left < right {
			// The expected length of the strip that a point covers, times its expected
			// height above the floor.
			total += (g[0].excess(left) - g[0].excess(right)) * g[1].excess(floor)
		}
		if i < len(front) {
			right, floor = min(right, left), max(floor, front[i][1])
		}
	}
	return total
}

// excess is the expected amount by which a draw exceeds x.
func (g gain) excess(x float64) float64 {
	if math.IsInf(x, 1) {
		return 0
	}
	return g.improvement(x)
}

// chance is the probability that an entry meets the constraints, by its labels,
// predictions and proxies.
func (v *view) chance(e *entry, constraints map[string]bound) float64 {
	p := 1.
	for _, name := range sortedKeys(constraints) {
		b := constraints[name]
		t := v.task(name)
		if _, measured := e.labels[name].value(); measured || t < 0 || e.scores == nil || !(e.scores[t].below > 0 && e.scores[t].above > 0) {
			continue // feasible has looked
		}
		at := func(x *float64, otherwise float64) float64 {
			if x == nil {
				return otherwise
			}
			sd := e.scores[t].above
			if *x < e.scores[t].value {
				sd = e.scores[t].below
			}
			return .5 * math.Erfc((e.scores[t].value-*x)/(sd*math.Sqrt2))
		}
		p *= max(at(b.Max, 1)-at(b.Min, 0), 0)
	}
	return p
}

// coldStart chooses before there is a model: every second network at random, the others
// from the best hundredth by the mean rank of the zero-cost proxies, if candidates carry
// any and the labels so far do not contradict them.
func (v *view) coldStart(open []*entry, tasks []string, n int, random *rand.Rand) []*entry {
	n = min(n, len(open))
	open = slices.Clone(open)
	random.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	top := v.topByProxies(open, tasks, max(len(open)/100, 3*n))
	random.Shuffle(len(top), func(i, j int) { top[i], top[j] = top[j], top[i] })
	taken := map[*entry]bool{}
	var out []*entry
	for i, j := 0, 0; len(out) < n; {
		e := open[i]
		if len(out)%2 == 0 && j < len(top) {
			e = top[j]
			j++
		} else {
			i++
		}
		if !taken[e] {
			taken[e] = true
			out = append(out, e)
		}
	}
	return out
}

// minAgainst is how many networks must be trained to speak against the proxies.
const minAgainst = 8

// topByProxies returns the k entries with the highest mean rank of their proxies; none
// if the entries carry none, or if their ranks contradict the labels of the first task.
func (v *view) topByProxies(open []*entry, tasks []string, k int) []*entry {
	ranks := proxyRanks(v.entries)
	if ranks == nil {
		return nil
	}
	var agree, pairs int
	var trained []*entry
	for _, e := range v.entries {
		if _, ok := e.labels[tasks[0]].value(); ok {
			trained = append(trained, e)
		}
	}
	for i, a := range trained {
		for _, b := range trained[:i] {
			x, _ := a.labels[tasks[0]].value()
			y, _ := b.labels[tasks[0]].value()
			if x != y {
				pairs++
				if (x > y) == (ranks[a] > ranks[b]) != v.minimise(tasks[0]) {
					agree++
				}
			}
		}
	}
	if len(trained) >= minAgainst && 2*agree < pairs {
		return nil
	}
	top := slices.Clone(open)
	slices.SortStableFunc(top, func(a, b *entry) int { return descending(ranks[a], ranks[b]) })
	return top[:min(k, len(top))]
}

// proxyRanks returns the mean rank of each entry over the proxies that it carries,
// from 0 to 1; nil where none carries any.
func proxyRanks(entries []*entry) map[*entry]float64 {
	byName := map[string]map[*entry]float64{}
	for _, e := range entries {
		for name, x := range e.proxies() {
			if byName[name] == nil {
				byName[name] = map[*entry]float64{}
			}
			byName[name][e] = x
		}
	}
	if len(byName) == 0 {
		return nil
	}
	sum, count := map[*entry]float64{}, map[*entry]float64{}
	for _, name := range sortedKeys(byName) {
		values := byName[name]
		sorted := make([]float64, 0, len(values))
		for _, x := range values {
			sorted = append(sorted, x)
		}
		slices.Sort(sorted)
		for e, x := range values {
			low, _ := slices.BinarySearch(sorted, x)
			high, _ := slices.BinarySearch(sorted, math.Nextafter(x, math.Inf(1)))
			sum[e] += float64(low+high) / 2 / float64(len(sorted))
			count[e]++
		}
	}
	for e := range sum {
		sum[e] /= count[e]
	}
	return sum
}
