package pipeline

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"archflow/internal/kafka"
	"archflow/ops"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// This file is the whole way of a message, in the order in which it flows.
//
//	architectures ─ source ─ decode ─ surrogate ─ predict ─ predictions (Kafka) ─ table ─ dead letters
//	architectures ─ source ─ decode ─┐
//	                        labels ──┴─ train ─ models, checkpoints, labels table, dead letters
//
// The first line is a worker's, the other two the trainer's. Each sink commits its
// positions with its output; a session begins at the lowest position of all sinks, and
// each sink drops the messages that it already has.

// tableSlack is how many rows may wait while the table commits, which takes
// longer than an answer may.
const tableSlack = 20000

// answer is a worker's session: it predicts the candidates of the partitions
// that this process was given, until stop ends and all that was read is
// committed.
func (p *Process) answer(stop context.Context, a kafka.Assignment) error {
	draining, cancel := drainable(stop)
	defer cancel()
	ctx, fail := context.WithCancelCause(draining)
	defer fail(nil)

	if err := p.topics.same(ctx, p.Client, p.store, a.Group, cureOfGroup, p.Topics.Architectures); err != nil {
		return err
	}
	predictions, err := p.openPredictions(ctx, a)
	if err != nil {
		return err
	}
	defer predictions.Close()
	table, err := p.openGate(ctx, "predictions", func(ctx context.Context) (sinks.Sink, error) {
		return sinks.NewPredictionsTable(ctx, p.tables, p.predictionsTable())
	})
	if err != nil {
		return err
	}
	defer table.Close()
	deadLetters, err := p.openGate(ctx, "dead_letters", func(ctx context.Context) (sinks.Sink, error) {
		return sinks.NewDeadLettersTable(ctx, p.tables, p.tableConfig())
	})
	if err != nil {
		return err
	}
	defer deadLetters.Close()
	for _, g := range []*tableGate{table, deadLetters} {
		go g.watch(ctx, func() { fail(errTableBack) })
	}

	if err := p.restorePositions(ctx, a, predictions, table, deadLetters); err != nil {
		return err
	}
	from, err := lowest(ctx, a.Partitions, among(predictions, table, deadLetters)...)
	if err != nil {
		return err
	}
	candidates, err := p.source(ctx, stageSource, a.Group, from)
	if err != nil {
		return err
	}
	candidates.behind, candidates.records, candidates.lag = p.backlog.set, true, p.lag
	if candidates.past, err = predictions.Past(ctx, a.Partitions); err != nil {
		return err
	}

	f := newFlow(ctx, p.report)
	cores := runtime.GOMAXPROCS(0)
	tables := commitPolicy{
		Rows: p.config.TableRows, Bytes: tableBytes(), Pressed: candidates.budget.Pressed,
		Every: tableInterval(p.config.TableInterval, len(a.Partitions), len(p.candidatePartitions())),
	}
	f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
		return candidates.read(ctx, stop, emit)
	}).
		through(stageDecode, cores, func() stages.Stage { return stages.NewDecode(p.config.Limits()).Warn(p.notice) }).
		through(stageSurrogate, cores, func() stages.Stage { return stages.NewSurrogate(p.flows) }).
		through(stagePredict, cores, func() stages.Stage { return stages.NewPredict(p.registry, p.config.Embedding) }).
		into(predictions, commitPolicy{Rows: 10000, Every: 100 * time.Millisecond, Eager: true},
			committing{stagePredictions, ops.Send, p.Topics.Predictions, p.publishedAfter(candidates.past)}).
		slack(tableSlack, slackBytes()).
		into(table, tables, committing{stage: stageTable}).
		shed(p.dashboard.answered).
		into(deadLetters, tables, committing{stage: stageDeadLetters}).
		end(func(b *schemas.Batch) {
			if !table.closed.Load() && !deadLetters.closed.Load() { // which models answered is kept for one that lags
				predictions.SetFloor(b.TopicPartition, b.Next)
			}
		})
	err = f.wait()
	if errors.Is(context.Cause(ctx), errTableBack) {
		return errTableBack
	}
	if err != nil || !p.config.ExitAtEnd {
		return err
	}
	if missing := p.refused.status(); missing != "" {
		return errors.New(missing) // as text: the end has been reached
	}
	return p.waitGroupDrained(stop, a, table, deadLetters)
}

// learn is the trainer's session, of the one process that holds the first
// partition of the labels, however many they have: it reads every candidate and every label, trains between them, and publishes
// models, until stop ends and its state is stored.
func (p *Process) learn(stop context.Context, a kafka.Assignment) error {
	first := schemas.TopicPartition{Topic: p.Topics.Labels}
	if !slices.Contains(a.Partitions, first) {
		return p.standBy(stop, a)
	}
	a.Partitions = p.labelPartitions() // whoever holds the first reads all of them
	ctx, cancel := drainable(stop)
	defer cancel()

	if err := p.topics.same(ctx, p.Client, p.store, a.Group, cureOfTrainer, p.Topics.Architectures, p.Topics.Labels); err != nil {
		return err
	}
	t, err := p.openTrainer(ctx, stop)
	if err != nil {
		return err
	}
	defer t.table.Close()
	refusals, err := p.openPredictions(ctx, a)
	if err != nil {
		return err
	}
	defer refusals.Close()
	deadLetters, err := sinks.NewDeadLettersTable(ctx, p.tables, p.tableConfig())
	if err != nil {
		return err
	}
	defer deadLetters.Close()

	if err := p.restorePositions(ctx, a, refusals, deadLetters); err != nil {
		return err
	}
	fromLabels, err := lowest(ctx, a.Partitions, t, refusals, deadLetters)
	if err != nil {
		return err
	}
	labelSource, err := p.source(ctx, stageLabels, a.Group, fromLabels)
	if err != nil {
		return err
	}
	labelSource.records, labelSource.lag = true, p.lag
	candidateSource, err := p.source(ctx, stageTrainerSource, a.Group, t.candidatePositions(p.candidatePartitions()))
	if err != nil {
		return err
	}

	f := newFlow(ctx, p.report)
	candidates := f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
		return candidateSource.read(ctx, stop, emit)
	}).
		through(stageTrainerDecode, 1, func() stages.Stage { return unrecorded{stages.NewDecode(p.config.Limits())} })
	labels := f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
		return labelSource.read(ctx, stop, emit)
	})
	t.train(stop, candidates, labels).
		into(refusals, commitPolicy{Rows: 10000, Every: time.Second, Eager: true},
			committing{stageRefused, ops.Send, p.Topics.DeadLetters, func(b *schemas.Batch) { p.lag.cover(b.TopicPartition, b.Next) }}).
		into(deadLetters, commitPolicy{Rows: p.config.TableRows, Bytes: tableBytes(), Every: p.config.TableInterval, Pressed: labelSource.budget.Pressed}, committing{stage: stageRefusedLabels}).
		end(func(*schemas.Batch) {})
	return f.wait()
}
