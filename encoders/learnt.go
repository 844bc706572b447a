package encoders

import (
	"math"
	"slices"
	"strconv"

	"archflow/encoders/calibration"
	"archflow/schemas"
)

// Learnt describes the labelled networks of a task. A prediction names the parts of its
// candidate beyond it, and its interval grows towards that of the labels: nothing is
// known about an operation that no labelled network has.
type Learnt struct {
	Operations []string    `json:"operations"`
	Attributes []attribute `json:"attributes,omitempty"`
	Shape      []attribute `json:"shape,omitempty"` // the numbers of shapeOf, in order; nil in models from before
	Low        float64     `json:"low"`             // interval of 90 % of the labels, extended by beyondLabels
	High       float64     `json:"high"`

	operations []bool // by symbol
	attributes map[attributeKey]*attribute
	names      map[attributeKey]float64 // share of new texts among those of an attribute
}

// beyondLabels is the share of the spread of the labels by which the interval of unknown
// candidates exceeds it on either side: such intervals covered 95 % of operations left
// out of the labels of nb201.
const beyondLabels = .4

// NewLearnt describes the named graphs, whose labels are values.
func NewLearnt(g *schemas.Graphs, rows []int, values []float64) *Learnt {
	own := g.Select(rows)
	l := &Learnt{}
	for _, op := range own.Ops {
		if name := schemas.Name(op); op >= 0 && !slices.Contains(l.Operations, name) {
			l.Operations = append(l.Operations, name)
		}
	}
	slices.Sort(l.Operations)
	for _, a := range describeAttributes(&own) {
		l.Attributes = append(l.Attributes, *a)
	}
	l.countOnce(&own)
	l.Shape = describeShape(&own)
	slices.SortFunc(l.Attributes, func(a, b attribute) int { return slices.Compare(a.order(), b.order()) })
	if len(values) > 0 {
		sorted := slices.Sorted(slices.Values(values))
		n := float64(len(sorted) - 1)
		low, high := sorted[int(.05*n)], sorted[int(math.Ceil(.95*n))]
		l.Low, l.High = calibration.Finite(low-beyondLabels*(high-low)), calibration.Finite(high+beyondLabels*(high-low))
	}
	l.index()
	return l
}

// countOnce fills in the share of the texts of a name that one graph alone has.
func (l *Learnt) countOnce(g *schemas.Graphs) {
	graphs := map[attributeKey]int{} // that have a text
	for i := range g.Len() {
		var counted []attributeKey
		for _, a := range g.AttributesOf(i) {
			if k := keyOf(&a); a.Kind == schemas.TextKind && k.named() && !slices.Contains(counted, k) {
				counted = append(counted, k)
				graphs[k]++
			}
		}
	}
	type tally struct{ once, all float64 }
	names := map[attributeKey]*tally{}
	for k, n := range graphs {
		k.text = schemas.NoSymbol
		t := names[k]
		if t == nil {
			t = &tally{}
			names[k] = t
		}
		t.all += float64(n)
		if n == 1 {
			t.once++
		}
	}
	for i := range l.Attributes {
		a := &l.Attributes[i]
		if a.IsText {
			t := names[attributeKey{a.Whole, schemas.MustIntern(a.Name), schemas.NoSymbol}]
			a.Once = t.once / t.all
		}
	}
}

func (a *attribute) order() []string {
	return []string{strconv.FormatBool(a.Whole), a.Name, strconv.FormatBool(a.IsText), a.Text}
}

// index prepares l for use. Names that the process cannot keep are left out.
func (l *Learnt) index() {
	l.attributes, l.names = map[attributeKey]*attribute{}, map[attributeKey]float64{}
	for _, name := range l.Operations {
		op, err := schemas.Intern(name)
		if err != nil {
			continue
		}
		for int(op) >= len(l.operations) {
			l.operations = append(l.operations, false)
		}
		l.operations[op] = true
	}
	for i := range l.Attributes {
		a := &l.Attributes[i]
		k := attributeKey{whole: a.Whole, text: schemas.NoSymbol}
		var err error
		if k.name, err = schemas.Intern(a.Name); err != nil {
			continue
		}
		l.names[k] = a.Once
		if a.IsText {
			if k.text, err = schemas.Intern(a.Text); err != nil {
				continue
			}
		}
		l.attributes[k] = a
	}
}

