package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// searchResult is what came of a search.
type searchResult struct {
	Search   string             `json:"search"`
	Strategy string             `json:"strategy"`
	Trials   []searchTrial      `json:"trials"`
	Best     json.RawMessage    `json:"best,omitempty"`   // the candidate; of one task
	Value    float64            `json:"value,omitempty"`  // of the best
	Front    []searchTrial      `json:"front,omitempty"`  // of several tasks: the trials that no other dominates
	Regret   map[string]float64 `json:"regret,omitempty"` // by number of trials; with a table
}

type searchTrial struct {
	ID     string              `json:"id"`
	Value  *float64            `json:"value"`            // of the first task; null where the training failed
	Values map[string]*float64 `json:"values,omitempty"` // by task, where there are several
}

func (s *searcher) trial(place int) searchTrial {
	t := searchTrial{ID: s.pool.Candidates[place].ID}
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

// conclude prints the best, or the front, and with a table how far it is from the
// table's.
func (s *searcher) conclude(asJSON bool) error {
	best := s.found()
	if len(best) == 0 {
		return fmt.Errorf("none of %d trials gave a value of every task", len(s.trials))
	}
	result := searchResult{Search: s.Name, Strategy: s.Strategy}
	for _, place := range s.trials {
		result.Trials = append(result.Trials, s.trial(place))
	}
	if len(s.objectives) > 1 {
		for _, place := range best {
			result.Front = append(result.Front, s.trial(place))
		}
	} else {
		result.Best, result.Value = s.pool.Candidates[best[0]].Message, s.results.of(best[0], 0)
	}
	if s.table != nil {
		result.Regret = s.regret()
	}
	if asJSON {
		return json.NewEncoder(s.std.out).Encode(result)
	}
	s.print(&result, best)
	return nil
}

func (s *searcher) print(result *searchResult, best []int) {
	what := "regret"
	if len(s.objectives) > 1 {
		what = "hypervolume missing"
		fmt.Fprintf(s.std.out, "front of %d trials: %d\n", len(s.trials), len(best))
		for _, place := range best {
			var values []string
			for t, o := range s.objectives {
				values = append(values, fmt.Sprintf("%s %.6g", o.task, s.results.of(place, t)))
			}
			fmt.Fprintf(s.std.out, "%s  %s\n", strings.Join(values, "  "), s.pool.Candidates[place].ID)
		}
	} else {
		fmt.Fprintf(s.std.out, "best of %d trials  %.6g\n%s\n", len(s.trials), result.Value, result.Best)
	}
	for _, n := range []int{50, 100, 150} {
		if r, ok := result.Regret[fmt.Sprint(n)]; ok {
			fmt.Fprintf(s.std.out, "%s after %-4d  %.4g\n", what, n, r)
		}
	}
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
