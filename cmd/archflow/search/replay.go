package search

import (
	"context"
	"fmt"
	"io"
	"math"

	"archflow/cmd/archflow/remote"
	"archflow/internal/cli"
	"archflow/pipeline"
)

// Replay runs searches on a benchmark table in this process, without topics. The
// strategies, their requests and the learner are those of a search through the
// topics, and the result is a function of table, settings and seed.
type Replay struct {
	searcher
	config *pipeline.Config
}

// NewReplay returns a replay on the rows of a table.
func NewReplay(o Options, table string, c *pipeline.Config, in io.Reader) (*Replay, error) {
	var err error
	o.Acquisition, o.file = "ei", table
	if o.objectives, err = parseObjectives(o.Task, o.Goal); err != nil {
		return nil, cli.Refuse(err)
	}
	r := &Replay{searcher{Options: o}, c}
	if err := r.read(c, in); err != nil {
		return nil, cli.Refuse(err)
	}
	return r, nil
}

// Run searches once and returns the regret after each trial.
func (r *Replay) Run(ctx context.Context, strategy string, seed uint64) (regret []float64, err error) {
	r.Strategy, r.seed, r.trials = strategy, seed, nil
	r.Name = fmt.Sprintf("%s-%d", strategy, seed)
	r.server = remote.InProcess(pipeline.NewOffline(r.config))
	labels := &tableLabels{searcher: &r.searcher, next: map[int]int64{}}
	r.results = labels
	if r.asks() {
		if err := r.publishCandidates(ctx); err != nil {
			return nil, err
		}
	}
	for len(r.trials) < r.Budget {
		places, err := r.choose(ctx, min(r.Batch, r.Budget-len(r.trials)))
		if err != nil {
			return nil, err
		}
		if len(places) == 0 {
			break
		}
		first := len(r.trials)
		r.trials = append(r.trials, places...)
		for _, place := range places {
			labels.next[place] = int64((len(labels.next) + 1) * len(r.objectives))
		}
		if r.asks() {
			if err := r.publishLabels(ctx, first); err != nil {
				return nil, err
			}
		}
	}
	for n := range r.trials {
		regret = append(regret, math.Round(1e9*r.regretAt(n+1))/1e9)
	}
	return regret, nil
}

// tableLabels are the results of the trials so far.
type tableLabels struct {
	*searcher
	next map[int]int64 // by place that was trained: the offset after its label
}

func (l *tableLabels) of(place, objective int) float64 {
	if l.next[place] == 0 {
		return math.NaN()
	}
	return l.table[place][objective]
}

func (l *tableLabels) through() string { return fmt.Sprintf("0:%d", len(l.next)*len(l.objectives)) }
