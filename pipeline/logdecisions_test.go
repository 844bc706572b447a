package pipeline

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"archflow/encoders/learner"
	"archflow/ops"
	"archflow/schemas"
)

// TestDecisionsInTheLog: a correlation that is undefined is left out of a line, and a
// label that looks like a mistake is named once for as long as nothing about it changes.
func TestDecisionsInTheLog(t *testing.T) {
	var out bytes.Buffer
	tr := &trainer{report: &ops.Telemetry{Log: slog.New(slog.NewTextHandler(&out, nil))}, doubted: loggedSuspects{}}
	l := learner.New(learner.Config{Space: "s"})
	say := func(suspects ...learner.Suspect) string {
		out.Reset()
		tr.logTrial(t.Context(), l, "s/2", learner.Trial{Task: "a", Labels: 9, OutOfFold: .51239, Champion: math.NaN(), Challenger: math.NaN(), Suspects: suspects}, time.Second)
		return out.String()
	}
	one := learner.Suspect{Architecture: schemas.ID{1}, Value: 900, Why: "far"}
	two := learner.Suspect{Architecture: schemas.ID{2}, Value: 800, Why: "far"}
	for i, step := range []struct {
		suspects []learner.Suspect
		named    int
	}{
		{nil, 0}, {[]learner.Suspect{one}, 1}, {[]learner.Suspect{one, two}, 1}, {[]learner.Suspect{one, two}, 0},
		{[]learner.Suspect{two}, 0}, {[]learner.Suspect{one, two}, 1}, {[]learner.Suspect{{Architecture: one.Architecture, Value: 901}, two}, 1},
	} {
		text := say(step.suspects...)
		if n := strings.Count(text, "looks like a mistake"); n != step.named {
			t.Errorf("fit %d: %d labels are named, want %d:\n%s", i, n, step.named, text)
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "tau_champion") || !strings.Contains(text, "tau_held_out=0.512") {
			t.Errorf("fit %d: %s", i, text)
		}
	}
}
