package stages

import (
	"context"
	"math"
	"time"

	"archflow/encoders"
	"archflow/schemas"
)

// Predict answers candidates with the champions of their spaces.
//
// A batch that comes with a registry version (a replay) is answered by that
// version; any other by the newest, whose version it leaves with. An answer
// depends on the network and the model alone, not on the batch.
type Predict struct {
	models    Models
	embedding bool
	workspace encoders.Workspace
}

// NewPredict returns the stage; with embedding, predictions carry the
// embedding of their network.
func NewPredict(models Models, embedding bool) *Predict {
	return &Predict{models: models, embedding: embedding}
}

// Process appends the prediction columns.
func (p *Predict) Process(ctx context.Context, b *schemas.Batch) error {
	generation, err := p.models.Generation(ctx, b.Registry)
	if err != nil {
		return err
	}
	b.Registry = generation.Version
	c := schemas.ViewCandidates(b.Rows)
	n := c.Len()
	out := schemas.Predictions{
		Model:          make([]schemas.Symbol, n),
		Reason:         make([]schemas.Symbol, n),
		Time:           make([]int64, n),
		TaskStart:      make([]int32, n+1),
		EmbeddingStart: make([]int32, n+1),
	}
	now := time.Now().UnixMicro()
	champions := make([]*Champion, n)
	place := make([]int, n) // of the row among those of its space
	answers := map[schemas.Symbol]*encoders.Answers{}
	for _, part := range bySpace(c.Space) {
		champion := generation.Spaces[part.space]
		for j, i := range part.rows {
			champions[i], place[i] = champion, j
		}
		if champion != nil && champion.Model != nil {
			answers[part.space] = champion.Model.Predict(&p.workspace, &c.Networks, c.Network, part.rows, p.embedding)
		}
	}
	for i := range n {
		out.Time[i] = now
		out.Model[i], out.Reason[i] = schemas.NoSymbol, noLabels
		if champion := champions[i]; champion != nil {
			out.Model[i], out.Reason[i] = champion.Name, schemas.NoSymbol
			out.answer(champion, answers[c.Space[i]], place[i])
		}
		out.TaskStart[i+1] = int32(len(out.Task))
		out.EmbeddingStart[i+1] = int32(len(out.Embedding))
	}
	replace(b, schemas.WithPredictions(b.Rows, out))
	return nil
}

var noLabels = schemas.MustIntern("no labels for this space yet: publish trained results to the labels topic")
