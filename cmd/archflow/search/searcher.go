package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"archflow/cmd/archflow/remote"
	"archflow/cmd/archflow/strategies"
	"archflow/internal/finite"
	"archflow/internal/input"
	"archflow/pipeline"
	"archflow/schemas"
)

// searcher chooses trials by asking an archflow over HTTP: a running one, or one in
// this process without topics.
type searcher struct {
	Options
	server remote.Client
	seed   uint64

	pool    *strategies.Pool
	table   [][]float64 // [places][objectives] results; NaN without one; nil without a table
	allowed *tableLimits
	trials  []int // places, in the order of their numbers
	results results
}

// results are the labels of a search's tasks.
type results interface {
	of(place, objective int) float64 // NaN without a value
	through() string                 // offsets after the last labels, as a request waits for them
}

// Strategies lists those of --strategy.
var Strategies = []string{"ours", "random", "evolution", "local", "bananas", "npenas", "reinforce", "reinforce-alone"}

// asks says whether the strategy asks the predictor.
func (s *searcher) asks() bool {
	return slices.Contains([]string{"ours", "bananas", "npenas", "reinforce"}, s.Strategy)
}

// read fills the pool from the table.
func (s *searcher) read(c *pipeline.Config, in io.Reader) error {
	s.pool = strategies.NewPool(c.Limits())
	err := input.EachLine([]string{s.file}, in, c.MaxMessageBytes, func(file string, number int, line []byte) error {
		var row struct {
			Space  string
			Labels map[string]*float64
		}
		line = finite.AsNull(line)
		if err := json.Unmarshal(line, &row); err != nil {
			return fmt.Errorf("%s:%d: not a row of a benchmark table: %w", file, number, err)
		}
		if row.Space != s.Space {
			return nil
		}
		before := len(s.pool.Candidates)
		if err := s.pool.Add(line); err != nil {
			return fmt.Errorf("%s:%d: %w", file, number, err)
		}
		if len(s.pool.Candidates) > before {
			values := make([]float64, len(s.objectives))
			for t, o := range s.objectives {
				values[t] = math.NaN()
				if v := row.Labels[o.task]; v != nil {
					values[t] = *v
				}
			}
			s.table = append(s.table, values)
		}
		return nil
	})
	for t, o := range s.objectives {
		if err == nil && !slices.ContainsFunc(s.table, func(values []float64) bool { return values[t] == values[t] }) {
			err = fmt.Errorf("%s has no row of space %s with a label %q", s.file, s.Space, o.task)
		}
	}
	return err
}

// publishCandidates publishes the pool.
func (s *searcher) publishCandidates(ctx context.Context) error {
	const chunk = 5000
	for first := 0; first < len(s.pool.Candidates); first += chunk {
		var lines [][]byte
		for i := first; i < min(first+chunk, len(s.pool.Candidates)); i++ {
			c := &s.pool.Candidates[i]
			lines = append(lines, c.Message)
			c.Made = false
		}
		if err := s.server.PostLines(ctx, "/api/candidates", fmt.Sprintf("search %s candidates %d", s.Name, first), lines, nil); err != nil {
			return err
		}
	}
	return nil
}

