package learner

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"archflow/encoders/metrics"
	"archflow/encoders/teacher"
)

const (
	// quickEpochs is how often a student sees the networks when it need not be
	// good for long, or goes on from one that was.
	quickEpochs = 8
	// leftOut is the share of the networks, by the first byte of their identity, that no
	// student learns from. They measure the distance between student and teacher on
	// unseen networks.
	leftOut = 26 // of 256
)

// rank ranks the networks of a fit with the teacher's closed-form heads for one
// task. They are remembered with its scores.
func (l *Learner) rank(ctx context.Context, f *fitting, one *fitted) error {
	result, err := f.features.Fit(ctx, one.rows, one.y, teacher.Options{Seed: l.cfg.Seed, Failed: one.failures, Related: one.related, Cores: l.pace(), Pace: l.pace})
	if err != nil {
		return fmt.Errorf("teacher, task %s: %w", one.task.name, err)
	}
	one.suspects, one.believed = result.Suspects, result.Believed(len(one.y))
	one.spread.all, one.spread.outOfFold = result.Spread, result.OutOfFoldSpread
	one.leaveOut = result.LeaveOut
	// Scores are put on the scale of the student: that of ranks in the buffer, as
	// the quantiles of a normal distribution.
	one.scores, one.outOfFold = metrics.RankGauss(result.Score), make([]float64, len(one.rows))
	onScale := gaussOf(result.Score)
	for i, score := range result.OutOfFold {
		one.outOfFold[i] = onScale(score)
	}
	for _, score := range result.Failed {
		one.failed = append(one.failed, onScale(score))
	}
	return nil
}

// alike returns for each labelled network which of the networks that were left out
// has the most similar score, given those of the teacher.
func (f *fitted) alike(teacher []float64) []int {
	order := counting(len(teacher))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(teacher[a], teacher[b]) })
	sorted := pick(teacher, order)
	out := make([]int, len(f.rows))
	for i, row := range f.rows {
		at, _ := slices.BinarySearch(sorted, f.scores[row])
		if at == len(sorted) || at > 0 && f.scores[row]-sorted[at-1] < sorted[at]-f.scores[row] {
			at--
		}
		out[i] = order[at]
	}
	return out
}

// astray estimates the scores that a student would give the labelled networks without
// having learnt from them or their labels: the teacher's out-of-fold scores, each shifted
// by the student's error on the network with the most similar score.
func astray(outOfFold, teacher, student []float64, alike []int) []float64 {
	moved := make([]float64, len(alike))
	for i, k := range alike {
		moved[i] = outOfFold[i] + student[k] - teacher[k]
	}
	return moved
}

// judge estimates the student's out-of-sample scores of the labelled networks from its
// scores and spreads of the networks left out, whose numbers are given.
func (f *fitted) judge(left []int, scores, unsure []float64) {
	var theirs, own, theirSpread, ownSpread []float64
	for i, row := range left {
		if score := f.scores[row]; score == score {
			theirs, own = append(theirs, score), append(own, scores[i])
			if f.spread.all != nil && unsure != nil {
				theirSpread, ownSpread = append(theirSpread, f.spread.all[row]), append(ownSpread, unsure[i])
			}
		}
	}
	if len(theirs) == 0 || len(f.rows) == 0 {
		return
	}
	alike := f.alike(theirs)
	f.byStudent = astray(f.outOfFold, theirs, own, alike)
	if anyFinite(theirSpread) && anyFinite(ownSpread) && f.spread.outOfFold != nil {
		f.spread.byStudent = astray(f.spread.outOfFold, theirSpread, ownSpread, alike)
	}
}

// pick returns v[rows[0]], v[rows[1]], ...
func pick[T any](v []T, rows []int) []T {
	out := make([]T, len(rows))
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
