package flow

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"archflow/encoders/kernels"
	"archflow/schemas"
)

// An operation with attributes has the row
//
//	P[op] + sum over its attributes, and those of the whole graph, of v(a) Q[a]
//
// in place of P[op]. Q[a] is drawn as a row of P is, from the seed and the hash
// of the attribute's name; that of a text from its name and the text. v(a) is
// sign(x) log(1 + |x|) of a number x, 1 or 0 of a boolean, 1 of a text: a
// surrogate moves little when a number moves little, needs no scale that it
// would have to learn, and is the published one where there are no attributes.

// word is an attribute's name, with the text of one that is a text.
type word struct{ name, text schemas.Symbol }

func wordOf(a *schemas.Attribute) word {
	if a.Kind == schemas.TextKind {
		return word{a.Name, a.Text}
	}
	return word{a.Name, schemas.NoSymbol}
}

// magnitude returns v(a).
func magnitude(a *schemas.Attribute) float64 {
	switch a.Kind {
	case schemas.TextKind:
		return 1
	case schemas.BooleanKind:
		return a.Number
	}
	return math.Copysign(math.Log1p(math.Abs(a.Number)), a.Number)
}

// attributeRow returns Q[a], nil for given parameters, which have none.
func (f *Flow) attributeRow(name, text string, isText bool) []float64 {
	if f.std == 0 {
		return nil
	}
	h := fnv.New64a()
	h.Write([]byte("attribute\x00" + name))
	if isText {
		h.Write([]byte("\x00" + text))
	}
	return normal(rand.New(rand.NewPCG(f.seed, h.Sum64())), f.k, f.std)
}

// inside returns the addend of row h [k] of an operation inside the ReLU, [width].
func (f *Flow) inside(h []float64) []float32 {
	out := make([]float32, f.width)
	for c := range f.k {
		sum := 0.0
		for j, v := range h {
			sum += v * f.w[j*f.k+c]
		}
		out[c] = float32((1 - f.alpha) * sum)
	}
	return out
}

// wordRow returns inside(Q[a]) of an attribute of graph i.
func (f *Flow) wordRow(g *schemas.Graphs, i int, a *schemas.Attribute) []float32 {
	w := wordOf(a)
	kept := w.name >= 0 && w.text >= schemas.NoSymbol // by the process, so that the number means something
	if kept {
		if row, ok := f.words.Load(w); ok {
			return row.([]float32)
		}
	}
	text := ""
	if a.Kind == schemas.TextKind {
		text = g.Name(i, a.Text)
	}
	row := f.inside(f.attributeRow(g.Name(i, a.Name), text, a.Kind == schemas.TextKind))
	if kept {
		f.words.Store(w, row)
	}
	return row
}

// plain says that the rows of graph i are those of its operations alone.
func plain(g *schemas.Graphs, i int) bool {
	return len(g.AttributesOf(i)) == 0 && (len(g.NameStart) == 0 || g.NameStart[i] == g.NameStart[i+1])
}

// rowsOf writes the addend of each node of graph i inside the ReLU to w.rows [nodes,
// width].
func (f *Flow) rowsOf(g *schemas.Graphs, i int, v *vocabulary, w *workspace) {
	ops, _ := g.Graph(i)
	w.rows = sized(w.rows, len(ops)*f.width)
	for t, op := range ops {
		row := w.rows[t*f.width : (t+1)*f.width]
		if op >= 0 {
			copy(row, v.rows[v.at[op]:])
		} else {
			copy(row, f.inside(f.row(g.Name(i, op))))
		}
	}
	attributes := g.AttributesOf(i)
	for k := range attributes {
		a := &attributes[k]
		row, value := f.wordRow(g, i, a), float32(magnitude(a))
		if a.Node != schemas.WholeGraph {
			kernels.AddScaled(w.rows[int(a.Node)*f.width:][:f.width], value, row)
			continue
		}
		for t := range ops {
			kernels.AddScaled(w.rows[t*f.width:][:f.width], value, row)
		}
	}
}

// operations64 returns the row of P of each node of graph i, attributes
// included.
func (f *Flow) operations64(g *schemas.Graphs, i int) [][]float64 {
	ops, _ := g.Graph(i)
	rows := make([][]float64, len(ops))
	for t, op := range ops {
		rows[t] = append([]float64(nil), f.row(g.Name(i, op))...)
	}
	attributes := g.AttributesOf(i)
	for k := range attributes {
		a := &attributes[k]
		text := ""
		if a.Kind == schemas.TextKind {
			text = g.Name(i, a.Text)
		}
		own := f.attributeRow(g.Name(i, a.Name), text, a.Kind == schemas.TextKind)
		for t := range rows {
			if int(a.Node) == t || a.Node == schemas.WholeGraph {
				accumulate(rows[t], magnitude(a), own)
			}
		}
	}
	return rows
}
