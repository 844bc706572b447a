package micro

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// pretend replaces training: it likes squares, long paths and little else.
func pretend(a Architecture) float64 {
	score := 0.0
	for i, op := range a.Ops {
		if op == "square" && i > 2 {
			score += 5
		}
		if op == "linear" && i < 4 {
			score += 3
		}
	}
	return score - float64(len(a.Edges))/2
}

// guided runs a search with blurred predictions and returns the best found.
func guided(t *testing.T, seed uint64, trainings int) []Trial {
	s := NewSearch(seed)
	blur := rand.New(rand.NewPCG(seed, 0))
	seen := map[string]bool{}
	trained := map[string]bool{}
	for s.Trainings() < trainings {
		for _, a := range s.Propose(50) {
			if seen[a.Arch] {
				t.Fatalf("%s proposed twice", a.Arch)
			}
			seen[a.Arch] = true
			if s.Trainings() > 0 {
				value := pretend(a) + 2*blur.NormFloat64()
				s.Predicted(a.Arch, value, value+1)
			}
		}
		for _, a := range s.Choose(10) {
			if !seen[a.Arch] || trained[a.Arch] {
				t.Fatalf("%s chosen, but never proposed or already chosen", a.Arch)
			}
			trained[a.Arch] = true
			s.Trained(a, pretend(a))
		}
	}
	return s.Best(trainings)
}

func TestGuidedSearchBeatsRandom(t *testing.T) {
	const trainings, seeds = 60, 5
	var found, random float64
	for seed := range uint64(seeds) {
		found += guided(t, seed, trainings)[0].Accuracy / seeds
		rng := rand.New(rand.NewPCG(seed, 1))
		best := pretend(Sample(rng))
		for range trainings - 1 {
			best = max(best, pretend(Sample(rng)))
		}
		random += best / seeds
	}
	if found < random+3 {
		t.Errorf("the guided search found %.2f on average, a random one %.2f", found, random)
	}
}

func TestSearchIsRepeatable(t *testing.T) {
	first, again := guided(t, 1, 40), guided(t, 1, 40)
	if !reflect.DeepEqual(first, again) {
		t.Error("the same seed searched differently")
	}
	if other := guided(t, 2, 40); reflect.DeepEqual(first, other) {
		t.Error("another seed searched the same")
	}
	for i := 1; i < len(first); i++ {
		if first[i].Accuracy > first[i-1].Accuracy {
			t.Fatal("the best are out of order")
		}
	}
}

func TestChooseFollowsTheUpperValue(t *testing.T) {
	s := NewSearch(1)
	as := s.Propose(20)
	s.Predicted(as[7].Arch, 50, 90)
	s.Predicted(as[3].Arch, 60, 80)
	s.Predicted(as[9].Arch, 40, 80)
	s.Predicted("never proposed", 99, 99)
	s.Predicted(as[7].Arch, 50, 70) // a newer model thinks less of it
	got := s.Choose(3)
	for i, want := range []int{3, 9, 7} {
		if got[i].Arch != as[want].Arch {
			t.Errorf("choice %d is %s, want candidate %d", i, got[i].Arch, want)
		}
	}
	if rest := s.Choose(100); len(rest) != 17 {
		t.Errorf("%d were left to choose, want 17", len(rest))
	}
}
