package pipeline

import (
	"context"
	"sync"
	"time"

	"archflow/ops"
	"archflow/pipeline/api"
	"archflow/schemas"
	"archflow/stages"
)

// single answers one candidate at a time by the stages that answer the stream,
// and publishes nothing.
type single struct {
	mu     sync.Mutex // the stages are one goroutine's
	stages []stages.Stage
}

func (p *Process) newSingle() *single {
	return &single{stages: p.newStages()}
}

// predict returns the answer of the current model to a pasted candidate, or the reason
// for which the candidate would become a dead letter.
func (s *single) predict(ctx context.Context, candidate []byte) (ops.Answer, error) {
	var m schemas.Messages
	m.Append(0, time.Now().UnixMilli(), nil, nil)
	m.Value.Append(candidate)
	b := &schemas.Batch{Next: 1, Registry: schemas.NewestRegistry, Rows: m.Record()}
	defer func() { b.Rows.Release() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stage := range s.stages {
		if err := stage.Process(ctx, b); err != nil {
			return ops.Answer{}, err
		}
		if len(b.Rejects) > 0 {
			return ops.Answer{Class: b.Rejects[0].Class, Reason: b.Rejects[0].Reason}, nil
		}
	}
	c, p := schemas.ViewCandidates(b.Rows), schemas.ViewPredictions(b.Rows)
	prediction := schemas.AppendPrediction(nil, &c, nil, &p, 0, schemas.TopicPartition{})
	return ops.Answer{Prediction: prediction, Cells: api.Cells(&c.Graphs, 0)}, nil
}

// newStages returns the stages of the stream, from messages to predictions, for
// one goroutine.
func (p *Process) newStages() []stages.Stage {
	return []stages.Stage{
		stages.NewDecode(p.config.Limits()),
		stages.NewSurrogate(p.flows),
		stages.NewPredict(p.registry, p.config.Embedding),
	}
}
