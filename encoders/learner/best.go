package learner

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"archflow/encoders"
	"archflow/encoders/teacher"
)

const (
	// quickEpochs is how often a student sees the networks when it need not be
	// good for long, or goes on from one that was.
	quickEpochs = 8
	// leftOut is the share of the networks, by the first byte of their identity,
	// that no student learns from. They tell how far it is from its teacher on
	// what it has not seen.
	leftOut = 26 // of 256
)

// fitBest ranks the buffer with the teacher's closed-form heads, a task at a
// time, and teaches the ranking to a student, which starts from the pre-trained
// encoder, or from the champion's student, and answers at the stream's speed.
// Networks of the buffer are remembered with the teacher's own scores.
func (l *Learner) fitBest(ctx context.Context, ready []*fitted) (members []*encoders.Member, tasks []encoders.Task, known *encoders.Known, err error) {
	features, err := l.features(paced{ctx, l.pace})
	if err != nil {
		return nil, nil, nil, err
	}
	var rows, left []int
	ids := l.buffer.ids()
	for i, id := range ids {
		if id[0] < leftOut {
			left = append(left, i)
		} else {
			rows = append(rows, i)
		}
	}
	if len(rows) == 0 {
		rows = left
	}
	targets, lessons := make([][]float64, len(ready)), make([][]float64, len(ready))
	for i, f := range ready {
		result, err := features.Fit(ctx, f.rows, f.y, teacher.Options{Seed: l.cfg.Seed, Pause: func() { l.pace() }})
		if err != nil {
			return nil, nil, nil, fmt.Errorf("teacher, task %s: %w", f.task.name, err)
		}
		f.suspects, f.believed = result.Suspects, result.Believed(len(f.y))
		// Scores are put on the scale of the student: that of ranks in the
		// buffer, as the quantiles of a normal distribution.
		targets[i] = encoders.RankGauss(result.Score)
		lessons[i] = pick(targets[i], rows)
		onScale := gaussOf(result.Score)
		f.seen, f.heldOut = targets[i], make([]float64, len(f.rows))
		for j, score := range result.HeldOut {
			f.heldOut[j] = onScale(score)
		}
		task := l.describe(f)
		task.Heads = []encoders.Head{{Member: 0, Column: i}}
		tasks = append(tasks, task)
	}
	config := encoders.DistilConfig{Epochs: l.cfg.distilEpochs, HeldOut: -1, Seed: l.cfg.Seed, Pace: l.pace}
	switch {
	case l.owesSteps(): // the fit is repeated soon
		config.Epochs = min(config.Epochs, quickEpochs)
	case l.ripe && l.champion != nil && l.champion.Known.Len() > 0:
		config.Epochs, config.From = min(config.Epochs, quickEpochs), l.champion.Members[0]
	}
	student, err := encoders.Distil(ctx, l.pretrain.trunk, &l.pretrain.graphs, rows, lessons, config)
	if err != nil {
		return nil, nil, nil, err
	}
	for i, scores := range student.Member.Scores(&l.pretrain.graphs, left) {
		ready[i].byStudent = astray(ready[i], pick(targets[i], left), scores)
	}
	return []*encoders.Member{student.Member}, tasks, encoders.NewKnown(ids, targets), nil
}

// astray returns what a student would have said of the labelled networks had it
// seen neither them nor their labels: the teacher's held-out scores, each moved
// by how far the student is from the teacher's score on the most similarly
// scored network that was left out.
func astray(f *fitted, teacher, student []float64) []float64 {
	if len(teacher) == 0 {
		return nil
	}
	order := counting(len(teacher))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(teacher[a], teacher[b]) })
	sorted := pick(teacher, order)
	moved := make([]float64, len(f.rows))
	for i, row := range f.rows {
		at, _ := slices.BinarySearch(sorted, f.seen[row])
		if at == len(sorted) || at > 0 && f.seen[row]-sorted[at-1] < sorted[at]-f.seen[row] {
			at--
		}
		moved[i] = f.heldOut[i] + student[order[at]] - teacher[order[at]]
	}
	return moved
}

// features returns what the teacher sees of the buffer: graphs, proxies and the
// embedding of the pre-trained encoder, of which only the last changes while
// the copy of the buffer stays.
func (l *Learner) features(ctx context.Context) (*teacher.Features, error) {
	p := &l.pretrain
	if p.features == nil {
		names, values := l.buffer.proxyColumns(0)
		data := &teacher.Data{Networks: p.graphs}
		for i, name := range names {
			data.Proxies = append(data.Proxies, teacher.Proxy{Name: name, Values: values[i]})
		}
		features, err := teacher.NewFeatures(ctx, data)
		if err != nil {
			return nil, fmt.Errorf("features: %w", err)
		}
		p.features = features
	}
	embedding := make([]float32, len(p.networks)*p.trunk.Dimension())
	p.trunk.Embed(embedding, &p.graphs, counting(len(p.networks)))
	features, err := p.features.WithEmbedding(embedding, p.trunk.Dimension())
	if err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	return features, nil
}

// pick returns v[rows[0]], v[rows[1]], ...
func pick(v []float64, rows []int) []float64 {
	out := make([]float64, len(rows))
	for i, row := range rows {
		out[i] = v[row]
	}
	return out
}

// counting returns 0, 1, ... n-1.
func counting(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}
