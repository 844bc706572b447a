package stages

import (
	"math"
	"testing"

	"archflow/encoders"
	"archflow/encoders/calibration"
	"archflow/schemas"
)

// TestRepliesOfModels puts a model's answers for three tasks into columns: one with every
// field, one of a model from before answers carried the chance to be among the best, and
// one that waits for labels.
func TestRepliesOfModels(t *testing.T) {
	s := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	today, before := calibration.Fit(s, nil, s, nil, false), calibration.Fit(s, nil, s, nil, true)
	before.Agreement = nil
	student := calibration.Fit([]float64{1, 3, 2, 5, 4, 6, 8, 7}, nil, s, nil, false)
	champion, err := NewChampion(&encoders.Model{Space: "micro", Version: 3, Tasks: []encoders.Task{
		{Name: "accuracy", Calibration: today, Unseen: &student}, {Name: "loss", Minimise: true, Calibration: before},
	}}, []Waiting{{schemas.MustIntern("latency"), schemas.MustIntern("too few labels")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []bool{true, false} {
		out := schemas.Predictions{Model: make([]schemas.Symbol, 1), Reason: make([]schemas.Symbol, 1)}
		r := reply{champion: champion, scores: []float64{8, 2}}
		if known {
			r.known = r.scores
		}
		r.appendTo(&out, 0)
		if len(out.Task) != 3 || len(out.Score) != 3 || len(out.Percentile) != 3 || len(out.Top) != 3 {
			t.Fatalf("columns of different lengths: %+v", out)
		}
		want := today.Top(8)
		if !known {
			of := today
			of.Agreement = student.Agreement
			want = of.Top(8)
		}
		if out.Top[0] != want || !(want > .01 && want < 1) {
			t.Errorf("known %v: %v, want %v", known, out.Top[0], want)
		}
		if !math.IsNaN(out.Top[1]) || math.IsNaN(out.Percentile[1]) {
			t.Errorf("a model from before says %v at %v %%", out.Top[1], out.Percentile[1])
		}
		if !math.IsNaN(out.Score[2]) || !math.IsNaN(out.Top[2]) {
			t.Errorf("a task that waits has %v, %v", out.Score[2], out.Top[2])
		}
	}
}
