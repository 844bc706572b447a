package main

import (
	"encoding/json"
	"fmt"
	"math"
)

// searchResult is what came of a search.
type searchResult struct {
	Search   string             `json:"search"`
	Strategy string             `json:"strategy"`
	Trials   []searchTrial      `json:"trials"`
	Best     json.RawMessage    `json:"best"`             // the candidate
	Value    float64            `json:"value"`            // of the best
	Regret   map[string]float64 `json:"regret,omitempty"` // by number of trials; with a table
}

type searchTrial struct {
	ID    string   `json:"id"`
	Value *float64 `json:"value"` // null where the training failed
}

// conclude prints the best and, with a table, how far it is from the table's.
func (s *searcher) conclude(asJSON bool) error {
	value, place := s.best(len(s.trials))
	if place < 0 {
		return fmt.Errorf("none of %d trials gave a value", len(s.trials))
	}
	result := searchResult{Search: s.Name, Strategy: s.Strategy, Best: s.pool.Candidates[place].Message, Value: value}
	for _, at := range s.trials {
		t := searchTrial{ID: s.pool.Candidates[at].ID}
		if v := s.results.of(at); v == v {
			t.Value = &v
		}
		result.Trials = append(result.Trials, t)
	}
	if s.table != nil {
		result.Regret = s.regret()
	}
	if asJSON {
		return json.NewEncoder(s.std.out).Encode(result)
	}
	fmt.Fprintf(s.std.out, "best of %d trials  %.6g\n%s\n", len(s.trials), value, s.pool.Candidates[place].Message)
	for _, n := range []int{50, 100, 150} {
		if r, ok := result.Regret[fmt.Sprint(n)]; ok {
			fmt.Fprintf(s.std.out, "regret after %-4d  %.4g\n", n, r)
		}
	}
	return nil
}

// regret is how far the best found is from the best of the table, after 50, 100,
// 150 and all trials.
func (s *searcher) regret() map[string]float64 {
	most := s.most()
	after := map[string]float64{}
	for _, n := range []int{50, 100, 150, len(s.trials)} {
		if n > len(s.trials) {
			continue
		}
		if v, place := s.best(n); place >= 0 {
			after[fmt.Sprint(n)] = most - s.worth(v)
		}
	}
	return after
}

// most is the best of the table, more being better.
func (s *searcher) most() float64 {
	most := math.Inf(-1)
	for _, v := range s.table {
		if v == v {
			most = max(most, s.worth(v))
		}
	}
	return most
}