// publishMade publishes those of some candidates that were made for the search, so
// that one which is started again knows what its trials are.
func (s *searcher) publishMade(ctx context.Context, places []int) error {
	var lines [][]byte
	hash := fnv.New64a()
	for _, place := range places {
		if c := &s.pool.Candidates[place]; c.Made {
			lines = append(lines, c.Message)
			_, _ = hash.Write(c.Message)
			c.Made = false
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return s.server.PostLines(ctx, "/api/candidates", fmt.Sprintf("search %s made %x", s.Name, hash.Sum64()), lines, nil)
}

// publishLabels publishes the table's results of the trials from a number on.
func (s *searcher) publishLabels(ctx context.Context, first int) error {
	var lines [][]byte
	for n := first; n < len(s.trials); n++ {
		place := s.trials[n]
		message := s.pool.Candidates[place].Message
		for t, o := range s.objectives {
			result := `"failed":true`
			if v := s.table[place][t]; v == v {
				result = fmt.Sprintf(`"value":%v`, v)
			}
			lines = append(lines, fmt.Appendf(message[:len(message)-1:len(message)-1], `,"task":%q,"goal":%q,%s}`, o.task, o.goal, result))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return s.server.PostLines(ctx, "/api/labels", fmt.Sprintf("search %s labels %d", s.Name, first), lines, nil)
}

// choose returns the next trials.
func (s *searcher) choose(ctx context.Context, n int) ([]int, error) {
	if s.Strategy == "ours" {
		return s.ask(ctx, n)
	}
	state := &strategies.State{Pool: s.pool, Random: rand.New(rand.NewPCG(s.seed, uint64(len(s.trials)))), Guess: s.predict}
	for _, place := range s.trials {
		state.Trials = append(state.Trials, strategies.Trial{Place: place, Value: s.objectives[0].worth(s.results.of(place, 0))})
	}
	return strategies.ByName[s.Strategy](ctx, state, n)
}

// learnt makes a request wait until the labels of the trials so far are learnt.
func (s *searcher) learnt() string { return fmt.Sprintf("?learnt=%s&wait=5m", s.results.through()) }

func (s *searcher) ask(ctx context.Context, n int) (places []int, err error) {
	var tasks []string
	for _, o := range s.objectives {
		tasks = append(tasks, o.task)
	}
	from := "known"
	if s.pool.Open {
		from = "both"
	}
	question, err := json.Marshal(map[string]any{"space": s.Space, "tasks": tasks, "n": n, "strategy": s.Acquisition, "seed": s.seed + uint64(len(s.trials)), "from": from})
	if err != nil {
		return nil, err
	}
	for {
		var answer struct{ Candidates []json.RawMessage }
		if err := s.server.Post(ctx, "/api/ask"+s.learnt(), "application/json", "", question, func(r io.Reader) error { return json.NewDecoder(r).Decode(&answer) }); err != nil {
			return nil, err
		}
		for _, message := range answer.Candidates {
			place, ok, err := s.pool.Find(message)
			if err != nil {
				return nil, err
			}
			if ok && !slices.Contains(s.trials, place) {
				places = append(places, place)
			}
		}
		// Answers that the search cannot use, such as networks that the table lacks, do not come again.
		if len(places) > 0 || len(answer.Candidates) == 0 {
			return places, nil
		}
	}
}

// predict is the oracle of strategies that have one.
func (s *searcher) predict(ctx context.Context, places []int) (guesses []strategies.Guess, err error) {
	var lines [][]byte
	for _, place := range places {
		lines = append(lines, s.pool.Candidates[place].Message)
	}
	const halfOf90 = 1.6448536269514722 // standard deviations of half an interval of 90 %
	err = s.server.PostLines(ctx, "/api/predict"+s.learnt(), "", lines, func(r io.Reader) error {
		guesses = guesses[:0]
		for d := json.NewDecoder(r); ; {
			var p schemas.Prediction
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			g := strategies.Guess{Value: math.NaN(), SD: math.NaN()}
			if t := p.Tasks[s.objectives[0].task]; t != nil && t.Value != nil && t.Low != nil && t.High != nil {
				g = strategies.Guess{Value: s.objectives[0].worth(*t.Value), SD: (*t.High - *t.Low) / (2 * halfOf90)}
				if t.SD != nil {
					g.SD = *t.SD
				}
			}
			guesses = append(guesses, g)
		}
	})
	if err == nil && len(guesses) != len(places) {
		err = fmt.Errorf("%d predictions of %d candidates", len(guesses), len(places))
	}
	return guesses, err
}

// found returns the places of the trials that are best, in their order: one of the
// highest worth, or the front of several tasks.
func (s *searcher) found() (places []int) {
	var tried []int
	var points [][]float64
	for _, place := range s.trials {
		if p, ok := s.point(place); ok {
			tried, points = append(tried, place), append(points, p)
		}
	}
	for _, i := range front(points) {
		places = append(places, tried[i])
	}
	return places
}

// soFar is the best result so far as text.
func (s *searcher) soFar() string {
	best := s.found()
	switch {
	case len(best) == 0:
		return "none has a value"
	case len(s.objectives) > 1:
		return fmt.Sprintf("%d on the front", len(best))
	}
	return fmt.Sprintf("best %.4g", s.results.of(best[0], 0))
}
