package pipeline

import (
	"context"
	"time"

	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/sinks"
)

// drainLimit bounds how long a stopping session may finish and commit the messages that
// it has read. It is less than the group waits for a member when partitions move, and
// than the 30 s after a signal.
const drainLimit = 15 * time.Second

// drainable returns the context of a session. It goes on for drainLimit after stop, so
// that messages that were read can be finished and committed.
func drainable(stop context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(stop))
	unhook := context.AfterFunc(stop, func() {
		timer := time.AfterFunc(drainLimit, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() {
		unhook()
		cancel()
	}
}

func (p *Process) tableConfig() sinks.TableConfig {
	return sinks.TableConfig{Group: p.config.Group, Log: p.report.Log, Conflict: p.report.Metrics.Conflict}
}

func (p *Process) predictionsTable() sinks.PredictionsTableConfig {
	return sinks.PredictionsTableConfig{TableConfig: p.tableConfig(), Surrogates: true}
}

// openPredictions returns the sink of the predictions and dead-letters topics.
func (p *Process) openPredictions(ctx context.Context, a kafka.Assignment) (*sinks.Predictions, error) {
	id := p.config.TopicPrefix + a.Group
	var lastProduced func(context.Context, schemas.TopicPartition, schemas.TopicPartition) (int64, error)
	if p.Broker != nil {
		id += "/" + p.Broker.Start() // the embedded broker forgets producers when it starts
		lastProduced = p.lastProduced
	}
	return sinks.OpenPredictions(ctx, p.Client, sinks.DeliveryConfig{
		Predictions: p.Topics.Predictions, DeadLetters: p.Topics.DeadLetters, Member: a.Member,
		LowLatency: p.config.Delivery == "low-latency", TransactionalID: id, Surrogate: p.config.Surrogate, LastProduced: lastProduced,
	})
}

// candidatePartitions lists those of the candidates' topic.
func (p *Process) candidatePartitions() []schemas.TopicPartition {
	return partitionsOf(p.Topics.Architectures, p.counts.candidates.Load())
}

// labelPartitions lists those of the labels' topic.
func (p *Process) labelPartitions() []schemas.TopicPartition {
	return partitionsOf(p.Topics.Labels, p.counts.labels.Load())
}

func partitionsOf(topic string, count int64) []schemas.TopicPartition {
	list := make([]schemas.TopicPartition, count)
	for i := range list {
		list[i] = schemas.TopicPartition{Topic: topic, Number: int32(i)}
	}
	return list
}

// source reads partitions for a group's session from the given positions; -1 is the
// first offset that the broker has.
func (p *Process) source(ctx context.Context, stage, group string, from map[schemas.TopicPartition]int64) (*source, error) {
	for partition, at := range from {
		if at >= 0 {
			continue
		}
		start, _, err := kafka.Ends(ctx, p.Client, partition)
		if err != nil {
			return nil, err
		}
		from[partition] = start
	}
	budget := kafka.NewBudget(budgetBytes(stage))
	return &source{
		open: func(partition schemas.TopicPartition, at int64) *kafka.PartitionReader {
			return kafka.OpenPartition(p.Client, partition, at, kafka.Limits{Bytes: fetchBytes(), Value: p.config.longestValue(), Budget: budget})
		},
		budget: budget,
		from:   from, until: p.ends, report: p.report, stage: stage, skipLost: p.config.SkipLost, suspects: p.suspects[group],
	}, nil
}

// openGate opens a table. An error is one that the session cannot go on with.
func (p *Process) openGate(ctx context.Context, name string, open func(context.Context) (sinks.Sink, error)) (*tableGate, error) {
	g := &tableGate{open: open, every: retryTable, name: name, log: p.report.Log, trouble: &p.refused}
	sink, err := open(ctx)
	if err != nil {
		return g, g.shut(err)
	}
	g.sink = sink
	g.trouble.note(name, nil)
	return g, nil
}

// notice logs input that is odd and not refused.
func (p *Process) notice(sentence string) {
	if p.notices.fresh(sentence) {
		p.report.Log.Warn("worth a look: " + sentence)
	}
}

func numbers(partitions []schemas.TopicPartition) []int32 {
	list := make([]int32, len(partitions))
	for i, p := range partitions {
		list[i] = p.Number
	}
	return list
}
