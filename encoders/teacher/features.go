package teacher

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"archflow/schemas"
)

// Features are the numbers that every fit on the same networks starts from.
// They are read only once made and may be used by several fits at a time.
type Features struct {
	n     int
	views []view // interpretations of the networks; evidence chooses
}

// view is a way of looking at the networks.
type view struct {
	name    string
	blocks  []block
	proxies proxies
	// additive says that effects of the columns may just add up, or those of pairs.
	additive bool
}

// proxies are the inputs of the blocks of proxies.
type proxies struct {
	given  []Proxy
	same   equals // networks that share their proxies
	alike  equals // networks whose proxies are measured again and again
	graphs []block
}

// equals are classes of networks that are taken for the same.
type equals struct {
	class []int // nil for none
	count int
}

// NewFeatures computes the features of d.
func NewFeatures(ctx context.Context, d *Data) (*Features, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	f := &Features{n: d.Networks.Len()}
	plain := view{name: "as given"}
	if err := plain.addGraphs(ctx, d, &d.Networks); err != nil {
		return nil, err
	}
	traits := newTraits(&d.Networks)
	var same equals
	if traits != nil {
		same = classes(&d.Networks)
	}
	f.addView(plain, traits, proxies{given: d.Proxies})
	if traits != nil {
		if alone := f.views[0].attributesAlone(); len(alone.blocks) < len(f.views[0].blocks) {
			f.views = append(f.views, alone)
		}
		f.addView(plain.bare(), nil, proxies{given: d.Proxies, same: same})
	} else if chains(&d.Networks) {
		f.views = append(f.views, f.views[0].placesAlone())
	}
	op, ok := identity(d)
	onlyBare := false // an effect of attributes may hide it
	if !ok && traits != nil {
		op, ok = identity(d.withoutAttributes(same))
		onlyBare = true
	}
	if ok {
		g, _ := contract(&d.Networks, op) // as identity has, within bounds
		merged, alike := view{name: "without " + schemas.Name(op)}, classes(&g)
		if err := merged.addGraphs(ctx, d, &g); err != nil {
			return nil, err
		}
		if !onlyBare {
			f.addView(merged, traits, proxies{given: d.Proxies, alike: alike})
		}
		if traits != nil {
			f.addView(merged.bare(), nil, proxies{given: d.Proxies, same: same, alike: alike})
		}
	}
	if err := ctx.Err(); err != nil || d.Width == 0 {
		return f, err
	}
	return f.WithEmbedding(d.Embedding, d.Width)
}

// addView adds the view v of graphs, with attributes where t is not nil, and with
// proxies, if it sees anything of the networks.
func (f *Features) addView(v view, t *traits, p proxies) {
	if t != nil {
		v.addTraits(f.n, t)
	} else if len(v.blocks) == 0 && len(f.views) > 0 {
		return
	}
	p.graphs = always(v.blocks)
	v.proxies = p
	v.addProxies(f.n)
	f.views = append(f.views, v)
}

// bare returns the view as if networks that differ in their attributes alone were
// one: attributes may say nothing, and then equal networks share their proxies.
func (v *view) bare() view {
	return view{name: v.name + ", without attributes", blocks: slices.Clone(v.blocks)}
}

// WithEmbedding returns features that differ in the embedding [n, width] alone
// and share the rest.
func (f *Features) WithEmbedding(embedding []float32, width int) (*Features, error) {
	if err := checkEmbedding(embedding, f.n, width); err != nil {
		return nil, err
	}
	out := &Features{n: f.n}
	for _, v := range f.views {
		v.blocks = slices.DeleteFunc(slices.Clone(v.blocks), func(b block) bool { return b.name == embeddingBlock })
		v.addEmbedding(f.n, embedding, width)
		out.views = append(out.views, v)
	}
	return out, nil
}

// add appends a block of the columns of raw that say something.
func (v *view) add(name, group string, raw []float64, n, width int) {
	if b := newBlock(name, raw, n, width); b.width > 0 {
		b.group = group
		b.single = strings.HasPrefix(name, depthsBlock)
		v.blocks = append(v.blocks, b)
	}
}

// kind is one way to write the cells of a family as numbers. It has memory of its
// own: one goroutine uses it.
type kind struct {
	name, group string
	width       int
	write       func(*cell, []float64)
}

