package mutation

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"archflow/schemas"
)

// pit is a pooling vision transformer: blocks in three stages.
func pit(random *rand.Rand) string {
	heads, ratio := []int{2, 4, 8}[random.IntN(3)], 2+2*random.IntN(3)
	ops := `"input"`
	n := 1
	for stage := range 3 {
		for range 1 + random.IntN(4) {
			ops += fmt.Sprintf(`,{"op":"block","stage":%d,"heads":%d,"mlp_ratio":%d}`, stage, heads<<(stage/2), ratio)
			n++
		}
	}
	return fmt.Sprintf(`{"space":"pit","ops":[%s,"output"],"edges":[%s],"hyperparameters":{"base_dim":%d,"drop":%g}}`, ops, chainOf(n+1), 16+8*random.IntN(4), random.Float64()/5)
}

func chainOf(nodes int) string {
	var edges []string
	for i := range nodes - 1 {
		edges = append(edges, fmt.Sprintf("[%d,%d]", i, i+1))
	}
	return strings.Join(edges, ",")
}

// mobile is a chain of mobile blocks.
func mobile(random *rand.Rand) string {
	ops := `"input",{"op":"ds","repeat":1,"kernel":3,"stride":1,"channels":16}`
	for i := range 6 {
		ops += fmt.Sprintf(`,{"op":"ir","repeat":%d,"kernel":%d,"stride":%d,"expansion":%d,"channels":%d,"se":%v}`,
			1+random.IntN(4), 3+2*random.IntN(3), 1+random.IntN(2), 2+random.IntN(5), 24+i*48, random.IntN(2) == 0)
	}
	multiplier := func() float64 { return []float64{.25, .5, .75, 1, 1.25}[random.IntN(5)] }
	return fmt.Sprintf(`{"space":"mobilenetv2","ops":[%s,"output"],"edges":[%s],"hyperparameters":{"width_multiplier":%g,"depth_multiplier":%g}}`, ops, chainOf(9), multiplier(), multiplier())
}

// branched is a graph with skips.
func branched(random *rand.Rand) string {
	n := 4 + random.IntN(4)
	ops, edges := `"input"`, chainOf(n+2)
	for range n {
		ops += fmt.Sprintf(`,{"op":%q,"width":%d}`, []string{"conv", "attention", "pool"}[random.IntN(3)], random.IntN(1000))
	}
	for range random.IntN(3) {
		from := random.IntN(n - 1)
		if edge := fmt.Sprintf("[%d,%d]", from, from+2+random.IntN(n-from)); !strings.Contains(edges, edge) {
			edges += "," + edge
		}
	}
	return fmt.Sprintf(`{"space":"branched","ops":[%s,"output"],"edges":[%s]}`, ops, edges)
}

// onEdges has its operations on edges, in either form.
func onEdges(random *rand.Rand) string {
	op := func() string {
		return []string{`"conv"`, `"skip"`, fmt.Sprintf(`{"op":"pool","kernel":%d}`, 2+random.IntN(3))}[random.IntN(3)]
	}
	if random.IntN(2) == 0 {
		return fmt.Sprintf(`{"space":"edges","edges":[[0,1],[1,2],[0,2]],"edge_ops":[%s,%s,%s]}`, op(), op(), op())
	}
	return fmt.Sprintf(`{"space":"edges","edges":[[0,1,%s],[1,2,%s],[0,2,%s]]}`, op(), op(), op())
}

// sizes has hyperparameters alone, a list among them, and numbers of any size.
func sizes(random *rand.Rand) string {
	return fmt.Sprintf(`{"space":"vit-size","hyperparameters":{"depth":%d,"heads":[%d,%d,%d],"rate":%g,"act":%q,"norm":%v,"huge":%g,"seed":%d}}`,
		4+random.IntN(40), 1+random.IntN(4), 1+random.IntN(8), 2+random.IntN(8), random.Float64()/100,
		[]string{"gelu", "relu"}[random.IntN(2)], random.IntN(2) == 0, 1e307*random.NormFloat64(), random.Uint64()>>12)
}

