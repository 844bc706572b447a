package stages

import (
	"context"
	"math"
	"slices"
	"time"

	"archflow/encoders"
	"archflow/schemas"
)

// Predict answers candidates with the champions of their spaces.
//
// A batch is answered by the registry version that it comes with (a replay), or
// by the newest, and leaves with the version that answered. An answer
// depends on the network and the model alone, not on the batch.
type Predict struct {
	models    Models
	workspace *encoders.Workspace
	fresh     []int // rows that the model does not remember
}

// NewPredict returns the stage; with embedding, predictions carry the
// embedding of their network.
func NewPredict(models Models, embedding bool) *Predict {
	w := encoders.NewWorkspace(1) // the pipeline runs several of these stages
	w.Embeddings = embedding
	return &Predict{models: models, workspace: w}
}

// Process appends the prediction columns.
func (p *Predict) Process(ctx context.Context, b *schemas.Batch) error {
	models, err := p.models.ModelSet(ctx, b.Registry)
	if err != nil {
		return err
	}
	b.Registry = models.Version
	c := schemas.ViewCandidates(b.Rows)
	n := c.Len()
	replies := make([]reply, n)
	for _, part := range bySpace(c.Space) {
		if champion := models.Spaces[part.space]; champion != nil {
			p.ask(champion, &c, part.rows, replies)
		}
	}
	out := schemas.Predictions{
		Model:          make([]schemas.Symbol, n),
		Reason:         make([]schemas.Symbol, n),
		Time:           make([]int64, n),
		TaskStart:      make([]int32, n+1),
		EmbeddingStart: make([]int32, n+1),
		UnknownStart:   make([]int32, n+1),
	}
	now := time.Now().UnixMicro()
	for i := range replies {
		out.Time[i] = now
		out.Model[i], out.Reason[i] = schemas.NoSymbol, noLabels
		replies[i].appendTo(&out, i)
		out.TaskStart[i+1] = int32(len(out.Task))
		out.EmbeddingStart[i+1] = int32(len(out.Embedding))
		out.UnknownStart[i+1] = int32(out.Unknown.Len())
	}
	replace(b, schemas.WithPredictions(b.Rows, out))
	return nil
}

var noLabels = schemas.MustIntern("no labels for this space yet: publish trained results to the labels topic")

// reply is a champion's answer for one row.
type reply struct {
	champion  *Champion
	known     []float64              // [tasks of the model] scores that the model remembers, NaN for a task without; or nil
	scores    []float64              // [tasks of the model]
	spreads   []float64              // [tasks of the model], how unsure each is; nil where that is not known
	strange   []encoders.Strangeness // [tasks of the model]; nil for none
	unknown   []string               // the parts of it that are not learnt
	embedding []float32
}

// ask fills in the replies of the rows that belong to the champion's space.
func (p *Predict) ask(champion *Champion, c *schemas.Candidates, rows []int, replies []reply) {
	for _, i := range rows {
		replies[i].champion = champion
	}
	m := champion.Model
	if m == nil {
		return
	}
	for _, i := range rows {
		replies[i].known, replies[i].spreads = m.CachedScores(c.Network[i], c.Architecture[i])
		replies[i].strange, replies[i].unknown = m.Unknown(&c.Networks, &c.Graphs, i)
	}
	fresh := rows
	if !p.workspace.Embeddings {
		// Tasks that the score cache answers need no inference.
		fresh = p.fresh[:0]
		for _, i := range rows {
			if known := replies[i].known; known == nil || slices.ContainsFunc(known, math.IsNaN) {
				fresh = append(fresh, i)
			} else {
				replies[i].scores = known
			}
		}
		p.fresh = fresh
		if len(fresh) == 0 {
			return
		}
	}
	answers := m.Answer(p.workspace, &c.Networks, &c.Graphs, c.Network, c.Architecture, fresh)
	tasks, width := len(m.Tasks), len(answers.Embedding)/len(fresh)
	scores, spreads := make([]float64, len(fresh)*tasks), make([]float64, len(fresh)*tasks)
	embedding := append([]float32(nil), answers.Embedding...)
	for j, i := range fresh {
		own, spread := scores[j*tasks:(j+1)*tasks], spreads[j*tasks:(j+1)*tasks]
		for t := range own {
			own[t], spread[t] = answers.Score[t][j], answers.Spread[t][j]
		}
		replies[i].scores, replies[i].spreads, replies[i].embedding = own, spread, embedding[j*width:(j+1)*width]
	}
}

func (r *reply) appendTo(out *schemas.Predictions, i int) {
	if r.champion == nil {
		return
	}
	out.Model[i], out.Reason[i] = r.champion.Name, schemas.NoSymbol
	for t, score := range r.scores {
		task := &r.champion.Model.Tasks[t]
		known := r.known != nil && !math.IsNaN(r.known[t])
		var strange encoders.Strangeness
		if r.strange != nil {
			strange = r.strange[t]
		}
		spread := math.NaN()
		if r.spreads != nil {
			spread = r.spreads[t]
		}
		value, low, high, percentile := task.AtStrange(score, spread, known, strange)
		out.Task = append(out.Task, r.champion.tasks[t])
		out.Score = append(out.Score, score)
		out.Value = append(out.Value, value)
		out.Low = append(out.Low, low)
		out.High = append(out.High, high)
		out.Percentile = append(out.Percentile, percentile)
		out.Top = append(out.Top, task.Top(percentile, known))
		labels, sd, fails := task.Told(score, spread, known)
		out.Labels, out.SD, out.Fails = append(out.Labels, labels), append(out.SD, sd), append(out.Fails, fails)
	}
	for _, w := range r.champion.Waiting {
		out.Task = append(out.Task, w.Task)
		for _, column := range []*[]float64{&out.Score, &out.Value, &out.Low, &out.High, &out.Percentile, &out.Top, &out.Labels, &out.SD, &out.Fails} {
			*column = append(*column, math.NaN())
		}
		out.Reason[i] = w.Reason
	}
	out.Embedding = append(out.Embedding, r.embedding...)
	for _, name := range r.unknown {
		out.Unknown.Append([]byte(name))
	}
}
