package micro

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// exploration is one in how many choices is left to chance.
const exploration = 5

// parents is how many of the best trained architectures are mutated.
const parents = 6

// Search looks for the most accurate architecture with few trainings, guided by
// somebody's predictions. A round of it:
//
//	candidates := s.Propose(200)   // to be predicted
//	s.Predicted(arch, value, high) // for each answer that arrives
//	chosen := s.Choose(10)         // to be trained
//	s.Trained(a, accuracy)         // for each of them
//
// The calls may interleave in any way, but not run at the same time. The same
// seed and the same calls give the same search.
type Search struct {
	rng       *rand.Rand
	known     map[string]bool // ever proposed
	waiting   []candidate     // proposed, not chosen; in order
	trained   []Trial         // in order
	predicted bool            // whether any prediction came yet
}

// Trial is a trained architecture.
type Trial struct {
	Architecture
	Accuracy float64
}

type candidate struct {
	Architecture
	answered    bool
	value, high float64
}

// NewSearch returns a search that draws from seed.
func NewSearch(seed uint64) *Search {
	return &Search{rng: rand.New(rand.NewPCG(seed, 0x736561726368)), known: map[string]bool{}}
}

// Propose returns n architectures that it never proposed before: drawn at
// random at first, and once networks are trained three of four one or two
// mutations away from the best.
func (s *Search) Propose(n int) []Architecture {
	best := s.Best(parents)
	out := make([]Architecture, 0, n)
	for len(out) < n {
		var a Architecture
		if len(best) > 0 && s.rng.IntN(4) > 0 {
			a = best[s.rng.IntN(len(best))].Architecture
			for range 1 + s.rng.IntN(2) {
				a = Mutate(a, s.rng)
			}
		} else {
			a = Sample(s.rng)
		}
		if !s.known[a.Arch] {
			s.known[a.Arch] = true
			s.waiting = append(s.waiting, candidate{Architecture: a})
			out = append(out, a)
		}
	}
	return out
}

// Predicted gives the search the prediction of a proposed architecture:
// accuracy value, at most high. A later prediction replaces an earlier one; one
// of an architecture that is not waiting is ignored.
func (s *Search) Predicted(arch string, value, high float64) {
	for i := range s.waiting {
		if c := &s.waiting[i]; c.Arch == arch {
			c.answered, c.value, c.high = true, value, high
			s.predicted = true
			return
		}
	}
}

// Choose takes n of the waiting candidates to be trained next, fewer when fewer
// wait: those of the best upper value, every fifth at random. Before the first
// prediction all are random.
func (s *Search) Choose(n int) []Architecture {
	n = min(n, len(s.waiting))
	out := make([]Architecture, 0, n)
	for len(out) < n {
		pick := s.rng.IntN(len(s.waiting))
		if s.predicted && len(out)%exploration != exploration-1 {
			pick = 0
			for i := range s.waiting {
				if s.waiting[i].better(&s.waiting[pick]) {
					pick = i
				}
			}
		}
		out = append(out, s.waiting[pick].Architecture)
		s.waiting = slices.Delete(s.waiting, pick, pick+1)
	}
	return out
}

// better orders by the upper value, then by the value; an architecture without a prediction
// comes last.
func (c *candidate) better(d *candidate) bool {
	if c.answered != d.answered {
		return c.answered
	}
	if c.high != d.high {
		return c.high > d.high
	}
	return c.value > d.value
}

// Trained gives the search the result of training a.
func (s *Search) Trained(a Architecture, accuracy float64) {
	s.trained = append(s.trained, Trial{a, accuracy})
}

// Best returns the n best trials, best first, fewer when fewer are known.
func (s *Search) Best(n int) []Trial {
	best := slices.Clone(s.trained)
	slices.SortStableFunc(best, func(a, b Trial) int { return cmp.Compare(b.Accuracy, a.Accuracy) })
	return best[:min(n, len(best))]
}

// Trainings returns how many trials there were.
func (s *Search) Trainings() int { return len(s.trained) }