func matrices(random *rand.Rand) string {
	return fmt.Sprintf(`{"space":"matrices","ops":["input",%q,%q,"output"],"adjacency":[[0,1,%d,0],[0,0,1,1],[0,0,0,1],[0,0,0,0]]}`,
		[]string{"conv", "pool"}[random.IntN(2)], []string{"conv", "pool", "norm"}[random.IntN(3)], random.IntN(2))
}

func nb201(random *rand.Rand) string {
	var o [6]any
	for i := range o {
		o[i] = []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}[random.IntN(5)]
	}
	return fmt.Sprintf(`{"space":"nb201","arch":"|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|"}`, o[:]...)
}

func nb301(random *rand.Rand) string {
	cell := func() string {
		var pairs []string
		for node := range 4 {
			for _, from := range random.Perm(node + 2)[:2] {
				pairs = append(pairs, fmt.Sprintf("(%d,%d)", from, random.IntN(7)))
			}
		}
		return "[" + strings.Join(pairs, ",") + "]"
	}
	return fmt.Sprintf(`{"space":"nb301","arch":"[%s,%s]"}`, cell(), cell())
}

func widths(random *rand.Rand) string {
	return fmt.Sprintf(`{"space":"nats-sss","arch":"%d:%d:%d:%d:%d"}`, 8+8*random.IntN(8), 8+8*random.IntN(8), 8+8*random.IntN(8), 8+8*random.IntN(8), 8+8*random.IntN(8))
}

// limits are the observed values of a space: by operation and attribute, or by
// hyperparameter.
type limits struct {
	numbers    map[string][2]float64
	fractions  map[string]bool
	others     map[string]bool
	nodes      [2]int
	unlikeSeen []string
}

func (l *limits) value(name string, x any, learn bool) {
	switch x := x.(type) {
	case float64:
		b, known := l.numbers[name]
		switch {
		case learn && !known:
			l.numbers[name] = [2]float64{x, x}
		case learn:
			l.numbers[name] = [2]float64{min(b[0], x), max(b[1], x)}
		case !known || x < b[0] || x > b[1] || x != float64(int64(x)) && x < 1e18 && !l.fractions[name]:
			l.unlikeSeen = append(l.unlikeSeen, fmt.Sprintf("%s %v of %v", name, x, b))
		}
		if learn && x != float64(int64(x)) {
			l.fractions[name] = true
		}
	case []any:
		for i, y := range x {
			l.value(fmt.Sprint(name, ".", i), y, learn)
		}
	default:
		if key := fmt.Sprint(name, "=", x); learn {
			l.others[key] = true
		} else if !l.others[key] {
			l.unlikeSeen = append(l.unlikeSeen, key)
		}
	}
}

func (l *limits) look(d *Draft, learn bool) {
	for _, list := range d.lists() {
		for _, op := range *list {
			l.value("op", opName(op), learn)
			if attributes, ok := op.(map[string]any); ok {
				for name, x := range attributes {
					l.value(opName(op)+" "+name, x, learn)
				}
			}
		}
	}
	for name, x := range d.Hyper {
		l.value(name, x, learn)
	}
	switch n := len(d.Ops); {
	case learn && l.nodes[1] == 0:
		l.nodes = [2]int{n, n}
	case learn:
		l.nodes = [2]int{min(l.nodes[0], n), max(l.nodes[1], n)}
	case n < l.nodes[0] || n > l.nodes[1]:
		l.unlikeSeen = append(l.unlikeSeen, fmt.Sprint(n, " nodes"))
	}
}

