package pipeline

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"archflow/encoders/learner"
	"archflow/ops"
	"archflow/pipeline/decisions"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// Process is one running archflow: its connections, its stores and its state.
type Process struct {
	config *Config
	report *ops.Telemetry
	health *ops.Health
	ready  *readiness
	web
	*Connected
	tables    sinks.Bucket
	store     sinks.Bucket
	registry  *Registry
	history   *decisions.History // as far as this process answers with their models
	flows     *stages.Flows
	dashboard *dashboard
	backlog   *backlog
	lag       *lag
	suspects  map[string]*suspects             // of each group
	ends      map[schemas.TopicPartition]int64 // with exit-at-end: where the topics ended at start
	training  atomic.Bool                      // the trainer of this process has work that is due
	topics    topicIDs
	refused   tableTrouble
	panics    atomic.Int64          // sessions that ended with a *goPanic
	tune      func(*learner.Config) // by a test; may be nil
	notices   notices
	counts    partitionCounts

	promoted, promotedScores promotions // for the tables models and scores
}

// groups lists the consumer groups of the roles of this process.
func (p *Process) groups() []string { return p.config.Groups() }

// Training says whether the trainer of this process has work that is due.
func (p *Process) Training() bool { return p.training.Load() }

// ModelName returns the model that answers a space, "" before the first.
func (p *Process) ModelName(space string) string { return p.registry.Manifest().Spaces[space].Model }

// Summary returns the process's totals so far.
func (p *Process) Summary() Summary {
	b := p.dashboard
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Summary{
		Seconds: time.Since(b.began).Seconds(), Candidates: b.totals.Candidates, Predictions: b.totals.Predictions,
		DeadLetters: maps.Clone(b.classes), Labels: b.totals.Labels,
	}
	manifest := p.registry.Manifest()
	for _, name := range slices.Sorted(maps.Keys(b.spaces)) {
		space := b.spaces[name]
		s.Spaces = append(s.Spaces, SpaceSummary{name, space.candidates, space.answered, space.model.Networks, manifest.Spaces[name].Model})
	}
	return s
}

// Considered returns once this process answers with models that know the labels
// of the spaces below learnt, next offsets by partition of the labels' topic, or
// whose trainer has considered them and left them out. The error is that of ctx.
func (p *Process) Considered(ctx context.Context, spaces []string, learnt map[int32]int64) error {
	return p.history.Wait(ctx, spaces, learnt)
}

// partitionCounts are how many partitions of the topics of candidates and labels are
// read. They grow.
type partitionCounts struct{ candidates, labels atomic.Int64 }

// models is this process's end of the models topic.
func (p *Process) models() *modelsTopic {
	return &modelsTopic{
		Connected: p.Connected, registry: p.registry, history: p.history, dashboard: p.dashboard, report: p.report,
		onRead: func(err error) { p.ready.note(&p.ready.registry, err) },
	}
}
