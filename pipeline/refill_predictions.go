package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"

	"archflow/encoders"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// published is an answer as the predictions topic has it.
type published struct {
	schemas.Prediction
	time int64 // of the message, in milliseconds since 1970
}

// refillPredictions makes rows of the published answers that the table lacks and
// of their candidates.
func (r *refill) refillPredictions(ctx context.Context, table *sinks.PredictionsTable, done *Refilled) error {
	pending := chunk[published]{flush: func(ctx context.Context, p schemas.TopicPartition, answers map[int64]published) error {
		rows, gone, err := r.answered(ctx, table, p, answers)
		done.Refilled += rows
		done.Gone += gone
		return err
	}}
	err := r.Follow(ctx, r.Topics.Predictions, From{Start: true}, true, func(in schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			source, ok := sourceOf(true, m, i)
			p := schemas.TopicPartition{Topic: source.Topic, Number: source.Partition}
			if !ok || source.Topic != r.Topics.Architectures || !table.Lacks(p, source.Offset) {
				continue
			}
			answer, err := schemas.ParsePrediction(m.Value.At(i))
			if err != nil {
				return fmt.Errorf("%s/%d offset %d: %w", in.Topic, in.Number, m.Offset[i], err)
			}
			if err := pending.put(ctx, p, source.Offset, published{answer, m.Time[i]}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return pending.end(ctx)
}

// answered gives the table the rows of published answers.
func (r *refill) answered(ctx context.Context, table *sinks.PredictionsTable, p schemas.TopicPartition, answers map[int64]published) (rows, gone int64, err error) {
	m, err := r.messages(ctx, p, offsetsOf(answers))
	if err != nil {
		return 0, 0, err
	}
	b, err := r.candidates(ctx, p, &m)
	if err != nil {
		return 0, 0, err
	}
	// A topic that was made again has other candidates at the same offsets.
	own := schemas.Messages{Envelope: schemas.Envelope{HeaderStart: []int32{0}}}
	c := schemas.ViewCandidates(b.Rows)
	for i, k := 0, 0; i < c.Len(); i++ {
		for m.Offset[k] != c.Offset[i] {
			k++
		}
		if answers[c.Offset[i]].Architecture == c.Architecture[i].String() {
			own.AppendFrom(&m.Envelope, k)
			own.Value.Append(m.Value.At(k))
		}
	}
	if own.Len() < c.Len() {
		b.Rows.Release()
		if b, err = r.candidates(ctx, p, &own); err != nil {
			return 0, 0, err
		}
	}
	gone = int64(len(answers) - own.Len())
	if err := r.answer(ctx, b, answers); err != nil {
		b.Rows.Release()
		return 0, 0, err
	}
	rows, err = table.Insert(ctx, b)
	return rows, gone, err
}

// candidates decodes messages and computes their surrogates, as a worker does.
func (r *refill) candidates(ctx context.Context, p schemas.TopicPartition, m *schemas.Messages) (*schemas.Batch, error) {
	b := &schemas.Batch{TopicPartition: p, Null: m.Null, Rows: m.Record()}
	for _, stage := range []stages.Stage{stages.NewDecode(r.config.Limits()), stages.NewSurrogate(stages.NewFlows(r.config.Seed))} {
		if err := stage.Process(ctx, b); err != nil {
			b.Rows.Release()
			return nil, err
		}
	}
	return b, nil
}

// answer appends published answers to candidates.
func (r *refill) answer(ctx context.Context, b *schemas.Batch, answers map[int64]published) error {
	c := schemas.ViewCandidates(b.Rows)
	n := c.Len()
	out := schemas.Predictions{
		Model: make([]schemas.Symbol, n), Reason: make([]schemas.Symbol, n), Time: make([]int64, n),
		TaskStart: make([]int32, n+1), EmbeddingStart: make([]int32, n+1), UnknownStart: make([]int32, n+1),
	}
	for i, offset := range c.Offset {
		a := answers[offset]
		out.Time[i] = 1000 * a.time
		out.Model[i], out.Reason[i] = schemas.NoSymbol, schemas.NoSymbol
		if a.Model != nil {
			var err error
			if out.Model[i], err = schemas.Intern(*a.Model); err != nil {
				return err
			}
		}
		if err := appendTasks(&out, a.Tasks); err != nil {
			return err
		}
		for _, name := range a.Unknown {
			out.Unknown.Append([]byte(name))
		}
		out.TaskStart[i+1], out.UnknownStart[i+1] = int32(len(out.Task)), int32(out.Unknown.Len())
	}
	if r.config.Embedding {
		if err := r.embed(ctx, b, &out); err != nil {
			return err
		}
	}
	rows := b.Rows
	b.Rows = schemas.WithPredictions(rows, out)
	rows.Release()
	return nil
}

// appendTasks adds the answers of a row, by task.
func appendTasks(out *schemas.Predictions, tasks map[string]*schemas.TaskPrediction) error {
	number := func(v *float64) float64 {
		if v == nil {
			return math.NaN()
		}
		return *v
	}
	for _, name := range sortedKeys(tasks) {
		t := tasks[name]
		if t == nil {
			continue
		}
		task, err := schemas.Intern(name)
		if err != nil {
			return err
		}
		labels := math.NaN()
		if t.Labels != nil {
			labels = float64(*t.Labels)
		}
		out.Task, out.Score = append(out.Task, task), append(out.Score, t.Score)
		out.Value, out.Low, out.High = append(out.Value, number(t.Value)), append(out.Low, number(t.Low)), append(out.High, number(t.High))
		out.Percentile, out.Top = append(out.Percentile, number(t.Percentile)), append(out.Top, number(t.Top))
		out.Labels, out.SD, out.Fails = append(out.Labels, labels), append(out.SD, number(t.SD)), append(out.Fails, number(t.Fails))
	}
	return nil
}

// publishedModel is a model that has answered, as the only one of a registry.
type publishedModel struct{ generation *stages.ModelSet }

// ModelSet implements stages.Models.
func (m *publishedModel) ModelSet(context.Context, int64) (*stages.ModelSet, error) {
	return m.generation, nil
}

// embed fills in the embeddings by the models that answered; rows whose model the
// store no longer has get none.
func (r *refill) embed(ctx context.Context, b *schemas.Batch, out *schemas.Predictions) error {
	embeddings := make([][]float32, len(out.Model))
	for _, symbol := range slices.Sorted(maps.Keys(countBy(out.Model))) {
		if symbol == schemas.NoSymbol {
			continue
		}
		model, err := r.model(ctx, schemas.Name(symbol))
		if err != nil || model == nil {
			return err
		}
		again := &schemas.Batch{TopicPartition: b.TopicPartition, Rows: b.Rows}
		again.Rows.Retain()
		if err := stages.NewPredict(model, true).Process(ctx, again); err != nil {
			again.Rows.Release()
			return err
		}
		y := schemas.ViewPredictions(again.Rows)
		for i, of := range out.Model {
			if of == symbol {
				embeddings[i] = slices.Clone(y.Embedding[y.EmbeddingStart[i]:y.EmbeddingStart[i+1]])
			}
		}
		again.Rows.Release()
	}
	for i, e := range embeddings {
		out.Embedding = append(out.Embedding, e...)
		out.EmbeddingStart[i+1] = int32(len(out.Embedding))
	}
	return nil
}

func countBy[K comparable](list []K) map[K]int {
	count := map[K]int{}
	for _, k := range list {
		count[k]++
	}
	return count
}

// model returns a model of the store, nil when it is gone.
func (r *refill) model(ctx context.Context, name string) (*publishedModel, error) {
	if m, known := r.models[name]; known {
		return m, nil
	}
	store, err := openExisting(ctx, "store", r.config.StorePlace())
	if err != nil {
		return nil, err
	}
	defer store.Close()
	if r.models == nil {
		r.models = map[string]*publishedModel{}
	}
	body, err := store.Read(ctx, modelsFolder+name+".safetensors")
	if errors.Is(err, fs.ErrNotExist) {
		r.models[name] = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	model, err := encoders.ReadModel(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	champion, err := stages.NewChampion(model, nil)
	if err != nil {
		return nil, err
	}
	r.models[name] = &publishedModel{&stages.ModelSet{Spaces: map[schemas.Symbol]*stages.Champion{schemas.MustIntern(model.Space): champion}}}
	return r.models[name], nil
}
