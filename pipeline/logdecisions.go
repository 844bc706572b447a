package pipeline

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"time"

	"archflow/encoders/learner"
)

// logTrial writes to the log how a task was decided, and which labels look like
// mistakes since.
func (t *trainer) logTrial(ctx context.Context, l *learner.Learner, model string, trial learner.Trial, took time.Duration) {
	decision := "kept the champion"
	if trial.Promoted {
		decision = "promoted"
	}
	about := []slog.Attr{
		slog.String("task", trial.Task), slog.String("why", trial.Why), slog.Int("labels", trial.Labels),
		tau("tau_held_out", trial.OutOfFold), slog.Int("fresh", trial.Fresh), tau("tau_champion", trial.Champion), tau("tau_challenger", trial.Challenger),
		slog.Duration("took", took.Round(time.Millisecond)),
	}
	undefined := func(a slog.Attr) bool { return a.Key == "" }
	t.report.Log.LogAttrs(ctx, slog.LevelInfo, "fitted "+model+": "+decision, slices.DeleteFunc(about, undefined)...)
	for _, s := range t.doubted.changed(l.Space(), trial.Task, trial.Suspects) {
		t.report.Log.WarnContext(ctx, "a label looks like a mistake and is not learnt from", "space", l.Space(), "task", trial.Task,
			"id", s.Candidate, "architecture", s.Architecture.String(), "value", s.Value, "why", s.Why)
	}
}

// tau is a correlation as the log has it, the empty attribute where it is undefined.
func tau(name string, value float64) slog.Attr {
	if math.IsNaN(value) {
		return slog.Attr{}
	}
	return slog.Float64(name, math.Round(value*1000)/1000)
}
