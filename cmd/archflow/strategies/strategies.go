package strategies

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// Trial is one that was trained.
type Trial struct {
	Place int     // in the pool
	Value float64 // more is better; NaN for a training that failed
}

// Guess is the prediction of a candidate, more being better; NaN without a model.
type Guess struct{ Value, SD float64 }

// Oracle predicts candidates by their places.
type Oracle func(ctx context.Context, places []int) ([]Guess, error)

// State is the input of a strategy.
type State struct {
	Pool   *Pool
	Trials []Trial // in order
	Random *rand.Rand
	Guess  Oracle
}

// Strategy returns n places to train next, none of which was trained; fewer when
// the pool has no more.
type Strategy func(ctx context.Context, s *State, n int) ([]int, error)

// ByName lists the strategies that choose by themselves.
var ByName = map[string]Strategy{
	"random":    random,
	"evolution": evolution,
	"local":     local,
	"bananas":   bananas,
	"npenas":    npenas,

	"reinforce":       reinforce,
	"reinforce-alone": reinforceAlone,
}

const (
	startup    = 10 // random trials of every strategy but random and evolution
	population = 30 // of evolution
	tournament = 10 // of evolution
	parents    = 10 // of the strategies with predictions
	children   = 10 // of each parent
	neighbours = 60 // draws for the neighbourhood of a network
	imagined   = 10 // networks for each to be drawn by which an open pool grows before a policy draws
)

// picks collects places that are new.
type picks struct {
	*State
	taken map[int]bool
	out   []int
}

func (s *State) pick() *picks {
	p := &picks{State: s, taken: map[int]bool{}}
	for _, t := range s.Trials {
		p.taken[t.Place] = true
	}
	return p
}

func (p *picks) add(place int) bool {
	if p.taken[place] {
		return false
	}
	p.taken[place] = true
	p.out = append(p.out, place)
	return true
}

// fill adds random places until there are n; an open pool grows once all of it is
// taken.
func (p *picks) fill(n int) []int {
	if missing := n - len(p.out) - (len(p.Pool.Candidates) - len(p.taken)); missing > 0 {
		p.Pool.Grow(missing, p.Random)
	}
	for len(p.out) < n && len(p.taken) < len(p.Pool.Candidates) {
		p.add(p.Random.IntN(len(p.Pool.Candidates)))
	}
	return p.out[:min(n, len(p.out))]
}

// ranked returns the trials from the best to the worst.
func (s *State) ranked() []Trial {
	list := slices.DeleteFunc(slices.Clone(s.Trials), func(t Trial) bool { return math.IsNaN(t.Value) })
	slices.SortStableFunc(list, func(a, b Trial) int {
		switch {
		case a.Value > b.Value:
			return -1
		case a.Value < b.Value:
			return 1
		}
		return 0
	})
	return list
}

func random(_ context.Context, s *State, n int) ([]int, error) { return s.pick().fill(n), nil }

// evolution is regularised: parents are the best of a tournament among the newest
// trials. Source: Real et al. 2019, algorithm 1.
func evolution(_ context.Context, s *State, n int) ([]int, error) {
	p := s.pick()
	alive := s.Trials[max(0, len(s.Trials)-population):]
	if len(alive) < population {
		return p.fill(min(n, population-len(alive))), nil
	}
	for attempt := 0; len(p.out) < n && attempt < tries; attempt++ {
		best := alive[s.Random.IntN(len(alive))]
		for range tournament - 1 {
			if t := alive[s.Random.IntN(len(alive))]; t.Value > best.Value || math.IsNaN(best.Value) {
				best = t
			}
		}
		p.add(s.Pool.Mutate(best.Place, s.Random))
	}
	return p.fill(n), nil
}

// local trains the neighbours of the best network, then of the next best. Source:
// White et al. 2021, local search.
func local(_ context.Context, s *State, n int) ([]int, error) {
	p := s.pick()
	if len(s.Trials) < startup {
		return p.fill(min(n, startup-len(s.Trials))), nil
	}
	for _, t := range s.ranked() {
		for range neighbours {
			if len(p.out) == n {
				return p.out, nil
			}
			p.add(s.Pool.Mutate(t.Place, s.Random))
		}
	}
	return p.fill(n), nil
}

// offspring mutates the best trials, some of them twice.
func (p *picks) offspring() []int {
	known := len(p.out)
	ranked := p.ranked()
	for _, t := range ranked[:min(parents, len(ranked))] {
		for i := range children {
			place := p.Pool.Mutate(t.Place, p.Random)
			if i%2 == 1 {
				place = p.Pool.Mutate(place, p.Random)
			}
			p.add(place)
		}
	}
	return p.out[known:]
}

// bananas draws from the predictive distribution of each mutation of the best.
// Source: White, Neiswanger and Savani 2021, with our predictions in place of an
// ensemble of networks.
func bananas(ctx context.Context, s *State, n int) ([]int, error) {
	return s.predicted(ctx, n, func(g Guess) float64 { return g.Value + g.SD*s.Random.NormFloat64() })
}

// npenas trains the mutations of the best that are predicted to be best. Source:
// Wei et al. 2022, with our predictions in place of a graph network.
func npenas(ctx context.Context, s *State, n int) ([]int, error) {
	return s.predicted(ctx, n, func(g Guess) float64 { return g.Value })
}

func (s *State) predicted(ctx context.Context, n int, worth func(Guess) float64) ([]int, error) {
	if len(s.Trials) < startup {
		return s.pick().fill(min(n, startup-len(s.Trials))), nil
	}
	places := s.pick().offspring()
	guesses, err := s.Guess(ctx, places)
	if err != nil {
		return nil, err
	}
	worths := make([]float64, len(guesses))
	for i, g := range guesses {
		worths[i] = worth(g)
	}
	p := s.pick()
	for _, place := range highest(places, worths, n) {
		p.add(place)
	}
	return p.fill(n), nil
}

// highest returns the n places with the highest worths, NaN last.
func highest(places []int, worths []float64, n int) []int {
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := worths[i], worths[j]
		switch {
		case a > b, b != b && a == a:
			return -1
		case a < b, a != a && b == b:
			return 1
		}
		return 0
	})
	var out []int
	for _, i := range order[:min(n, len(order))] {
		out = append(out, places[i])
	}
	return out
}
