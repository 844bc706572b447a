package encoders

import (
	"cmp"
	"math"
	"slices"

	"archflow/schemas"
)

// Intervals widen with the distance beyond the learnt values. The rate is that of the errors
// when the labels at an end are held out together, because out-of-fold errors belong to
// networks between others. Source: the blocked cross-validation of Roberts et al., 2017.

// Strangeness is how far a candidate is from the learnt networks.
type Strangeness struct {
	// Unknown is 0 for nothing that was not learnt, 1 for an operation, an attribute or
	// a text, and between for a number beyond those learnt.
	Unknown float64
	// Growth is the share by which an error is likely to exceed that of candidates
	// within the learnt ranges.
	Growth float64
}

// endShares are the largest shares of the networks that are held out at an end.
var endShares = []float64{.06, .12, .2, .34}

// The rate without evidence, and its weight as a sum of squared distances.
const (
	usualGrowth = 2
	usualWeight = .1
)

// farthest bounds distances and errors, so that no product of them overflows: numbers may
// be 300 orders of magnitude apart.
const farthest = 1e6

// maxHeldOut bounds the attributes whose ends are held out; others grow at the usual rate.
const maxHeldOut = 128

// end is what one network has at one end of the values of a number.
type end struct {
	row         int
	most, least float64 // towards the end, and away from it; larger is nearer
}

// Extrapolate learns from labels held out in groups how errors grow beyond the ends.
// errors returns the errors of the members of a group, numbers of the rows, that is held
// out as a whole, in units of the mean error when each is held out alone; NaN where it is
// not known.
func (l *Learnt) Extrapolate(g *schemas.Graphs, rows []int, errors func(group []int) []float64) {
	if errors == nil {
		return
	}
	own := g.Select(rows)
	var grown []*float64 // rates
	var sums [][2]float64
	add := func(rate *float64, ends []end) {
		s := growth(ends, len(rows), errors)
		grown, sums = append(grown, rate), append(sums, s)
	}
	for i := range l.Shape {
		x := &l.Shape[i]
		up, down := make([]end, len(rows)), make([]end, len(rows))
		for row := range rows {
			v := x.at(shapeOf(&own, row)[i])
			up[row], down[row] = end{row, v, v}, end{row, -v, -v}
		}
		add(&x.Above, up)
		add(&x.Below, down)
	}
	ups := map[*attribute][]end{}
	for row := range rows {
		for _, a := range own.AttributesOf(row) {
			x := l.attributes[keyOf(&a)]
			if x == nil || x.IsText {
				continue
			}
			v := x.at(a.Number)
			if e := ups[x]; len(e) > 0 && e[len(e)-1].row == row {
				e[len(e)-1].most, e[len(e)-1].least = max(e[len(e)-1].most, v), min(e[len(e)-1].least, v)
			} else {
				ups[x] = append(e, end{row, v, v})
			}
		}
	}
	for i := range l.Attributes {
		x := &l.Attributes[i]
		up := ups[x]
		if len(up) == 0 {
			continue
		}
		down := make([]end, len(up))
		for k, e := range up {
			down[k] = end{e.row, -e.least, -e.most}
		}
		if len(grown) >= 2*maxHeldOut {
			x.Above, x.Below = usualGrowth, usualGrowth
			continue
		}
		add(&x.Above, up)
		add(&x.Below, down)
	}
	for k, rate := range grown {
		*rate = max((sums[k][0]+usualGrowth*usualWeight)/(sums[k][1]+usualWeight), 0)
	}
}

// growth returns the sums of a regression through zero: of distances times excess errors,
// and of squared distances.
func growth(ends []end, rows int, errors func([]int) []float64) (sums [2]float64) {
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(b.most, a.most) })
	taken := 0
	for _, share := range endShares {
		size := 0
		for k := 1; k < len(ends) && float64(k) <= share*float64(rows); k++ {
			if ends[k].most < ends[k-1].most {
				size = k
			}
		}
		if size <= taken {
			continue
		}
		taken = size
		group := make([]int, size)
		for k := range group {
			group[k] = ends[k].row
		}
		top, bottom := ends[size].most, math.Inf(1)
		for _, e := range ends[size:] {
			bottom = min(bottom, e.least)
		}
		if !(top > bottom) {
			continue
		}
		for k, e := range errors(group) {
			if e == e {
				d := min((ends[k].most-top)/(top-bottom), farthest)
				e = min(e, farthest)
				sums[0] += d * (e - 1)
				sums[1] += d * d
			}
		}
	}
	return sums
}

// shapeOf returns the numbers of the shape of graph i: nodes, and branches, which are
// the ways from one input to one output where none of them fork again.
func shapeOf(g *schemas.Graphs, i int) [2]float64 {
	ops, edges := g.Graph(i)
	return [2]float64{float64(len(ops)), float64(len(edges)/2 - len(ops) + 2)}
}

// describeShape returns the ranges of the numbers of the shape.
func describeShape(g *schemas.Graphs) []attribute {
	out := []attribute{{Name: "nodes"}, {Name: "branches"}}
	for k := range out {
		out[k].Low, out[k].High = math.Inf(1), math.Inf(-1)
		for i := range g.Len() {
			v := shapeOf(g, i)[k]
			out[k].Low, out[k].High = min(out[k].Low, v), max(out[k].High, v)
		}
	}
	return out
}

// at returns where x is on the scale on which distances are measured.
func (a *attribute) at(x float64) float64 {
	if !a.Log {
		return x
	}
	return math.Log(max(x, math.SmallestNonzeroFloat64))
}

// beyond returns the distance of x from the learnt values below and above them, in
// units of their span, farthest at most.
func (a *attribute) beyond(x float64) (below, above float64) {
	if a.Log && x <= 0 {
		return 1, 0
	}
	x, low, high := a.at(x), a.at(a.Low), a.at(a.High)
	span := high - low
	if span <= 0 {
		span = max(math.Abs(low), 1e-300)
	}
	return min(max(low-x, 0)/span, farthest), min(max(x-high, 0)/span, farthest)
}
