package experiment

import (
	"testing"

	"archflow/encoders/calibration"
)

func TestUncertaintyCountsCoverage(t *testing.T) {
	const n = 400
	table := &Table{Label: make([]float64, n)}
	x := &items{of: make([]int, n)}
	scores := make([]float64, n)
	all := Split{}
	for i := range n {
		table.Label[i], scores[i], x.of[i] = float64(i), float64(i), i
		all.Test = append(all.Test, i)
		x.graphs.Append(nil, nil)
	}
	e := &Experiment{table: table, items: x}
	c := calibration.Fit(scores, nil, table.Label, scores, false)
	runs := []Run{{Uncertainty: e.uncertainty(&c, nil, scores, make([]float64, n), all)}, {}, {Uncertainty: e.uncertainty(&c, nil, scores, make([]float64, n), all)}}
	u := SummariseUncertainty(runs)
	if u.Coverage < .9 || u.Width > .1 {
		t.Errorf("coverage %v, width %v where score and label are one", u.Coverage, u.Width)
	}
	networks, best := 0, 0.
	for _, g := range u.Top {
		if g.Networks > 0 {
			networks += g.Networks
			best += float64(g.Was) * float64(g.Networks)
		}
	}
	if networks != 2*n || best < 7.99 || best > 8.01 {
		t.Errorf("%d networks of which %.2f are among the best, want %d and 8", networks, best, 2*n)
	}
	if last := u.Top[len(u.Top)-1]; last.Networks == 0 || last.Was < .5 {
		t.Errorf("the surest group: %+v", last)
	}
	if SummariseUncertainty([]Run{{}}) != nil {
		t.Error("a summary of nothing")
	}
}
