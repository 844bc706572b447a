package pipeline

import (
	"fmt"
	"testing"

	"archflow/encoders/learner"
	"archflow/schemas"
)

// promotion returns a learner of t whose next piece of work is a fit, and the
// challenger that it gives.
func promotion(t *testing.T, tr *trainer) (*learner.Learner, *learner.Challenger) {
	t.Helper()
	l := learner.New(tr.learnerConfig("nb201"))
	if err := tr.stage.Adopt(l); err != nil {
		t.Fatal(err)
	}
	var c schemas.Candidates
	d := schemas.NewDecoder(schemas.Limits{})
	ops := []string{"skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	for i := range 60 {
		arch := fmt.Sprintf("|%s~0|+|%s~0|%s~1|+|none~0|skip_connect~1|nor_conv_1x1~2|", ops[i%4], ops[i/4%4], ops[i/16%4])
		if refused := d.Candidate(&c, fmt.Appendf(nil, `{"space":"nb201","id":%d,"arch":%q}`, i, arch)); refused != nil {
			t.Fatal(refused)
		}
		c.Append(int64(i), 0, nil, nil)
		l.Observe(&c, i)
		l.Label(schemas.Label{Space: "nb201", Task: "acc", Value: float64(i%4 + i/16), ID: fmt.Append(nil, i)})
	}
	var progress learner.Progress
	var err error
	for progress.Challenger == nil && err == nil {
		progress, err = l.Work(t.Context(), false)
	}
	if err != nil || progress.Challenger == nil || !progress.Challenger.Promoted {
		t.Fatalf("no promotion: %+v, %v", progress, err)
	}
	return l, progress.Challenger
}