// TestCandidates makes candidates of spaces of every form: all can be used, are as their
// drafts say, stay within the observed values and sizes, have no nodes on no path if
// none had, differ from one another, and are the same for one seed.
func TestCandidates(t *testing.T) {
	for name, member := range map[string]func(*rand.Rand) string{
		"pit": pit, "mobile": mobile, "branched": branched, "edges": onEdges, "sizes": sizes, "matrices": matrices, "nb201": nb201, "nb301": nb301, "widths": widths,
	} {
		for _, known := range []int{2, 60} {
			run := func(seed uint64) (messages []string, l limits) {
				random := rand.New(rand.NewPCG(seed, 7))
				g := New(schemas.NewDecoder(schemas.Limits{}))
				l = limits{numbers: map[string][2]float64{}, fractions: map[string]bool{}, others: map[string]bool{}}
				var drafts []Draft
				for range known {
					message := member(random)
					d, ok := g.Observe([]byte(message))
					if !ok {
						t.Fatalf("%s: not understood: %s", name, message)
					}
					l.look(&d, true)
					drafts = append(drafts, d)
				}
				before, _ := json.Marshal(drafts)
				networks := map[schemas.ID]bool{}
				for i := range 400 {
					d := g.Mutate(drafts[i%known], 1+i%9, random)
					c, ok := g.Candidate(d)
					if !ok {
						continue
					}
					messages = append(messages, string(c.Message))
					networks[c.Network] = true
					l.look(&d, false)
					var again schemas.Candidates
					if refused := g.decoder.Candidate(&again, c.Message); refused != nil || again.Network[0] != c.Network || again.Architecture[0] != c.Architecture {
						t.Errorf("%s: %s: %v", name, c.Message, refused)
					}
				}
				if after, _ := json.Marshal(drafts); string(after) != string(before) {
					t.Errorf("%s: a mutation changes what it begins with", name)
				}
				if len(networks) < 5 || known > 2 && len(networks) < 40 {
					t.Errorf("%s, %d known: %d networks of %d candidates", name, known, len(networks), len(messages))
				}
				return messages, l
			}
			messages, l := run(1)
			if len(l.unlikeSeen) > 0 {
				t.Errorf("%s, %d known: %q was never seen, in all %d", name, known, l.unlikeSeen[0], len(l.unlikeSeen))
			}
			if again, _ := run(1); !slices.Equal(messages, again) {
				t.Errorf("%s: one seed, two lists", name)
			}
			if other, _ := run(2); slices.Equal(messages, other) {
				t.Errorf("%s: two seeds, one list", name)
			}
		}
	}
}

// TestCellsOfDARTS: mutations of nb301 change operations and edges, and every cell that
// they give is one of the space, with all its hidden nodes.
func TestCellsOfDARTS(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	g := New(schemas.NewDecoder(schemas.Limits{}))
	first, ok := g.Observe([]byte(nb301(random)))
	if !ok {
		t.Fatal("not understood")
	}
	edges := 0
	for range 300 {
		d := g.Mutate(first, 1, random)
		if fmt.Sprint(d.Edges, d.EdgesReduce) != fmt.Sprint(first.Edges, first.EdgesReduce) {
			edges++
			if fmt.Sprint(d.Ops, d.OpsReduce) != fmt.Sprint(first.Ops, first.OpsReduce) {
				t.Fatal("one change of both")
			}
		}
		for _, c := range []cell{{d.Ops, &d.Edges}, {d.OpsReduce, &d.EdgesReduce}} {
			reads, ok := c.readsOf()
			for place := cellInputs; ok && place < cellNodes-1; place++ {
				ok = reads[place] < place-place%2 && reads[place] != reads[place^1]
			}
			if !ok {
				t.Fatalf("no cell of the space: %v", *c.edges)
			}
		}
		if _, ok := g.Candidate(d); !ok {
			t.Fatalf("refused: %+v", d)
		}
	}
	if edges < 60 {
		t.Errorf("%d of 300 mutations change edges", edges)
	}
}

// TestSilentSpaces: a space whose members are all ends, or one and the same, has no
// mutations, and asking for one does no harm.
func TestSilentSpaces(t *testing.T) {
	for _, message := range []string{
		`{"space":"ends","ops":["input","input","output"],"edges":[[0,2],[1,2]]}`,
		`{"space":"one","ops":["input","conv","output"],"edges":[[0,1],[1,2]]}`,
		`{"space":"one","hyperparameters":{"depth":3,"none":[]}}`,
	} {
		g := New(schemas.NewDecoder(schemas.Limits{}))
		d, ok := g.Observe([]byte(message))
		if !ok {
			t.Fatal(message)
		}
		random := rand.New(rand.NewPCG(1, 1))
		for range 100 {
			if c, ok := g.Candidate(g.Mutate(d, 3, random)); ok && d.Space == "ends" && !strings.Contains(string(c.Message), `"output"`) {
				t.Error(string(c.Message))
			}
		}
	}
}
