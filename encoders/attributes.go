package encoders

import (
	"fmt"
	"math"
	"slices"

	"archflow/encoders/calibration"
	"archflow/encoders/kernels"
	"archflow/schemas"
)

// A node's operation with attributes is embedded as
//
//	embedding[op] + sum over its attributes a, and those of its graph, of x(a) embedding[a]
//
// where x(a) is a number scaled by the mean and the deviation of the batch in which its
// name first occurred, of its logarithm where it was positive and spread over a factor of
// wideAttribute, and clipped to [-attributeBound, attributeBound]; 1 and 0 of a boolean,
// scaled as a number; 1 of a text. Absent and unknown attributes add nothing, which
// equals the mean.

const (
	attributeBound = 4
	wideAttribute  = 4
	// maxAttributes bounds the names of attributes, and the texts of those that
	// are texts, that a network may know.
	maxAttributes = 1024
)

// attribute is a row of the embedding that belongs to the name of an attribute,
// or to the name and a text.
type attribute struct {
	Code   int32   `json:"code"`
	Whole  bool    `json:"whole,omitempty"` // a hyperparameter
	Name   string  `json:"name"`
	IsText bool    `json:"is_text,omitempty"`
	Text   string  `json:"text,omitempty"`
	Log    bool    `json:"log,omitempty"`
	Centre float64 `json:"centre,omitempty"`
	Scale  float64 `json:"scale,omitempty"`
	Low    float64 `json:"low,omitempty"` // smallest and largest value
	High   float64 `json:"high,omitempty"`
	// Once is the share of the values of a name's texts that no other graph has;
	// all texts of a name have it.
	Once float64 `json:"once,omitempty"`
	// Below and Above are the rates at which errors grow with the distance beyond Low
	// and High, in units of their span.
	Below float64 `json:"below,omitempty"`
	Above float64 `json:"above,omitempty"`
}

// attributeKey finds an attribute.
type attributeKey struct {
	whole      bool
	name, text schemas.Symbol
}

func keyOf(a *schemas.Attribute) attributeKey {
	k := attributeKey{a.Node == schemas.WholeGraph, a.Name, schemas.NoSymbol}
	if a.Kind == schemas.TextKind {
		k.text = a.Text
	}
	return k
}

// named says that the process keeps the names of k.
func (k attributeKey) named() bool { return k.name >= 0 && k.text >= schemas.NoSymbol }

// value returns x(a).
func (a *attribute) value(x float64) float32 {
	if a.IsText {
		return 1
	}
	if a.Log {
		if x <= 0 {
			return -attributeBound
		}
		x = math.Log(x)
	}
	return float32(attributeBound * math.Tanh((x-a.Centre)/a.Scale/attributeBound))
}

// attribute returns the row of an attribute, nil when it is unknown.
func (v *Vocabulary) attribute(a *schemas.Attribute) *attribute {
	if at, ok := v.attributeAt[keyOf(a)]; ok {
		return &v.attributes[at]
	}
	return nil
}

// addAttribute gives a a code of its own.
func (v *Vocabulary) addAttribute(k attributeKey, a attribute) bool {
	if len(v.attributes) >= maxAttributes || len(v.names) >= MaxOperations {
		return false
	}
	if v.attributeAt == nil {
		v.attributeAt = map[attributeKey]int{}
	}
	a.Code = int32(len(v.names))
	v.attributeAt[k] = len(v.attributes)
	v.attributes = append(v.attributes, a)
	v.names = append(v.names, "")
	return true
}

