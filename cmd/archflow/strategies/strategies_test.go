package strategies

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"archflow/schemas"
)

var names = []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}

// cells is nb201 with a made-up accuracy.
func cells(t *testing.T) (p *Pool, accuracy []float64) {
	t.Helper()
	p = NewPool(schemas.Limits{})
	for n := range 15625 {
		o, worth := [6]string{}, 0.
		for i, rest := 0, n; i < 6; i, rest = i+1, rest/5 {
			o[i] = names[rest%5]
			worth += []float64{-3, 0, 1, 2, -1}[rest%5] * float64(1+i%3)
		}
		before := len(p.Candidates)
		message := fmt.Sprintf(`{"space":"nb201","id":%d,"labels":{"acc":1},"arch":"|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|"}`, n, o[0], o[1], o[2], o[3], o[4], o[5])
		if err := p.Add([]byte(message)); err != nil {
			t.Fatal(err)
		}
		if len(p.Candidates) > before {
			accuracy = append(accuracy, worth)
		}
	}
	return p, accuracy
}

// TestStrategies searches a made-up space: nothing is trained twice, the same seed
// gives the same search, also in two parts, and what learns beats chance.
func TestStrategies(t *testing.T) {
	p, accuracy := cells(t)
	if len(p.Candidates) < 5000 || len(p.Candidates) >= 15625 || slices.Contains(p.Candidates[0].Message, '\n') {
		t.Fatalf("%d networks", len(p.Candidates))
	}
	guess := func(_ context.Context, places []int) (g []Guess, _ error) {
		for _, at := range places {
			g = append(g, Guess{accuracy[at], 1})
		}
		return g, nil
	}
	run := func(name string, seed uint64, budget int) []Trial {
		var trials []Trial
		for len(trials) < budget {
			s := &State{Pool: p, Trials: trials, Random: rand.New(rand.NewPCG(seed, uint64(len(trials)))), Guess: guess}
			places, err := ByName[name](t.Context(), s, min(10, budget-len(trials)))
			if err != nil || len(places) == 0 {
				t.Fatal(name, err)
			}
			for _, at := range places {
				trials = append(trials, Trial{at, accuracy[at]})
			}
		}
		return trials
	}
	best := map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(ByName)) {
		for seed := range uint64(3) {
			trials := run(name, seed, 100)
			seen, most := map[int]bool{}, math.Inf(-1)
			for _, trial := range trials {
				if seen[trial.Place] {
					t.Errorf("%s trains %d twice", name, trial.Place)
				}
				seen[trial.Place] = true
				most = max(most, trial.Value)
			}
			best[name] += most / 3
			if again := run(name, seed, 100); !slices.Equal(trials, again) {
				t.Errorf("%s: one seed, two searches", name)
			}
		}
	}
	for name, value := range best {
		if name != "random" && value <= best["random"] {
			t.Errorf("%s finds %v, chance %v", name, value, best["random"])
		}
	}
}

// TestMutationsAreNear: a mutation changes one operation of a cell.
func TestMutationsAreNear(t *testing.T) {
	p, _ := cells(t)
	random := rand.New(rand.NewPCG(1, 1))
	near := 0
	for range 200 {
		from := random.IntN(len(p.Candidates))
		to := p.Mutate(from, random)
		a, b := p.Candidates[from].draft.Ops, p.Candidates[to].draft.Ops
		different := 0
		for i := range a {
			if i < len(b) && a[i] != b[i] {
				different++
			}
		}
		if different <= 1 {
			near++
		}
	}
	// Cells that differ in dead operations only are one network, so that some
	// mutations lead to a cell that looks further away.
	if near < 100 {
		t.Errorf("%d of 200 mutations are near", near)
	}
}

// transformer is one of a space of the user's own: blocks with attributes in a chain,
// and hyperparameters.
func transformer(random *rand.Rand) string {
	ops, edges, n := `"input"`, "[0,1]", 2+random.IntN(6)
	for i := range n {
		heads, ratio := 1<<random.IntN(4), 2+random.Float64()*4
		ops += fmt.Sprintf(`,{"op":"block","heads":%d,"ratio":%g}`, heads, ratio)
		edges += fmt.Sprintf(",[%d,%d]", i+1, i+2)
	}
	return fmt.Sprintf(`{"space":"own","ops":[%s,"output"],"edges":[%s],"hyperparameters":{"dim":%d,"act":%q}}`, ops, edges, 16+random.IntN(200), []string{"gelu", "relu"}[random.IntN(2)])
}

// worthOf is a made-up accuracy of one of the space above.
func worthOf(t *testing.T, message []byte) (worth float64) {
	t.Helper()
	var m struct {
		Ops             []any
		Hyperparameters struct{ Dim float64 }
	}
	if err := json.Unmarshal(message, &m); err != nil {
		t.Fatal(err, string(message))
	}
	for _, op := range m.Ops {
		if block, ok := op.(map[string]any); ok {
			worth += math.Log2(block["heads"].(float64)) + block["ratio"].(float64)
		}
	}
	return worth + m.Hyperparameters.Dim/20
}

