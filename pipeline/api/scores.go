package api

import (
	"context"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"archflow/encoders"
	"archflow/schemas"
)

// score is a model's answer to one task of one network, in the task's unit.
type score struct {
	score, value, below, above float64
	fails                      float64 // the probability that a training fails, 0 if unknown
}

// view is a space as one model answers it. It is valid while the catalogue's mu
// is held.
type view struct {
	*known
	model   string // such as nb201/17, "" before the first
	version int64
	tasks   []encoders.Task

	remembers *encoders.Model
}

// halfOf90 is how many standard deviations half of an interval of 90 % has.
const halfOf90 = 1.6448536269514722

// look refreshes the catalogue and returns a space with the scores of its newest
// model. The caller holds mu.
func (s *Server) look(ctx context.Context, space string) (*view, error) {
	if err := s.catalogue.refresh(ctx); err != nil {
		return nil, refuse(http.StatusServiceUnavailable, ClassBroker, "ask again", "the topics could not be read: %v", err)
	}
	k := s.catalogue.spaces[space]
	if k == nil {
		return nil, refuse(http.StatusNotFound, ClassNotFound, "publish candidates first; known are "+list(sortedKeys(s.catalogue.spaces)), "no candidate of space %.80q is known", space)
	}
	generation, err := s.predictor.models.ModelSet(ctx, schemas.NewestRegistry)
	if err != nil {
		return nil, err
	}
	v := &view{known: k, version: generation.Version}
	name, err := schemas.Intern(space)
	if err != nil {
		return nil, err
	}
	champion := generation.Spaces[name]
	if champion == nil || champion.Model == nil {
		return v, nil
	}
	v.model, v.tasks, v.remembers = champion.Model.Name(), champion.Model.Tasks, champion.Model
	return v, s.score(ctx, v)
}

// score asks the model about the networks that it was not asked about before.
func (s *Server) score(ctx context.Context, v *view) error {
	if v.scored != v.model {
		for _, e := range v.entries {
			e.scores = nil
		}
		v.scored = v.model
	}
	var fresh []*entry
	for _, e := range v.entries {
		if e.scores == nil && !v.recall(e) {
			fresh = append(fresh, e)
		}
	}
	now := time.Now().UnixMilli()
	for part := range slices.Chunk(fresh, rowsOfBatch) {
		messages := make([][]byte, len(part))
		for i, e := range part {
			messages[i] = e.message
		}
		b, err := s.predictor.process(ctx, messages, v.version, now)
		if err != nil {
			return err
		}
		c, p := schemas.ViewCandidates(b.Rows), schemas.ViewPredictions(b.Rows)
		for row := range c.Len() {
			part[c.Offset[row]].scores = v.scoresOf(&p, row)
		}
		b.Rows.Release()
	}
	return nil
}

// recall takes the scores of an entry from the model's memory, as the predict stage
// would, without a pass through the stages; false when the memory lacks any of them.
func (v *view) recall(e *entry) bool {
	known, spreads := v.remembers.CachedScores(e.network, e.architecture[0])
	if known == nil || slices.ContainsFunc(known, math.IsNaN) {
		return false
	}
	e.scores = make([]score, len(known))
	for t, s := range known {
		spread := math.NaN()
		if spreads != nil {
			spread = spreads[t]
		}
		value, low, high, _ := v.tasks[t].At(s, spread, true)
		_, _, fails := v.tasks[t].Told(s, spread, true)
		e.scores[t] = scoreOf(s, value, low, high, fails)
	}
	return true
}

// scoresOf returns the answers of a row in the order of the model's tasks.
func (v *view) scoresOf(p *schemas.Predictions, row int) []score {
	scores := make([]score, len(v.tasks))
	for i := range scores {
		scores[i] = score{score: math.NaN(), value: math.NaN(), below: math.NaN(), above: math.NaN()}
	}
	for i := p.TaskStart[row]; i < p.TaskStart[row+1]; i++ {
		t := v.task(schemas.Name(p.Task[i]))
		if t >= 0 {
			scores[t] = scoreOf(p.Score[i], p.Value[i], p.Low[i], p.High[i], p.Fails[i])
		}
	}
	return scores
}

// scoreOf makes a two-piece normal distribution of an interval: half of it lies on each
// side of the value. With one standard deviation for both sides, a network that is
// surely bad, but perhaps very bad, might also be the best. A model without failures
// gives none.
func scoreOf(s, value, low, high, fails float64) score {
	if math.IsNaN(fails) {
		fails = 0
	}
	return score{s, value, (value - low) / halfOf90, (high - value) / halfOf90, fails}
}

// task returns the place of a task in the model, -1 when it has none.
func (v *view) task(name string) int {
	return slices.IndexFunc(v.tasks, func(t encoders.Task) bool { return t.Name == name })
}

// minimise says whether less of a task is better.
func (v *view) minimise(name string) bool {
	if t := v.task(name); t >= 0 {
		return v.tasks[t].Minimise
	}
	return v.known.tasks[name]
}

// names lists the tasks that are known of the space.
func (v *view) names() []string {
	all := maps.Clone(v.known.tasks)
	for _, t := range v.tasks {
		all[t.Name] = t.Minimise
	}
	return sortedKeys(all)
}

// labelled says whether an entry has a label of a task.
func (e *entry) labelled(task string) bool { return len(e.labels[task].trainings) > 0 }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