// withAttributes returns a vocabulary of operations whose codes leave out those
// of the attributes.
func withAttributes(operations []string, attributes []attribute) (*Vocabulary, error) {
	v, err := NewVocabulary()
	if err != nil {
		return nil, err
	}
	for len(operations) > 0 || len(attributes) > 0 {
		if len(attributes) == 0 || int(attributes[0].Code) != len(v.names) {
			if len(operations) == 0 {
				return nil, fmt.Errorf("vocabulary: attribute %.60q has code %d of %d", attributes[0].Name, attributes[0].Code, len(v.names))
			}
			if err := v.addNamed(operations[0]); err != nil {
				return nil, err
			}
			operations = operations[1:]
			continue
		}
		a := attributes[0]
		attributes = attributes[1:]
		k := attributeKey{whole: a.Whole, text: schemas.NoSymbol}
		if k.name, err = schemas.Intern(a.Name); err != nil {
			return nil, fmt.Errorf("vocabulary: %w", err)
		}
		if a.IsText {
			if k.text, err = schemas.Intern(a.Text); err != nil {
				return nil, fmt.Errorf("vocabulary: %w", err)
			}
		}
		if _, twice := v.attributeAt[k]; twice || !a.IsText && !(a.Scale > 0) || calibration.Finite(a.Centre) != a.Centre || calibration.Finite(a.Scale) != a.Scale || !v.addAttribute(k, a) {
			return nil, fmt.Errorf("vocabulary: attribute %.60q is there twice, has no scale, or is one too many", a.Name)
		}
	}
	return v, nil
}

// describeAttributes describes the attributes of all graphs, without codes.
func describeAttributes(g *schemas.Graphs) map[attributeKey]*attribute {
	out := map[attributeKey]*attribute{}
	type sums struct{ n, sum, squares, logs, logSquares float64 }
	of := map[attributeKey]*sums{}
	for i := range g.Attributes {
		x := &g.Attributes[i]
		k := keyOf(x)
		if !k.named() {
			continue
		}
		a, s := out[k], of[k]
		if a == nil {
			a, s = &attribute{Whole: k.whole, Name: schemas.Name(k.name), Low: x.Number, High: x.Number}, &sums{}
			if x.Kind == schemas.TextKind {
				a.IsText, a.Text = true, schemas.Name(k.text)
			}
			out[k], of[k] = a, s
		}
		a.Low, a.High = min(a.Low, x.Number), max(a.High, x.Number)
		s.n++
		s.sum += x.Number
		s.squares += x.Number * x.Number
		if x.Number > 0 {
			l := math.Log(x.Number)
			s.logs += l
			s.logSquares += l * l
		}
	}
	for k, a := range out {
		if a.IsText {
			a.Low, a.High = 0, 0
			continue
		}
		s := of[k]
		sum, squares := s.sum, s.squares
		if a.Low > 0 && a.High >= wideAttribute*a.Low {
			a.Log, sum, squares = true, s.logs, s.logSquares
		}
		a.Centre = sum / s.n
		a.Scale = math.Sqrt(max(squares/s.n-a.Centre*a.Centre, 0))
		if !(a.Scale > 1e-9*math.Abs(a.Centre)) || calibration.Finite(a.Scale) != a.Scale { // it never varied: a change by half of it counts
			a.Scale = max(math.Abs(a.Centre)/2, 1e-9)
		}
		if calibration.Finite(a.Centre) != a.Centre || calibration.Finite(a.Scale) != a.Scale { // of numbers beyond any sense
			a.Centre, a.Scale = 0, math.MaxFloat64
		}
	}
	return out
}

