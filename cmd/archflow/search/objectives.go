package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// objective is a task that a search wants high or low.
type objective struct {
	task string
	goal string // max or min
}

// worth makes more better.
func (o objective) worth(value float64) float64 {
	if o.goal == "min" {
		return -value
	}
	return value
}

// parseObjectives reads --task and --goal: names and goals parted by commas, one
// goal for all tasks or one for each.
func parseObjectives(tasks, goals string) ([]objective, error) {
	var out []objective
	each := strings.Split(goals, ",")
	names := strings.Split(tasks, ",")
	if len(each) != 1 && len(each) != len(names) {
		return nil, fmt.Errorf("--goal %s: %d goals for %d tasks; give one for all, or one for each", goals, len(each), len(names))
	}
	for i, name := range names {
		o := objective{strings.TrimSpace(name), strings.TrimSpace(each[min(i, len(each)-1)])}
		switch {
		case o.task == "":
			return nil, fmt.Errorf("task %q: a name is missing", tasks)
		case o.goal != "max" && o.goal != "min":
			return nil, fmt.Errorf("goal %.40q: write max or min, with several tasks one for each, parted by commas", o.goal)
		case slices.ContainsFunc(out, func(other objective) bool { return other.task == o.task }):
			return nil, fmt.Errorf("task %.80q comes twice", o.task)
		}
		out = append(out, o)
	}
	return out, nil
}

// dominates says whether a is nowhere worse than b and somewhere better, more being
// better.
func dominates(a, b []float64) bool {
	better := false
	for i := range a {
		if a[i] < b[i] {
			return false
		}
		better = better || a[i] > b[i]
	}
	return better
}

// front returns the indices of the points that no other dominates, of equal points
// the first.
func front(points [][]float64) (out []int) {
	for i, p := range points {
		beaten := slices.ContainsFunc(points, func(q []float64) bool { return dominates(q, p) }) ||
			slices.ContainsFunc(points[:i], func(q []float64) bool { return slices.Equal(q, p) })
		if !beaten {
			out = append(out, i)
		}
	}
	return out
}

// hypervolume is the volume that points dominate above a reference point, more
// being better in each of the dimensions: slices along the last one. Source: Zitzler
// and Thiele 1999; While et al. 2006 for the slices.
func hypervolume(points [][]float64, reference []float64) float64 {
	last := len(reference) - 1
	points = slices.DeleteFunc(slices.Clone(points), func(p []float64) bool {
		for i := range p {
			if !(p[i] > reference[i]) {
				return true
			}
		}
		return false
	})
	if last == 0 {
		best := reference[0]
		for _, p := range points {
			best = max(best, p[0])
		}
		return best - reference[0]
	}
	slices.SortFunc(points, func(a, b []float64) int { return cmp.Compare(b[last], a[last]) })
	volume := 0.
	var above [][]float64 // without the last dimension, of the points down to here
	for i, p := range points {
		above = append(above, p[:last])
		floor := reference[last]
		if i+1 < len(points) {
			floor = points[i+1][last]
		}
		if p[last] > floor {
			volume += hypervolume(above, reference[:last]) * (p[last] - floor)
		}
	}
	return volume
}

// regretAt is how far the first n trials are from the best of the table: with one
// task the difference from its best value, with several the share of the table's
// hypervolume, above its worst values, that they do not dominate. Without a
// trial that gave every value it is as far as the table goes.
func (s *searcher) regretAt(n int) float64 {
	var found [][]float64
	for _, place := range s.trials[:n] {
		if p, ok := s.point(place); ok {
			found = append(found, p)
		}
	}
	l := s.limits()
	if len(s.objectives) == 1 {
		best := l.worst[0]
		for _, p := range found {
			best = max(best, p[0])
		}
		return l.best[0] - best
	}
	if l.volume == 0 {
		return 0 // a task that is constant has no front to miss
	}
	return 1 - hypervolume(found, l.worst)/l.volume
}

// point is the values of a trial, more being better; not ok where one is missing.
func (s *searcher) point(place int) (p []float64, ok bool) {
	for t, o := range s.objectives {
		v := s.results.of(place, t)
		if v != v {
			return nil, false
		}
		p = append(p, o.worth(v))
	}
	return p, true
}

// tableLimits are the best and the worst of a benchmark table, more being better.
type tableLimits struct {
	best, worst []float64 // by task
	volume      float64   // which the table dominates above worst
}

func (s *searcher) limits() *tableLimits {
	if s.allowed != nil {
		return s.allowed
	}
	l := &tableLimits{}
	var whole [][]float64
	for t, o := range s.objectives {
		best, worst := math.Inf(-1), math.Inf(1)
		for _, row := range s.table {
			if v := o.worth(row[t]); v == v {
				best, worst = max(best, v), min(worst, v)
			}
		}
		l.best, l.worst = append(l.best, best), append(l.worst, worst)
	}
	if len(s.objectives) > 1 {
		for _, row := range s.table {
			var p []float64
			for t, o := range s.objectives {
				p = append(p, o.worth(row[t]))
			}
			if !slices.ContainsFunc(p, func(x float64) bool { return x != x }) {
				whole = append(whole, p)
			}
		}
		l.volume = hypervolume(whole, l.worst)
	}
	s.allowed = l
	return l
}

// StrategiesFor lists the strategies that can go after these tasks.
func StrategiesFor(tasks string) []string {
	if strings.Contains(tasks, ",") {
		return []string{"ours", "random"}
	}
	return Strategies
}

// setObjectives reads --task and --goal for --strategy.
func (s *Options) setObjectives() (err error) {
	if s.objectives, err = parseObjectives(s.Task, s.Goal); err != nil {
		return err
	}
	if able := StrategiesFor(s.Task); !slices.Contains(able, s.Strategy) {
		return fmt.Errorf("strategy %s is for one task, --task has several; choose %s", s.Strategy, strings.Join(able, ", "))
	}
	return nil
}
