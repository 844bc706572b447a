package learner

import (
	"context"
	"fmt"

	"archflow/encoders"
	"archflow/encoders/teacher"
)

// fitBest ranks the buffer with the teacher's closed-form heads, a task at a
// time, and teaches the ranking to a student, which starts from the pre-trained
// encoder and answers at the stream's speed. Networks of the buffer are
// remembered with the teacher's own scores.
func (l *Learner) fitBest(ctx context.Context, ready []*fitted) (members []*encoders.Member, tasks []encoders.Task, known *encoders.Known, err error) {
	features, err := l.features(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	targets := make([][]float64, len(ready))
	for i, f := range ready {
		result, err := features.Fit(ctx, f.rows, f.y, teacher.Options{Seed: l.cfg.Seed})
		if err != nil {
			return nil, nil, nil, fmt.Errorf("teacher, task %s: %w", f.task.name, err)
		}
		// Scores are put on the scale of the student: that of ranks in the
		// buffer, as the quantiles of a normal distribution.
		targets[i] = encoders.RankGauss(result.Score)
		onScale := gaussOf(result.Score)
		f.heldOut = make([]float64, len(f.rows))
		for j, score := range result.HeldOut {
			f.heldOut[j] = onScale(score)
		}
		task := l.describe(f)
		task.Heads = []encoders.Head{{Member: 0, Column: i}}
		tasks = append(tasks, task)
	}
	student, err := encoders.Distil(ctx, l.pretrain.trunk, &l.pretrain.graphs, counting(len(l.buffer.networks)), targets, encoders.DistilConfig{
		Epochs: l.cfg.distilEpochs, HeldOut: -1, Seed: l.cfg.Seed,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return []*encoders.Member{student.Member}, tasks, encoders.NewKnown(l.buffer.ids(), targets), nil
}

// features returns what the teacher sees of the buffer: graphs, proxies and the
// embedding of the pre-trained encoder.
func (l *Learner) features(ctx context.Context) (*teacher.Features, error) {
	names, values := l.buffer.proxyColumns(0)
	data := &teacher.Data{Networks: l.pretrain.graphs, Width: l.pretrain.trunk.Dimension()}
	for i, name := range names {
		data.Proxies = append(data.Proxies, teacher.Proxy{Name: name, Values: values[i]})
	}
	data.Embedding = make([]float32, len(l.buffer.networks)*data.Width)
	l.pretrain.trunk.Embed(data.Embedding, &l.pretrain.graphs, counting(len(l.buffer.networks)))
	features, err := teacher.NewFeatures(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	return features, nil
}

// counting returns 0, 1, ... n-1.
func counting(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}
