package experiment

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"archflow/encoders"
	"archflow/encoders/calibration"
	"archflow/encoders/teacher"
)

// features returns the features of the items for the heads.
func (e *Experiment) features(ctx context.Context, trunk *encoders.Trunk) (*teacher.Features, error) {
	e.report("features", 0)
	data := &teacher.Data{Networks: e.items.graphs}
	for _, p := range e.headProxies {
		data.Proxies = append(data.Proxies, teacher.Proxy{Name: e.table.Proxies[p].Name, Values: e.items.values[p]})
	}
	if e.config.Pretrain != "none" {
		data.Width = trunk.Dimension()
		data.Embedding = make([]float32, e.items.graphs.Len()*data.Width)
		trunk.Embed(data.Embedding, &e.items.graphs, counting(e.items.graphs.Len()))
	}
	return teacher.NewFeatures(ctx, data)
}

// best fits the closed-form heads to all labels, those of the validation rows
// too, since it chooses by evidence and leave-one-out.
func (e *Experiment) best(ctx context.Context, r *Run, shared *trained, s Split) error {
	e.report("heads", 0)
	rows, y := e.items.labels(slices.Concat(s.Train, s.Validate), e.table.Label)
	var failed []int
	if spoilt, err := ParseCorruption(e.config.Corrupt); err != nil {
		return err
	} else if spoilt != nil {
		rows, y, failed = spoilt.spoil(rows, y, e.table.Minimise, s.noise())
	}
	result, err := shared.features.Fit(ctx, rows, y, teacher.Options{Seed: s.noise(), Failed: failed, Related: e.related(s)})
	if err != nil {
		return err
	}
	r.Suspects = len(result.Suspects)
	if len(failed) > 0 { // the truth of a network that failed is that it failed
		s.Test = slices.DeleteFunc(slices.Clone(s.Test), func(row int) bool { return slices.Contains(failed, e.items.of[row]) })
	}
	r.Figures = e.tested(result.Score, s)
	believed := result.Believed(len(y))
	calibration := calibration.Fit(pick(result.OutOfFold, believed), pick(result.OutOfFoldSpread, believed), pick(y, believed), result.Score, false)
	calibration.Widen(teacher.Optimism(len(believed)))
	learnt := encoders.NewLearnt(&e.items.graphs, pick(rows, believed), pick(y, believed))
	learnt.Extrapolate(&e.items.graphs, pick(rows, believed), result.LeaveOut)
	r.Uncertainty = e.uncertainty(&calibration, learnt, result.Score, result.Spread, s)
	if !e.config.Student {
		return nil
	}
	e.report("student", 0)
	began := time.Now()
	all := counting(e.items.graphs.Len())
	student, err := encoders.Distil(ctx, shared.trunk, &e.items.graphs, all, [][]float64{result.Score}, encoders.DistilConfig{
		Seed: s.noise(),
	})
	if err != nil {
		return err
	}
	r.Student = &Student{
		Figures: e.tested(student.Member.Scores(&e.items.graphs, all)[0], s),
		Teacher: Figure(student.Tau[0]),
		Seconds: Figure(time.Since(began).Seconds()),
	}
	return nil
}

// pick returns v[rows[0]], v[rows[1]], ...
func pick[T any](v []T, rows []int) []T {
	out := make([]T, len(rows))
	for i, row := range rows {
		out[i] = v[row]
	}
	return out
}

// related returns the labels of cheaper trainings that a split learns from: of
// random rows, tested or not.
func (e *Experiment) related(s Split) []teacher.Related {
	if e.config.Lower == 0 || e.table.Lower == nil {
		return nil
	}
	var rows []int
	for _, r := range rand.New(rand.NewPCG(s.noise(), 0x6c6f776572)).Perm(len(e.table.Lower)) { // "lower"
		if !math.IsNaN(e.table.Lower[r]) && len(rows) < e.config.Lower {
			rows = append(rows, r)
		}
	}
	items, y := e.items.labels(rows, e.table.Lower)
	return []teacher.Related{{Labelled: items, Y: y}}
}
