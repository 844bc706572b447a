package flow

import (
	"math"
	"slices"
	"testing"
)

// The figures are those of numpy in the order of the paper's code.
func TestAuthorsDraw(t *testing.T) {
	p := AuthorsDraw(2, .1, []string{"a", "b", "c"})
	for name, c := range map[string]struct{ got, want []float64 }{
		"r": {p.R, []float64{0.5488135039273248, 0.7151893663724195}},
		"P": {slices.Concat(p.P["a"], p.P["b"], p.P["c"]), []float64{0.18675579901499675, -0.0977277879876411, 0.09500884175255894, -0.01513572082976979, -0.010321885179355785, 0.04105985019383723}},
		"W": {p.W, []float64{0.014404357116087799, 0.1454273506962975, 0.07610377251469935, 0.012167501649282842, 0.04438632327454257, 0.033367432737426685, 0.14940790731576062, -0.020515826376580087}},
	} {
		if len(c.got) != len(c.want) {
			t.Fatalf("%s: %v, want %v", name, c.got, c.want)
		}
		for i, v := range c.want {
			if math.Abs(c.got[i]-v) > 1e-15 {
				t.Fatalf("%s: %v, want %v", name, c.got, c.want)
			}
		}
	}
	if _, err := FromParameters(p); err != nil {
		t.Error(err)
	}
}
