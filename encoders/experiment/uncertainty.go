package experiment

import (
	"cmp"
	"math"
	"slices"

	"archflow/encoders"
	"archflow/encoders/calibration"
)

// Uncertainty measures a predictor's statements about its own errors, on architectures
// that it was not trained on.
type Uncertainty struct {
	// Coverage is the share of labels inside their 90 % interval, and Width the
	// mean width of the intervals in standard deviations of the labels.
	Coverage Figure `json:"coverage"`
	Width    Figure `json:"width"`
	// ByScore and BySD [10] are the coverage of each tenth of the rows, in ascending
	// order of the score and of the standard deviation that they were given.
	ByScore []Figure `json:"by_score"`
	BySD    []Figure `json:"by_sd"`
	// Unknown counts the rows with something that no labelled row has, such as another
	// operation, and UnknownCoverage is the share of their labels inside.
	Unknown         int    `json:"unknown,omitempty"`
	UnknownCoverage Figure `json:"unknown_coverage,omitempty"`
	// Top groups distinct networks by the probability of being among the best 1 %
	// that they were given; groups begin at 0 and at topEdges.
	Top []Reliability `json:"top"`
}

// Reliability is a group of networks: the mean probability that was said, and
// the share of which it came true.
type Reliability struct {
	Networks int    `json:"networks"`
	Said     Figure `json:"said"`
	Was      Figure `json:"was"`
}

var topEdges = []float64{.01, .05, .1, .25, .5}

const tenths = 10

// uncertainty measures a calibration of scores and spreads [items], and the learnt
// ranges, on the rows tested.
func (e *Experiment) uncertainty(c *calibration.Map, learnt *encoders.Learnt, scores, spreads []float64, s Split) *Uncertainty {
	task := encoders.Task{Calibration: *c, Learnt: learnt}
	u := &Uncertainty{Top: make([]Reliability, len(topEdges)+1)}
	mean, squares, inside, width := 0., 0., 0., 0.
	var score, sd []float64
	var within []bool
	n := float64(len(s.Test))
	for _, r := range s.Test {
		v := e.table.Label[r]
		item := e.items.of[r]
		_, strange := learnt.Unknown(nil, &e.items.graphs, item)
		_, low, high, _ := task.AtStrange(scores[item], spreads[item], true, strange)
		held := low <= v && v <= high
		_, deviation, _ := task.Told(scores[item], spreads[item], true)
		score, sd, within = append(score, scores[item]), append(sd, deviation), append(within, held)
		if held {
			inside++
		}
		if strange.Unknown > 0 {
			u.Unknown++
			if held {
				u.UnknownCoverage++
			}
		}
		width += high - low
		mean += v / n
	}
	for _, r := range s.Test {
		squares += (e.table.Label[r] - mean) * (e.table.Label[r] - mean)
	}
	u.UnknownCoverage /= Figure(max(u.Unknown, 1))
	u.Coverage, u.Width = Figure(inside/n), Figure(width/n/math.Sqrt(squares/n))
	u.ByScore, u.BySD = byTenth(score, within), byTenth(sd, within)
	items, y := e.items.labels(s.Test, e.table.Label)
	sorted := slices.Sorted(slices.Values(y))
	limit := sorted[len(sorted)-max(len(sorted)/100, 1)]
	for k, item := range items {
		p := c.Top(scores[item])
		at, found := slices.BinarySearch(topEdges, p)
		if found {
			at++
		}
		g := &u.Top[at]
		g.Networks++
		g.Said += Figure(p)
		if y[k] >= limit {
			g.Was++
		}
	}
	u.average()
	return u
}

// byTenth returns the share that was held in each tenth of the rows, in ascending
// order of the keys.
func byTenth(keys []float64, held []bool) []Figure {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
	out := make([]Figure, tenths)
	for k := range out {
		part := order[k*len(order)/tenths : (k+1)*len(order)/tenths]
		for _, i := range part {
			if held[i] {
				out[k] += 1 / Figure(len(part))
			}
		}
	}
	return out
}

// average turns the sums of the groups into means, 0 for an empty group.
func (u *Uncertainty) average() {
	for at := range u.Top {
		g := &u.Top[at]
		g.Said /= Figure(max(g.Networks, 1))
		g.Was /= Figure(max(g.Networks, 1))
	}
}

// SummariseUncertainty puts the runs together: means of coverage and width, and
// all networks of a group; nil without any.
func SummariseUncertainty(runs []Run) *Uncertainty {
	sum, n := &Uncertainty{Top: make([]Reliability, len(topEdges)+1), ByScore: make([]Figure, tenths), BySD: make([]Figure, tenths)}, Figure(0)
	for _, r := range runs {
		if r.Uncertainty == nil || len(r.Uncertainty.Top) != len(sum.Top) {
			continue
		}
		n++
		sum.Coverage += r.Uncertainty.Coverage
		sum.Width += r.Uncertainty.Width
		for k := range sum.ByScore {
			if len(r.Uncertainty.ByScore) == tenths && len(r.Uncertainty.BySD) == tenths {
				sum.ByScore[k] += r.Uncertainty.ByScore[k]
				sum.BySD[k] += r.Uncertainty.BySD[k]
			}
		}
		sum.Unknown += r.Uncertainty.Unknown
		sum.UnknownCoverage += r.Uncertainty.UnknownCoverage * Figure(r.Uncertainty.Unknown)
		for at, g := range r.Uncertainty.Top {
			if g.Networks > 0 {
				sum.Top[at].Networks += g.Networks
				sum.Top[at].Said += g.Said * Figure(g.Networks)
				sum.Top[at].Was += g.Was * Figure(g.Networks)
			}
		}
	}
	if n == 0 {
		return nil
	}
	sum.Coverage /= n
	sum.Width /= n
	for k := range sum.ByScore {
		sum.ByScore[k] /= n
		sum.BySD[k] /= n
	}
	sum.UnknownCoverage /= Figure(max(sum.Unknown, 1))
	sum.average()
	return sum
}
