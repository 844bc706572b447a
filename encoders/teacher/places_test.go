package teacher

import (
	"context"
	"math/rand/v2"
	"testing"

	"archflow/schemas"
)

// strings of operations whose effects depend on the place and on the others, in
// pairs: of every place and operation one, of every two places and operations a
// smaller one.
func chainSpace(n, places int, ops []string, seed uint64) (*Data, []float64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	k := len(ops)
	own, pairs := make([]float64, places*k), make([]float64, places*k*places*k)
	for i := range own {
		own[i] = rng.NormFloat64()
	}
	for i := range pairs {
		pairs[i] = 0.25 * rng.NormFloat64()
	}
	d, y := &Data{}, make([]float64, n)
	for i := range n {
		names, edges := []schemas.Symbol{schemas.MustIntern("begin")}, []int32{0, 1}
		chosen := make([]int, places)
		for p := range chosen {
			op := rng.IntN(k)
			chosen[p] = p*k + op
			names, edges = append(names, schemas.MustIntern(ops[op])), append(edges, int32(p+1), int32(p+2))
			y[i] += own[chosen[p]] + 0.1*rng.NormFloat64()
			for _, other := range chosen[:p] {
				y[i] += pairs[other*places*k+chosen[p]]
			}
		}
		d.Networks.Append(append(names, schemas.MustIntern("end")), edges)
	}
	return d, y
}

// The operation at each position of a chain is a hypothesis of its own, and so is that
// its effects add up.
func TestPlacesOfAChain(t *testing.T) {
	for _, c := range []struct {
		labels int
		least  float64
	}{{30, 0.72}, {100, 0.81}} {
		for seed := range uint64(2) {
			d, y := chainSpace(600, 8, []string{"a", "b", "c"}, seed)
			r, err := fitOnce(context.Background(), d, all(c.labels), y[:c.labels], Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := tau(y[c.labels:], r.Score[c.labels:])
			t.Logf("%d labels: tau %.3f, %s", c.labels, got, r.View)
			if got < c.least {
				t.Errorf("%d labels: tau %.3f on unseen chains, want %.2f", c.labels, got, c.least)
			}
		}
	}
	if d, _ := space(50, []string{"a", "b"}, 1); chains(&d.Networks) {
		t.Error("cells count as chains")
	}
}
