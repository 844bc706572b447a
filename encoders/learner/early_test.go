package learner

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// An early accuracy that candidates carry only where there is a label does not
// make intervals narrower than they should be, of candidates that the model
// remembers and of new ones.
func TestIntervalsWithProxiesOfLabelledAlone(t *testing.T) {
	const labels, n = 40, 200
	covered, asked := map[bool]int{}, map[bool]int{}
	for seed := range uint64(2) {
		random := rand.New(rand.NewPCG(seed, 21))
		numbers := some(90+seed, n+100)
		carried, noise := map[int]string{}, make([]float64, len(numbers))
		plain := cells(t, nil, numbers...)
		for k, i := range numbers {
			noise[k] = 2 * random.NormFloat64()
			if k < labels {
				carried[i] = fmt.Sprintf(`,"proxies":{"early":%g}`, plain.value(k)+noise[k]+0.1*random.NormFloat64())
			}
		}
		w := cells(t, func(i int) string { return carried[i] }, numbers...)
		cfg := tiny("nb201")
		cfg.Buffer, cfg.distilEpochs, cfg.Seed = 2*n, 20, seed
		l := New(cfg)
		for i := range n {
			l.Observe(&w.c, i)
		}
		for i := range labels {
			l.Label(w.byID(i, "acc", w.value(i)+noise[i]))
		}
		workAll(t, l)
		if len(l.pretrain.proxies) != 0 {
			t.Errorf("the trunk ranks %v", l.pretrain.proxies)
		}
		m, rows := l.Champion(), counting(len(numbers))
		answers := m.Answer(l.workspace, &w.c.Networks, &w.c.Graphs, w.c.Network, w.c.Architecture, rows)
		for i := labels; i < len(rows); i++ {
			known := m.Cache.Lookup(w.c.Network[i]) != nil
			_, low, high, _ := m.Tasks[0].At(answers.Score[0][i], answers.Spread[0][i], known)
			asked[known]++
			if y := w.value(i) + noise[i]; low <= y && y <= high {
				covered[known]++
			}
		}
	}
	for known, count := range asked {
		share := float64(covered[known]) / float64(count)
		t.Logf("known %v: %.0f %% of %d in their intervals", known, 100*share, count)
		if share < 0.8 {
			t.Errorf("known %v: intervals hold %.0f %% of %d", known, 100*share, count)
		}
	}
}