// TestOwnSpace searches a space of the user's own with every strategy: the pool of
// 30 networks grows where it is open, and what a strategy makes is a candidate that was
// not there, within the values that were published, the same for the same seed. What
// goes on from the best, or has predictions, does better than all that was published.
func TestOwnSpace(t *testing.T) {
	draws := rand.New(rand.NewPCG(5, 5))
	var published []string
	most := math.Inf(-1)
	for i := range 30 {
		message := fmt.Sprintf(`{"id":"p%d",%s`, i, transformer(draws)[1:])
		published = append(published, message)
		most = max(most, worthOf(t, []byte(message)))
	}
	search := func(name string, open bool) (trained []string, best float64) {
		p := NewPool(schemas.Limits{})
		p.Open = open
		for _, message := range published {
			if err := p.Add([]byte(message)); err != nil {
				t.Fatal(err)
			}
		}
		guess := func(_ context.Context, places []int) (g []Guess, _ error) {
			for _, at := range places {
				g = append(g, Guess{worthOf(t, p.Candidates[at].Message), .1})
			}
			return g, nil
		}
		var trials []Trial
		best = math.Inf(-1)
		for len(trials) < 50 {
			places, err := ByName[name](t.Context(), &State{Pool: p, Trials: trials, Random: rand.New(rand.NewPCG(1, uint64(len(trials)))), Guess: guess}, 10)
			if err != nil {
				t.Fatal(name, err)
			}
			if len(places) == 0 {
				break
			}
			for _, at := range places {
				message := p.Candidates[at].Message
				if slices.Contains(trained, string(message)) {
					t.Errorf("%s trains %s twice", name, message)
				}
				if p.Candidates[at].Made == (at < len(published)) {
					t.Errorf("%s: %d, %v", name, at, p.Candidates[at].Made)
				}
				worth := worthOf(t, message)
				trials, trained, best = append(trials, Trial{at, worth}), append(trained, string(message)), max(best, worth)
			}
		}
		return trained, best
	}
	_, chance := search("random", true)
	for _, name := range slices.Sorted(maps.Keys(ByName)) {
		closed, _ := search(name, false)
		if len(closed) != 30 {
			t.Errorf("%s: %d of 30 in a closed pool", name, len(closed))
		}
		open, best := search(name, true)
		if len(open) != 50 {
			t.Errorf("%s: %d of 50 in an open pool", name, len(open))
		}
		if again, _ := search(name, true); !slices.Equal(open, again) {
			t.Errorf("%s: one seed, two searches", name)
		}
		if slices.Contains([]string{"evolution", "local", "bananas", "npenas", "reinforce"}, name) && (best < most || best < chance) {
			t.Errorf("%s finds %v, chance %v, the best published is %v", name, best, chance, most)
		}
		t.Logf("%s: %.1f, chance %.1f, published %.1f", name, best, chance, most)
	}
}

// TestAliases: the ids of all candidates of one network lead to it.
func TestAliases(t *testing.T) {
	p := NewPool(schemas.Limits{})
	for _, id := range []string{"a", "b", "c"} {
		dead := `,"pool"`
		if id == "a" {
			dead = ""
		}
		if err := p.Add(fmt.Appendf(nil, `{"space":"own","id":%q,"ops":["input","conv","output"%s],"edges":[[0,1],[1,2]]}`, id, dead)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		if place, ok := p.Of(id); !ok || place != 0 || len(p.Candidates) != 1 {
			t.Errorf("%s is at %d, %v, of %d", id, place, ok, len(p.Candidates))
		}
	}
}

// TestMadeIDs: a candidate without an id, or with that of another network, has an id of
// the search until somebody has published it so, and labels name it in every way.
func TestMadeIDs(t *testing.T) {
	p := NewPool(schemas.Limits{})
	for _, message := range []string{
		`{"space":"own","id":"a","ops":["input","conv","output"],"edges":[[0,1],[1,2]]}`,
		`{"space":"own","ops":["input","pool","output"],"edges":[[0,1],[1,2]]}`,
		`{"space":"own","id":"a","ops":["input","skip","output"],"edges":[[0,1],[1,2]]}`,
	} {
		if err := p.Add([]byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	d := schemas.NewDecoder(schemas.Limits{})
	for place := range p.Candidates {
		c := &p.Candidates[place]
		if c.Made != (place > 0) {
			t.Errorf("%d: made is %v: %s", place, c.Made, c.Message)
		}
		with := func(member string) string { return `{"space":"own","task":"acc","value":1,` + member + `}` }
		graph, refused := d.Label([]byte(with(string(c.Message[1 : len(c.Message)-1]))))
		if refused != nil {
			t.Fatal(refused)
		}
		graph.ID = nil
		hash, _ := d.Label([]byte(with(fmt.Sprintf(`"architecture":"%s"`, graph.Architecture))))
		id, _ := d.Label([]byte(with(fmt.Sprintf(`"id":%q`, c.ID))))
		for what, l := range map[string]*schemas.Label{"graph": &graph, "architecture": &hash, "id": &id} {
			if at, ok := p.OfLabel(l); !ok || at != place {
				t.Errorf("by its %s %d is %d, %v", what, place, at, ok)
			}
		}
		if err := p.Add(c.Message); err != nil || c.Made || len(p.Candidates) != 3 {
			t.Errorf("%d once it is published: %v, made %v, %d candidates", place, err, c.Made, len(p.Candidates))
		}
	}
}

// TestSparsePool: in a closed pool that is a small part of its space, mutations lead
// to members that have much in common with what they begin from.
func TestSparsePool(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	p := NewPool(schemas.Limits{})
	for range 200 {
		if err := p.Add([]byte(transformer(random))); err != nil {
			t.Fatal(err)
		}
	}
	mutated, drawn := 0, 0
	for range 100 {
		from := random.IntN(len(p.Candidates))
		to := p.Mutate(from, random)
		if to == from {
			t.Fatal("a mutation that changes nothing")
		}
		mutated += apart(p.featuresOf(from), p.featuresOf(to))
		drawn += apart(p.featuresOf(from), p.featuresOf(random.IntN(len(p.Candidates))))
	}
	if len(p.Candidates) != 200 || 2*mutated > drawn {
		t.Errorf("%d members; %d features are changed by 100 mutations, %d by as many draws", len(p.Candidates), mutated, drawn)
	}
}
