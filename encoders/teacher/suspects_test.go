package teacher

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
)

// Placeholder values of failures and values in another unit are found and cost next to
// nothing; correct labels are all accepted.
func TestSpoiltLabels(t *testing.T) {
	d, y := space(500, []string{"a", "b", "c"}, 21)
	for i := range y {
		y[i] = 90 + y[i] // about 90 to 96
	}
	features, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	const labels = 60
	fit := func(spoil func(v float64) float64, count int) (float64, []int, []int) {
		given := slices.Clone(y[:labels])
		spoilt := rand.New(rand.NewPCG(4, 4)).Perm(labels)[:count]
		slices.Sort(spoilt)
		for _, i := range spoilt {
			given[i] = spoil(given[i])
		}
		r, err := features.Fit(context.Background(), all(labels), given, Options{Subspaces: 8})
		if err != nil {
			t.Fatal(err)
		}
		return tau(y[labels:], r.Score[labels:]), spoilt, suspected(r.Suspects)
	}
	clean, _, none := fit(nil, 0)
	if len(none) > 0 || clean < 0.75 {
		t.Fatalf("clean labels: tau %.3f, suspects %v", clean, none)
	}
	for name, c := range map[string]struct {
		spoil func(float64) float64
		count int
	}{
		"six penalties":                 {func(float64) float64 { return -300 }, 6},
		"six large penalties":           {func(float64) float64 { return -10000 }, 6},
		"one in percent of percent":     {func(v float64) float64 { return 100 * v }, 1},
		"a tenth as shares":             {func(v float64) float64 { return v / 100 }, 6},
		"a tenth in percent of percent": {func(v float64) float64 { return 100 * v }, 6},
	} {
		got, spoilt, suspects := fit(c.spoil, c.count)
		if !slices.Equal(suspects, spoilt) || got < clean-0.05 {
			t.Errorf("%s: tau %.3f, clean %.3f; suspects %v, want %v", name, got, clean, suspects, spoilt)
		}
	}
}

// Labels far from the others are accepted where the others predict that their networks
// are the worst.
func TestWorstNetworksAreBelieved(t *testing.T) {
	d, y := space(500, []string{"a", "b", "c"}, 22)
	order := all(60)
	slices.SortFunc(order, func(a, b int) int {
		if y[a] < y[b] {
			return -1
		}
		return 1
	})
	given := slices.Clone(y[:60])
	for _, i := range order[:4] {
		given[i] -= 100
	}
	f, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	suspects, err := f.suspects(all(60), given)
	if err != nil || len(suspects) > 0 {
		t.Errorf("suspects %v, %v", suspects, err)
	}
}

// Labels that are drawn in keep their order and stay beyond the others.
func TestBoundedLabelsKeepTheirOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		y := make([]float64, 12+rng.IntN(60))
		for i := range y {
			y[i] = rng.NormFloat64()
		}
		for range rng.IntN(6) {
			y[rng.IntN(len(y))] = rng.NormFloat64() * []float64{1, 30, 1e3, 1e6}[rng.IntN(4)]
		}
		b := bounded(y)
		for i := range y {
			for j := range y {
				if y[i] < y[j] && !(b[i] < b[j]) {
					t.Fatalf("%v < %v became %v and %v", y[i], y[j], b[i], b[j])
				}
			}
		}
	}
}

// The low tail of a clean table is no mistake, whether features explain it or not: a
// fifth of the labels in a mode of their own, and a training at chance level.
func TestLowTailsAreBelieved(t *testing.T) {
	d, y := space(600, []string{"a", "b", "c"}, 23)
	f, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	low, high := slices.Min(y), slices.Max(y)
	for name, c := range map[string]struct {
		count          int
		bottom, height float64
	}{
		"a second mode": {6, 28, 4},
		"chance level":  {1, 10, 0},
		"high losses":   {6, -100, 20},
	} {
		for draw := range uint64(8) {
			rng := rand.New(rand.NewPCG(draw, 23))
			labelled := rng.Perm(len(y))[:40]
			given := make([]float64, len(labelled))
			for k, i := range labelled {
				given[k] = 50 + 26*(y[i]-low)/(high-low)
				if c.bottom < 0 {
					given[k] -= 110
				}
			}
			for k := range c.count {
				given[k] = c.bottom + c.height*rng.Float64()
			}
			suspects, err := f.suspects(labelled, given)
			if err != nil || len(suspects) > 0 {
				t.Errorf("%s, draw %d: suspects %v, %v", name, draw, suspects, err)
			}
		}
	}
}
