package pipeline

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// publishedAfter returns a function that counts the predictions of a batch once their
// topic has them. Replays, which are below the position at the start of the session,
// were counted before.
func (p *Process) publishedAfter(before map[schemas.TopicPartition]sinks.Past) func(*schemas.Batch) {
	return func(b *schemas.Batch) {
		p.lag.cover(b.TopicPartition, b.Next)
		c, answers := schemas.ViewCandidates(b.Rows), schemas.ViewPredictions(b.Rows)
		if b.First < before[b.TopicPartition].Next || c.Len() == 0 {
			return
		}
		type kind struct {
			space    string
			answered bool
		}
		counts := map[kind]int{}
		oldest := c.Time[0]
		for i, space := range c.Space {
			answered := false
			for t := answers.TaskStart[i]; t < answers.TaskStart[i+1]; t++ {
				answered = answered || answers.Score[t] == answers.Score[t]
			}
			counts[kind{c.NameOf(i, space), answered}]++
			oldest = min(oldest, c.Time[i])
		}
		for k, n := range counts {
			p.report.Metrics.Predictions(k.space, k.answered, n)
		}
		if oldest > 0 { // 0: a publisher that gives no time
			ctx := trace.ContextWithSpanContext(context.Background(), b.Trace)
			p.report.Metrics.Latency(ctx, max(time.Since(time.UnixMilli(oldest)), 0))
		}
		p.dashboard.published(c.Len())
	}
}

// unrecorded drops the stage's rejections: another session records them.
type unrecorded struct{ stages.Stage }

// Process is the stage's, without its rejections.
func (u unrecorded) Process(ctx context.Context, b *schemas.Batch) error {
	before := len(b.Rejects)
	err := u.Stage.Process(ctx, b)
	b.Rejects = b.Rejects[:before]
	return err
}
