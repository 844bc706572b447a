package teacher

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestOneOfTheGridIsTheSameEitherWay(t *testing.T) {
	const n, width, length, noise = 40, 3, 1.4, 0.03
	x, z := points(n, width)
	d := distances(x, width)
	s, err := newSpectra(d, n, &kernel{lengths: []float64{length}, noises: []float64{noise}})
	if err != nil {
		t.Fatal(err)
	}
	a := s.fit(z)
	b, err := fitOne(d, z, rough, s.median, length, noise)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(a.evidence-b.evidence) > 1e-6 {
		t.Errorf("evidence %.9f and %.9f", a.evidence, b.evidence)
	}
	for i := range n {
		if math.Abs(a.leaveOneOut[i]-b.leaveOneOut[i]) > 1e-7 || math.Abs(a.alpha[0][i]-b.alpha[0][i]) > 1e-6 {
			t.Fatalf("label %d: held out %.9f and %.9f, alpha %.9f and %.9f", i, a.leaveOneOut[i], b.leaveOneOut[i], a.alpha[0][i], b.alpha[0][i])
		}
	}
}

func TestMoreLabelsThanAProcessTakes(t *testing.T) {
	const labels = processLabels + 200
	d, y := space(labels+200, []string{"a", "b", "c"}, 10)
	r, err := fitOnce(context.Background(), d, all(labels), y[:labels], Options{Subspaces: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := tau(y[labels:], r.Score[labels:]); got < 0.9 {
		t.Errorf("tau %.3f on unseen networks", got)
	}
	if got := tau(y[:labels], r.OutOfFold); got < 0.9 {
		t.Errorf("held-out tau %.3f", got)
	}
}

func TestDrawAndComplementMakeAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 9, 10, 11, 40} {
		in := draw(n, 10, rng)
		out := complement(n, in)
		if len(in) > 10 || !slices.IsSorted(in) {
			t.Errorf("%d of %d drawn: %v", len(in), n, in)
		}
		both := append(slices.Clone(in), out...)
		slices.Sort(both)
		if !slices.Equal(both, all(n)) {
			t.Errorf("%v and %v do not make up %d", in, out, n)
		}
	}
}
