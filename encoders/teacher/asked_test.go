package teacher

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// early returns the values with a little noise, of the networks alone for which
// has holds.
func early(y []float64, has func(i int) bool) Proxy {
	rng := rand.New(rand.NewPCG(13, 1))
	p := Proxy{Name: "early"}
	for i, v := range y {
		v += 0.05 * rng.NormFloat64()
		if !has(i) {
			v = math.NaN()
		}
		p.Values = append(p.Values, v)
	}
	return p
}

// A proxy that only labelled networks have, such as an accuracy early in training, does
// not harm the ranking of the others, and out-of-fold scores do not look better than they
// are. It counts in full where the others have it.
func TestProxyThatFollowsLabels(t *testing.T) {
	const labels = 40
	d, y := space(200, []string{"a", "b", "c", "d", "e", "f"}, 12)
	rng := rand.New(rand.NewPCG(3, 1))
	for i := range y {
		y[i] += rng.NormFloat64() // of which the graph says nothing
	}
	plain := d.Proxies
	var failed []int
	fit := func(has func(i int) bool) (r *Result, rest, outOfFold float64) {
		t.Helper()
		d.Proxies = plain
		if has != nil {
			d.Proxies = append(slices.Clone(plain), early(y, has))
		}
		r, err := fitOnce(context.Background(), d, all(labels), y[:labels], Options{Subspaces: 6, Failed: failed})
		if err != nil {
			t.Fatal(err)
		}
		return r, tau(y[labels:], r.Score[labels:]), tau(y[:labels], r.OutOfFold)
	}
	without, alone, _ := fit(nil)
	labelled, rest, outOfFold := fit(func(i int) bool { return i < labels })
	t.Logf("tau %.3f without the proxy; %.3f where labels have it, %.3f held out", alone, rest, outOfFold)
	if !slices.Equal(labelled.Score, without.Score) || !slices.Equal(labelled.OutOfFold, without.OutOfFold) {
		t.Error("a proxy of labelled networks alone changes the ranking")
	}
	failed = all(labels + 60)[labels:]
	without, _, _ = fit(nil)
	if labelled, _, _ = fit(func(i int) bool { return i < labels }); !slices.Equal(labelled.Score, without.Score) {
		t.Error("a proxy of labelled networks alone changes who is expected to fail")
	}
	failed = nil
	_, rest, outOfFold = fit(func(i int) bool { return i < labels || i%2 == 0 })
	t.Logf("tau %.3f where half of the others have it, %.3f held out", rest, outOfFold)
	if rest < alone || outOfFold > rest+0.15 {
		t.Errorf("tau %.3f, held out %.3f, where half of the others have the proxy; %.3f without it", rest, outOfFold, alone)
	}
	if _, rest, outOfFold = fit(func(int) bool { return true }); rest < 0.85 {
		t.Errorf("tau %.3f where all have it, %.3f held out", rest, outOfFold)
	}
}

func TestFollowsLabels(t *testing.T) {
	values := func(n int, has func(i int) bool) []float64 {
		out := make([]float64, n)
		for i := range out {
			if out[i] = 1; !has(i) {
				out[i] = math.NaN()
			}
		}
		return out
	}
	for _, c := range []struct {
		name    string
		n, m    int
		has     func(i int) bool
		keep    int
		follows bool
	}{
		{"only where there is a label", 200, 40, func(i int) bool { return i < 40 }, 0, true},
		{"on a quarter of the others too", 200, 40, func(i int) bool { return i < 40 || i%4 == 0 }, 10, true},
		{"a random sample", 1000, 200, func(i int) bool { return i%5 < 3 }, 120, false},
		{"a sample with more by chance", 200, 5, func(i int) bool { return i%5 < 2 || i < 5 }, 5, false},
		{"everywhere", 200, 40, func(int) bool { return true }, 40, false},
		{"only where there is no label", 200, 40, func(i int) bool { return i >= 40 }, 0, false},
		{"all are labelled", 40, 40, func(int) bool { return true }, 40, false},
	} {
		v := values(c.n, c.has)
		keep, follows := FollowsLabels(v, all(c.m))
		if keep != c.keep || follows != c.follows {
			t.Errorf("%s: keep %d, follows %v", c.name, keep, follows)
		}
		if !follows {
			continue
		}
		left, known := usable(masked(v, all(c.m), keep, 1))
		if _, before := usable(v[c.m:]); known != before+keep {
			t.Errorf("%s: %d values are left", c.name, known)
		}
		if !slices.EqualFunc(left, masked(v, all(c.m), keep, 1), func(a, b float64) bool { return a == b || a != a && b != b }) {
			t.Errorf("%s: another draw", c.name)
		}
	}
}
