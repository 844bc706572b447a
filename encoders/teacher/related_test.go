package teacher

import (
	"context"
	"math/rand/v2"
	"testing"
)

// Labels of something like the task help where the task has few; noise costs nothing, and
// a task that has nothing to do with it next to nothing.
func TestRelatedLabels(t *testing.T) {
	d, y := space(600, []string{"a", "b", "c", "d"}, 41)
	f, err := NewFeatures(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 1))
	var cheap, noise, other Related
	for i := 100; i < 300; i++ {
		cheap.Labelled, cheap.Y = append(cheap.Labelled, i), append(cheap.Y, 10+3*y[i]+0.3*rng.NormFloat64())
		noise.Labelled, noise.Y = append(noise.Labelled, i), append(noise.Y, rng.NormFloat64())
		other.Labelled, other.Y = append(other.Labelled, i), append(other.Y, d.Proxies[0].Values[i])
	}
	fit := func(related ...Related) float64 {
		r, err := f.Fit(context.Background(), all(16), y[:16], Options{Subspaces: 6, Related: related})
		if err != nil {
			t.Fatal(err)
		}
		return tau(y[300:], r.Score[300:])
	}
	alone := fit()
	if got := fit(cheap); got < alone+0.05 {
		t.Errorf("tau %.3f with related labels, %.3f without", got, alone)
	}
	if got := fit(noise); got != alone {
		t.Errorf("tau %.3f with noise, %.3f without", got, alone)
	}
	if got := fit(other); got < alone-0.02 {
		t.Errorf("tau %.3f with labels of something else, %.3f without", got, alone)
	}
	if _, err := f.Fit(context.Background(), all(16), y[:16], Options{Related: []Related{{Labelled: []int{600}, Y: []float64{1}}}}); err == nil {
		t.Error("a related label of no network is taken")
	}
}
