package pipeline

import (
	"context"
	"time"

	"archflow/encoders/learner"
	"archflow/ops"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

func (t *trainer) observe(ctx context.Context, worker *ops.Worker, b *schemas.Batch) error {
	rows := int(b.Rows.NumRows())
	_, known := t.positions[b.TopicPartition]
	t.journal.took(b, known)
	t.stage.Candidates(b)
	pass(t.report.Taps, stageTrain, b)
	t.positions[b.TopicPartition] = b.Next
	b.Rows.Release()
	b.Held.Keep(0)
	worker.Done(ctx, rows, rows)
	return nil
}

func (t *trainer) label(out stream, worker *ops.Worker, b *schemas.Batch) error {
	at, known := t.positions[b.TopicPartition] // messages below it are replays
	if b.Next > at {
		t.journal.took(b, known)
	}
	before := len(b.Rejects)
	rows := t.stage.Labels(b, at)
	pass(t.report.Taps, stageTrain, b)
	n := int(b.Rows.NumRows())
	for _, d := range b.Rejects[before:] {
		t.report.Metrics.DeadLetters(d.Class, 1)
	}
	if err := t.table.Append(out.ctx, b.TopicPartition, b.First, b.Next, labelRows(rows)); err != nil {
		return err
	}
	for i := range rows {
		if rows[i].Offset >= at {
			t.report.Metrics.Labels(rows[i].Label.Space+"/"+rows[i].Label.Task, 1)
		}
	}
	t.positions[b.TopicPartition] = max(at, b.Next)
	t.decided.touch(rows)
	t.traces.labelled(rows, at)
	t.dashboard.labelled(rows, b.Rejects)
	t.labelled = true
	b.Rows.Release()
	b.Rows = schemas.NoPredictions()
	b.Held.Keep(b.RejectBytes())
	worker.Blocked()
	if err := out.send(b); err != nil {
		return err
	}
	worker.Done(out.ctx, n, len(rows))
	return nil
}

// labelRows turns outcomes into rows of the labels table.
func labelRows(rows []stages.LabelRow) []sinks.LabelRow {
	list := make([]sinks.LabelRow, len(rows))
	for i := range rows {
		r := &rows[i]
		row := sinks.LabelRow{
			Space: r.Label.Space, CandidateID: schemas.PlainID(r.Label.ID), Task: r.Label.Task, Goal: "max",
			Offset: r.Offset, Time: time.UnixMilli(r.Time),
		}
		if r.Minimise {
			row.Goal = "min"
		}
		if r.Label.Valued() {
			row.Value = &r.Label.Value
		}
		row.Failed, row.Seed, row.Suspect = r.Label.Failed, r.Label.Seed, r.Suspect
		if r.Label.HasFidelity {
			row.Fidelity = &r.Label.Fidelity
		}
		if r.Known {
			row.Architecture, row.Network = r.Architecture.String(), r.Network.String()
		}
		if r.Answered {
			row.Model, row.Score, row.PredictedValue, row.Low, row.High, row.Percentile = r.Model, &r.Score, &r.Value, &r.Low, &r.High, &r.Percentile
		}
		if context, ok := ops.ParseTraceparent(r.Trace); ok {
			row.TraceID = context.TraceID().String()
		}
		list[i] = row
	}
	return list
}

// waiting reports the labels whose candidates have not come. Their rows are in
// the labels table, without an architecture.
func (t *trainer) waiting(ctx context.Context, l *learner.Learner) {
	labels, gone := l.Waiting()
	t.report.Metrics.Waiting(l.Space(), labels)
	if fresh := gone - t.givenUp[l.Space()]; fresh > 0 {
		t.givenUp[l.Space()] = gone
		t.report.Metrics.GivenUp(l.Space(), int(fresh))
		t.report.Log.WarnContext(ctx, "labels were given up: their candidates did not come and no more may wait; publish the candidates and the labels again, or raise wait-labels",
			"space", l.Space(), "labels", fresh, "waiting", labels)
	}
}

// scores reports the running scores of every task.
func (t *trainer) scores() {
	for _, l := range t.stage.Learners() {
		for _, task := range l.Tasks() {
			t.dashboard.scored(l.Space(), task)
			name := l.Space() + "/" + task.Name
			if s := task.Score; s.Pairs > 1 {
				t.report.Metrics.Score(name, ops.Scores{Tau: s.Tau, TauRandom: s.Random, TauRandomError: s.RandomError, P1: s.P1, P5: s.P5, Coverage: s.Coverage, Pairs: s.Pairs})
			}
		}
	}
}