// kinds returns every kind for family k.
func (words *vocabulary) kinds(k, deepest int) []kind {
	fam := words.families[k]
	sub, pairs, at := newSubsets(fam, 8), links{fam.classes}, newDepths(fam, deepest)
	out := []kind{
		{fmt.Sprintf("subsets%d", k), "", sub.width(), sub.features},
		{fmt.Sprintf("links%d", k), "", pairs.width(), pairs.features},
		{fmt.Sprint(depthsBlock, k), fmt.Sprint(depthsBlock, k), at.width(), at.features},
	}
	for _, h := range hypotheses(fam) {
		fl := newFlow(fam, h)
		out = append(out, kind{fmt.Sprintf("flow%d/%b/%g", k, h.weighted, h.gain), fmt.Sprintf("flow%d", k), fl.width(), fl.features})
	}
	return out
}

// cellRows is how many networks one goroutine writes at a time.
const cellRows = 512

// addGraphs adds the blocks of every kind of cell of the networks g.
func (v *view) addGraphs(ctx context.Context, d *Data, g *schemas.Graphs) error {
	words, n := newVocabulary(g), g.Len()
	deepest := 0
	for i := range n {
		deepest = max(deepest, depthOf(g.Graph(i)))
	}
	pace := alone(d.Pace)
	for k := range words.families {
		for number, shape := range words.kinds(k, deepest) { // one at a time, for memory's sake
			raw := make([]float64, n*shape.width)
			err := sideBySide(d.Cores, (n+cellRows-1)/cellRows, func(part int) error {
				pace()
				if err := ctx.Err(); err != nil {
					return err
				}
				var c cell
				own := words.kinds(k, deepest)[number]
				for i := part * cellRows; i < min((part+1)*cellRows, n); i++ {
					ops, edges := g.Graph(i)
					c.read(words, k, ops, edges)
					own.write(&c, raw[i*own.width:(i+1)*own.width])
				}
				return nil
			})
			if err != nil {
				return err
			}
			v.add(shape.name, shape.group, raw, n, shape.width)
		}
	}
	return nil
}

// attributesAlone returns the view without the blocks that know operations and
// edges only. Where the shape of networks follows from their attributes, it says
// the same again with less precision.
func (v *view) attributesAlone() view {
	out := view{name: "attributes alone", proxies: v.proxies}
	for _, b := range v.blocks {
		if b.uses != nil || b.name == ranksBlock || b.name == levelsBlock {
			out.blocks = append(out.blocks, b)
		}
	}
	return out
}

// placesAlone returns the view of a chain with the operation at each position and no
// interactions. Where effects of positions add up, everything else is noise.
func (v *view) placesAlone() view {
	out := view{name: "places alone", proxies: v.proxies, additive: true}
	for _, b := range v.blocks {
		if b.single || b.name == ranksBlock || b.name == levelsBlock {
			b.group = ""
			out.blocks = append(out.blocks, b)
		}
	}
	return out
}

// chains says that every network is one node after another.
func chains(g *schemas.Graphs) bool {
	for i := range g.Len() {
		ops, edges := g.Graph(i)
		if len(edges) != 2*(len(ops)-1) {
			return false
		}
		for e := 0; e < len(edges); e += 2 {
			if edges[e+1] != edges[e]+1 {
				return false
			}
		}
	}
	return g.Len() > 0
}

// embeddingBlock is the name of the block that changes as an encoder learns.
const embeddingBlock = "embedding"

// addEmbedding adds the embedding of a pre-trained encoder.
func (v *view) addEmbedding(n int, embedding []float32, width int) {
	raw := make([]float64, len(embedding))
	for i, e := range embedding {
		raw[i] = float64(e)
	}
	v.add(embeddingBlock, "", raw, n, width)
}

// Blocks of the proxies.
const (
	ranksBlock  = "ranks"
	levelsBlock = "levels"
)

// addProxies adds the ranks and the levels of the proxies, shared and averaged
// over classes of networks that are the same, when there are any. Missing ones
// are guessed from the graphs.
func (v *view) addProxies(n int) {
	var rank, level [][]float64
	for _, p := range shared(v.proxies.given, v.proxies.same) {
		values, known := usable(p.Values)
		if known > 0 {
			rank, level = append(rank, ranks(values)), append(level, tamed(values))
		}
	}
	for _, b := range []struct {
		name string
		cols [][]float64
	}{{ranksBlock, rank}, {levelsBlock, level}} {
		w := len(b.cols)
		raw := make([]float64, n*w)
		for j, col := range b.cols {
			if v.proxies.alike.class != nil {
				col = averages(col, v.proxies.alike)
			}
			impute(col, v.proxies.graphs)
			for i, v := range col {
				raw[i*w+j] = v
			}
		}
		v.add(b.name, "", raw, n, w)
	}
}

// always returns the blocks that are no alternatives.
func always(blocks []block) []block {
	var out []block
	for _, b := range blocks {
		if b.group == "" {
			out = append(out, b)
		}
	}
	return out
}