// newAttributes returns those of the named graphs that v does not know, in an
// order that is the same in every process.
func (v *Vocabulary) newAttributes(g *schemas.Graphs, rows []int) (keys []attributeKey) {
	if len(g.AttributeStart) == 0 {
		return nil
	}
	for _, i := range rows {
		attributes := g.AttributesOf(i)
		for k := range attributes {
			if key := keyOf(&attributes[k]); key.named() {
				if _, ok := v.attributeAt[key]; !ok && !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
		if len(v.attributes)+len(keys) >= maxAttributes {
			break
		}
	}
	return keys
}

// blends are the operations of a batch that have attributes, as sums of rows of
// the embedding. They have codes behind those of the vocabulary.
type blends struct {
	first int32   // code of the first
	start []int32 // [blends+1], into terms
	terms []term
	keys  []key // of each, which do not depend on the batch
	index map[key]int32
	whole []term
}

// term is a row of the embedding and its factor.
type term struct {
	code  int32
	value float32
}

func (s *blends) reset(v *Vocabulary) {
	s.first = int32(v.Len())
	s.start, s.terms, s.keys = append(s.start[:0], 0), s.terms[:0], s.keys[:0]
	clear(s.index)
}

// len returns how many there are.
func (s *blends) len() int { return len(s.keys) }

// of returns the terms of a blend.
func (s *blends) of(code int32) []term {
	at := code - s.first
	return s.terms[s.start[at]:s.start[at+1]]
}

// key identifies an operation across batches.
func (s *blends) key(code int32) key {
	if code >= s.first {
		return s.keys[code-s.first]
	}
	return key{mixed(uint64(code) + 1), mixed(^uint64(code))}
}

// appendCodes appends the code of every node of graph i.
func (s *blends) appendCodes(dst []int32, v *Vocabulary, g *schemas.Graphs, i int) []int32 {
	ops, _ := g.Graph(i)
	attributes := g.AttributesOf(i)
	if len(attributes) == 0 || len(v.attributes) == 0 {
		for _, op := range ops {
			dst = append(dst, v.Code(op))
		}
		return dst
	}
	s.whole = s.whole[:0]
	for len(attributes) > 0 && attributes[0].Node == schemas.WholeGraph {
		s.whole = v.appendTerm(s.whole, &attributes[0])
		attributes = attributes[1:]
	}
	for t, op := range ops {
		from := len(s.terms)
		s.terms = append(append(s.terms, term{v.Code(op), 1}), s.whole...)
		for len(attributes) > 0 && int(attributes[0].Node) == t {
			s.terms = v.appendTerm(s.terms, &attributes[0])
			attributes = attributes[1:]
		}
		if len(s.terms) == from+1 {
			s.terms = s.terms[:from]
			dst = append(dst, v.Code(op))
			continue
		}
		dst = append(dst, s.settle(from))
	}
	return dst
}

func (v *Vocabulary) appendTerm(dst []term, a *schemas.Attribute) []term {
	if known := v.attribute(a); known != nil {
		if x := known.value(a.Number); x != 0 {
			dst = append(dst, term{known.Code, x})
		}
	}
	return dst
}

// settle returns the code of the terms from the given one on, which are dropped
// when an earlier node has the same.
func (s *blends) settle(from int) int32 {
	k := key{0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f}
	for _, t := range s.terms[from:] {
		word := uint64(t.code)<<32 | uint64(math.Float32bits(t.value))
		k = key{mixed(k.a ^ word), mixed(k.b + word*0xd6e8feb86659fd93)}
	}
	if at, ok := s.index[k]; ok {
		s.terms = s.terms[:from]
		return at
	}
	if s.index == nil {
		s.index = map[key]int32{}
	}
	code := s.first + int32(len(s.keys))
	s.index[k] = code
	s.keys = append(s.keys, k)
	s.start = append(s.start, int32(len(s.terms)))
	return code
}

// add adds a blend's embedding to row [width].
func (s *blends) add(row []float32, code int32, table []float32) {
	width := len(row)
	for _, t := range s.of(code) {
		kernels.AddScaled(row, t.value, table[int(t.code)*width:][:width])
	}
}

// addBack adds the gradient of a blend's embedding to that of its rows.
func (s *blends) addBack(dtable []float32, code int32, drow []float32) {
	width := len(drow)
	for _, t := range s.of(code) {
		kernels.AddScaled(dtable[int(t.code)*width:][:width], t.value, drow)
	}
}

// extended returns the embedding with a row for each blend behind those of the
// vocabulary; without blends it is the embedding itself.
func (s *blends) extended(t *tape, w []float32, operations *slot) []float32 {
	table, width := operations.in(w), operations.cols
	if s.len() == 0 {
		return table
	}
	out := t.zeros(len(table) + s.len()*width)
	copy(out, table)
	for k := range s.len() {
		s.add(out[len(table)+k*width:][:width], s.first+int32(k), table)
	}
	return out
}

// extendedBack adds the gradient of extended.
func (s *blends) extendedBack(dw, dout []float32, operations *slot) {
	dtable, width := operations.in(dw), operations.cols
	kernels.Add(dtable, dout[:len(dtable)])
	for k := range s.len() {
		s.addBack(dtable, s.first+int32(k), dout[len(dtable)+k*width:][:width])
	}
}
