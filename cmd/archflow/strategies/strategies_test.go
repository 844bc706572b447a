package strategies

import (
	"context"
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
		a, b := p.Candidates[from].cell.Ops, p.Candidates[to].cell.Ops
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