// beyondSpan is the share of the span of a number's values that one may lie
// beyond them and count as learnt.
const beyondSpan = .1

// farBeyond is the share of that span from which on a number is as strange as an
// operation: the ends of the learnt range are as far from its middle.
const farBeyond = .5

// Unknown appends to names the parts of graph i that were not learnt, each once, and
// returns how strange it is. A text weighs less the more texts of its attribute are
// unique to one learnt network: a name differs in each candidate, and out-of-fold errors
// already include that.
func (l *Learnt) Unknown(names []string, g *schemas.Graphs, i int) (_ []string, strange Strangeness) {
	if l == nil {
		return names, Strangeness{}
	}
	add := func(name string, by float64) {
		strange.Unknown = max(strange.Unknown, by)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	shape := shapeOf(g, i)
	number := func(kind, name string, a *attribute, x float64) {
		below, above := a.beyond(x)
		strange.Growth = max(strange.Growth, a.Below*below, a.Above*above)
		if by := max(below, above); by > beyondSpan {
			add(kind+name+" = "+strconv.FormatFloat(x, 'g', -1, 64), min(by/farBeyond, 1))
		}
	}
	for k := range l.Shape {
		number("", l.Shape[k].Name, &l.Shape[k], shape[k])
	}
	ops, _ := g.Graph(i)
	for _, op := range ops {
		if uint32(op) >= uint32(len(l.operations)) || !l.operations[op] {
			add("operation "+g.Name(i, op), 1)
		}
	}
	attributes := g.AttributesOf(i)
	for k := range attributes {
		x := &attributes[k]
		kind := "attribute "
		if x.Node == schemas.WholeGraph {
			kind = "hyperparameter "
		}
		key := keyOf(x)
		known := l.attributes[key]
		once, named := l.names[attributeKey{key.whole, key.name, schemas.NoSymbol}]
		switch {
		case !named:
			add(kind+g.Name(i, x.Name), 1)
		case x.Kind == schemas.TextKind && known == nil:
			add(kind+g.Name(i, x.Name)+" = "+g.Name(i, x.Text), 1-once)
		case known == nil: // a number where texts were
			add(kind+g.Name(i, x.Name)+" = "+strconv.FormatFloat(x.Number, 'g', -1, 64), 1)
		case x.Kind != schemas.TextKind:
			number(kind, g.Name(i, x.Name), known, x.Number)
		}
	}
	return names, strange
}

// Unknown returns, for every task, how strange graph i of its kind is, and the parts
// that some task has not learnt; nil for nothing.
func (m *Model) Unknown(networks, graphs *schemas.Graphs, i int) (strange []Strangeness, names []string) {
	for t := range m.Tasks {
		g := networks
		if m.Tasks[t].OfArchitecture() {
			g = graphs
		}
		var by Strangeness
		if names, by = m.Tasks[t].Learnt.Unknown(names, g, i); by != (Strangeness{}) {
			if strange == nil {
				strange = make([]Strangeness, len(m.Tasks))
			}
			strange[t] = by
		}
	}
	return strange, names
}

// extrapolate extends the interval of a value by its strangeness.
func (l *Learnt) extrapolate(value, low, high float64, s Strangeness) (float64, float64) {
	if l == nil || s == (Strangeness{}) {
		return low, high
	}
	far := s.Unknown
	below, above := max(far*(low-l.Low), min(s.Growth*(value-low), low-l.Low), 0), max(far*(l.High-high), min(s.Growth*(high-value), l.High-high), 0)
	return low - below, high + above
}

// AtStrange is At of a candidate that is so strange; see Learnt.Unknown.
func (t *Task) AtStrange(score, spread float64, known bool, s Strangeness) (value, low, high, percentile float64) {
	value, low, high, percentile = t.At(score, spread, known)
	low, high = t.Learnt.extrapolate(value, low, high, s)
	value, low, high = t.Calibration.Bound(value, low, high)
	return value, low, high, percentile
}
