package search

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Result is the outcome of a search.
type Result struct {
	Search   string             `json:"search"`
	Strategy string             `json:"strategy"`
	Trials   []Trial            `json:"trials"`
	Best     json.RawMessage    `json:"best,omitempty"`   // the candidate; of one task
	Value    float64            `json:"value,omitempty"`  // of the best
	Front    []Trial            `json:"front,omitempty"`  // of several tasks: the trials that no other dominates
	Regret   map[string]float64 `json:"regret,omitempty"` // by number of trials; with a table

	tasks []string
}

// Trial is a candidate that was trained.
type Trial struct {
	ID     string              `json:"id"`
	Value  *float64            `json:"value"`            // of the first task; null where the training failed
	Values map[string]*float64 `json:"values,omitempty"` // by task, where there are several
}

func (s *searcher) trial(place int) Trial {
	t := Trial{ID: s.pool.Candidates[place].ID}
	if len(s.objectives) > 1 {
		t.Values = map[string]*float64{}
	}
	for i, o := range s.objectives {
		var value *float64
		if v := s.results.of(place, i); v == v {
			value = &v
		}
		if i == 0 {
			t.Value = value
		}
		if t.Values != nil {
			t.Values[o.task] = value
		}
	}
	return t
}

// result returns the best trial, or the front, and with a table the regret.
func (s *searcher) result() (*Result, error) {
	best := s.found()
	if len(best) == 0 {
		return nil, fmt.Errorf("none of %d trials gave a value of every task", len(s.trials))
	}
	r := &Result{Search: s.Name, Strategy: s.Strategy}
	for _, o := range s.objectives {
		r.tasks = append(r.tasks, o.task)
	}
	for _, place := range s.trials {
		r.Trials = append(r.Trials, s.trial(place))
	}
	if len(s.objectives) > 1 {
		for _, place := range best {
			r.Front = append(r.Front, s.trial(place))
		}
	} else {
		r.Best, r.Value = s.pool.Candidates[best[0]].Message, s.results.of(best[0], 0)
	}
	if s.table != nil {
		r.Regret = s.regret()
	}
	return r, nil
}

// Print writes the result for a person.
func (r *Result) Print(out io.Writer) error {
	var b strings.Builder
	measure := "regret"
	if len(r.tasks) > 1 {
		measure = "hypervolume missing"
		fmt.Fprintf(&b, "front of %d trials: %d\n", len(r.Trials), len(r.Front))
		for _, trial := range r.Front {
			var values []string
			for _, task := range r.tasks {
				values = append(values, fmt.Sprintf("%s %.6g", task, *trial.Values[task]))
			}
			fmt.Fprintf(&b, "%s  %s\n", strings.Join(values, "  "), trial.ID)
		}
	} else {
		fmt.Fprintf(&b, "best of %d trials  %.6g\n%s\n", len(r.Trials), r.Value, r.Best)
	}
	for _, n := range []int{50, 100, 150} {
		if regret, ok := r.Regret[fmt.Sprint(n)]; ok {
			fmt.Fprintf(&b, "%s after %-4d  %.4g\n", measure, n, regret)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// regret is regretAt after 50, 100, 150 and all trials.
func (s *searcher) regret() map[string]float64 {
	after := map[string]float64{}
	for _, n := range []int{50, 100, 150, len(s.trials)} {
		if n <= len(s.trials) {
			after[fmt.Sprint(n)] = s.regretAt(n)
		}
	}
	return after
}
