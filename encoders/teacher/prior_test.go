package teacher

import (
	"context"
	"math/rand/v2"
	"testing"
)

// With a handful of labels a ranking is no worse than the proxies, one of which is
// noise, and with many it does not lean on them.
func TestFewLabelsLeanOnProxies(t *testing.T) {
	var mine, alone float64
	const draws = 4
	for seed := range uint64(draws) {
		d, y := space(300, []string{"a", "b", "c", "d"}, 20+seed)
		rng := rand.New(rand.NewPCG(seed, 3))
		good, noise := make([]float64, len(y)), make([]float64, len(y))
		for i := range y {
			good[i], noise[i] = y[i]+0.9*rng.NormFloat64(), rng.NormFloat64()
		}
		d.Proxies = []Proxy{{"good", good}, {"better", nil}, {"noise", noise}}
		for i := range y {
			d.Proxies[1].Values = append(d.Proxies[1].Values, y[i]+0.8*rng.NormFloat64())
		}
		r, err := fitOnce(context.Background(), d, all(5), y[:5], Options{})
		if err != nil {
			t.Fatal(err)
		}
		mine += tau(y[5:], r.Score[5:]) / draws
		alone += tau(y[5:], good[5:]) / draws
	}
	t.Logf("tau %.3f, a proxy %.3f", mine, alone)
	if mine < alone {
		t.Errorf("tau %.3f, a proxy has %.3f without labels", mine, alone)
	}
}
