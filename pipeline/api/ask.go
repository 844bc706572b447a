package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"archflow/schemas"
)

// The strategies of ask. Each orders the networks that are neither labelled nor given
// out by their predictions by the newest model.
const (
	StrategyTop      = "top"      // the predicted value
	StrategyUCB      = "ucb"      // a standard deviation above it
	StrategyEI       = "ei"       // the expected improvement over the best label
	StrategyThompson = "thompson" // a draw from the predictive distribution
)

// Strategies lists them.
var Strategies = []string{StrategyTop, StrategyUCB, StrategyEI, StrategyThompson}

// askRequest is the body of ask.
type askRequest struct {
	Space       string           `json:"space"`
	Task        string           `json:"task"`
	Tasks       []string         `json:"tasks"`
	N           int              `json:"n"`
	Strategy    string           `json:"strategy"`
	Constraints map[string]bound `json:"constraints"`
	Seed        uint64           `json:"seed"`
	From        string           `json:"from"`

	Candidates []json.RawMessage `json:"candidates"` // of the client's making, to choose from
}

// bound limits a task's value, or a proxy that candidates carry.
type bound struct {
	Min *float64 `json:"min"`
	Max *float64 `json:"max"`
}

func (b bound) holds(x float64) bool {
	return (b.Min == nil || x >= *b.Min) && (b.Max == nil || x <= *b.Max)
}

// askedFor is how long a network that was given out is not given out again,
// unless its label comes before.
const askedFor = time.Hour

// serveAsk answers with the candidates to train next.
func (s *Server) serveAsk(w http.ResponseWriter, r *http.Request) error {
	a, err := readAsk(w, r)
	if err != nil {
		return err
	}
	return s.choose(w, r, a.Space, func(v *view) ([]*entry, error) {
		pool, err := s.pool(r.Context(), v, a)
		if err != nil {
			return nil, err
		}
		for _, name := range sortedKeys(a.Constraints) {
			if _, isTask := v.known.tasks[name]; !isTask && v.task(name) < 0 && !hasProxy(v.entries, name) && !hasProxy(pool, name) {
				return nil, refuse(http.StatusNotFound, ClassNotFound, "constrain a task with labels or a proxy that candidates carry", "constraint %.80q is neither a task nor a proxy of the space", name)
			}
		}
		list, err := v.ask(r.Context(), pool, a, time.Now())
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			e.asked = time.Now()
			if known := s.catalogue.candidate(e.message); known != nil {
				known.asked = e.asked // also of one that was made now
			}
		}
		return list, nil
	})
}

// pool returns the entries that a question may choose from.
func (s *Server) pool(ctx context.Context, v *view, a askRequest) (list []*entry, err error) {
	switch {
	case a.Candidates != nil:
		list, err = s.given(ctx, v, a)
	case a.From != FromKnown:
		list, err = s.generate(ctx, v, a)
	}
	if a.From == FromNew || err != nil {
		return list, err
	}
	return slices.Concat(v.entries, slices.DeleteFunc(list, func(e *entry) bool { return v.byNetwork[e.network] != nil })), nil
}

func readAsk(w http.ResponseWriter, r *http.Request) (a askRequest, err error) {
	body, err := readBody(w, r)
	if err != nil {
		return a, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err = d.Decode(&a); err == nil && d.Decode(&struct{}{}) != io.EOF {
		err = io.ErrUnexpectedEOF
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		err = fmt.Errorf("%q cannot be a %s", wrong.Field, wrong.Value)
	}
	if err != nil {
		return a, refuse(http.StatusBadRequest, schemas.ClassJSON, `send {"space", "task" or "tasks", "n", "strategy", "constraints", "seed", "from", "candidates"}`, "the question cannot be read: %v", err)
	}
	if a.Task != "" {
		a.Tasks = append(a.Tasks, a.Task)
	}
	if a.N == 0 {
		a.N = 1
	}
	if a.Strategy == "" {
		a.Strategy = StrategyEI
	}
	if a.From == "" {
		a.From = FromKnown
		if a.Candidates != nil {
			a.From = FromNew
		}
	}
	switch {
	case len(a.Tasks) == 0 || slices.Contains(a.Tasks, ""):
		return a, refuse(http.StatusBadRequest, ClassParameter, `name what is to be optimised, such as "cifar10_test"`, `"task" is missing`)
	case a.N < 1 || a.N > maxChosen:
		return a, refuse(http.StatusBadRequest, ClassParameter, "ask for 1 to 10000", `"n" is %d`, a.N)
	case !slices.Contains([]string{FromKnown, FromNew, FromBoth}, a.From):
		return a, refuse(http.StatusBadRequest, ClassParameter, "choose "+list([]string{FromKnown, FromNew, FromBoth}), `"from" is %.60q`, a.From)
	case a.Candidates != nil && a.From == FromKnown:
		return a, refuse(http.StatusBadRequest, ClassParameter, `leave "from" out to choose from "candidates" alone, or ask for "both"`, `"from" is "known", but there are "candidates"`)
	case len(a.Candidates) > maxChosen:
		return a, refuse(http.StatusBadRequest, schemas.ClassTooLarge, "ask with at most 10000", `"candidates" has %d`, len(a.Candidates))
	case !slices.Contains(Strategies, a.Strategy):
		return a, refuse(http.StatusBadRequest, ClassParameter, "choose "+list(Strategies), `"strategy" is %.60q`, a.Strategy)
	}
	return a, nil
}

// ask returns the entries of a pool to train next. Where a task has no model yet they come
// from coldStart. The error is that of ctx.
func (v *view) ask(ctx context.Context, pool []*entry, a askRequest, now time.Time) ([]*entry, error) {
	hash := fnv.New64a()
	_, _ = io.WriteString(hash, v.model)
	random := rand.New(rand.NewPCG(a.Seed, hash.Sum64()))
	objectives := v.objectives(pool, a.Tasks)
	var open []*entry
	for _, e := range pool {
		if now.Sub(e.asked) > askedFor && e.untrained(objectives) && v.feasible(e, a.Constraints) {
			open = append(open, e)
		}
	}
	if slices.ContainsFunc(objectives, func(o objective) bool { return !o.cost && v.task(o.task) < 0 }) {
		return v.coldStart(open, a.Tasks, a.N, random), nil
	}
	if len(a.Tasks) == 1 {
		return v.acquire(open, a.Tasks[0], a, random), nil
	}
	if len(a.Tasks) == 2 && a.Strategy == StrategyEI {
		if list, ok, err := v.byHypervolume(ctx, open, objectives, a.N, a); ok || err != nil {
			return list, err
		}
	}
	return v.scalarise(open, objectives, a, random), nil
}

// untrained says whether a training can tell more of an entry: a task lacks a label, and
// the training has failed for none.
func (e *entry) untrained(objectives []objective) bool {
	lacks := false
	for _, o := range objectives {
		switch r := e.labels[o.task]; {
		case o.cost:
		case r.failed():
			return false
		case !e.labelled(o.task):
			lacks = true
		}
	}
	return lacks
}

// feasible reports whether an entry may meet the constraints: by its label if it has
// one, else by the predicted value. An unknown value excludes nothing.
func (v *view) feasible(e *entry, constraints map[string]bound) bool {
	for name, b := range constraints {
		x, known := e.labels[name].value()
		if t := v.task(name); !known && t >= 0 && e.scores != nil {
			x, known = e.scores[t].value, true
		}
		if !known {
			x, known = e.proxy(name)
		}
		if known && !b.holds(x) {
			return false
		}
	}
	return true
}

// proxy returns a number that the candidate came with.
func (e *entry) proxy(name string) (float64, bool) {
	x, ok := e.proxies()[name]
	return x, ok
}

// proxies returns the numbers that the candidate came with.
func (e *entry) proxies() map[string]float64 {
	if e.carried == nil {
		e.carried = map[string]float64{}
		for member, value := range members(e.message) {
			if member != "proxies" {
				continue
			}
			for proxy, number := range members(value) {
				var x float64
				if json.Unmarshal(number, &x) == nil && string(number) != "null" {
					e.carried[proxy] = x
				}
			}
		}
	}
	return e.carried
}

func hasProxy(entries []*entry, name string) bool {
	return slices.ContainsFunc(entries, func(e *entry) bool { _, ok := e.proxy(name); return ok })
}

// gain is a predictive distribution in which more is better: up and down are its
// standard deviations above and below the median.
type gain struct{ median, up, down, fails float64 }

func (v *view) gain(e *entry, task string) gain {
	t := v.task(task)
	s := e.scores[t]
	g := gain{s.value, s.above, s.below, s.fails}
	if v.minimise(task) {
		g.median, g.up, g.down = -g.median, g.down, g.up
	}
	if !(g.up > 0) {
		g.up = 0
	}
	if !(g.down > 0) {
		g.down = 0
	}
	return g
}

// bestLabel returns the best label of a task among the networks that may meet the
// constraints, more being better; without one the best prediction.
func (v *view) bestLabel(task string, constraints map[string]bound) float64 {
	best := math.Inf(-1)
	for _, e := range v.entries {
		if value, ok := e.labels[task].value(); ok && v.feasible(e, constraints) {
			if v.minimise(task) {
				value = -value
			}
			best = max(best, value)
		}
	}
	if !math.IsInf(best, -1) {
		return best
	}
	for _, e := range v.entries {
		if e.scores != nil && v.feasible(e, constraints) {
			best = max(best, v.gain(e, task).median)
		}
	}
	return best
}

// acquire returns the n entries with the highest acquisition for one task; ties
// are decided by the predicted value, then by the score.
func (v *view) acquire(open []*entry, task string, a askRequest, random *rand.Rand) []*entry {
	t, best := v.task(task), v.bestLabel(task, a.Constraints)
	type ranked struct {
		*entry
		by, mean, score float64
	}
	all := make([]ranked, 0, len(open))
	for _, e := range open {
		g := v.gain(e, task)
		by := g.acquisition(a.Strategy, best, random)
		if a.Strategy == StrategyEI {
			by *= v.chance(e, a.Constraints)
		}
		all = append(all, ranked{e, by, g.median, e.scores[t].score})
	}
	slices.SortStableFunc(all, func(x, y ranked) int {
		for _, by := range []int{descending(x.by, y.by), descending(x.mean, y.mean), descending(x.score, y.score)} {
			if by != 0 {
				return by
			}
		}
		return 0
	})
	out := make([]*entry, min(a.N, len(all)))
	for i := range out {
		out[i] = all[i].entry
	}
	return out
}

func (g gain) acquisition(strategy string, best float64, random *rand.Rand) float64 {
	switch strategy {
	case StrategyUCB:
		return g.median + g.up
	case StrategyThompson:
		return g.draw(random)
	case StrategyEI:
		return g.improvement(best) * (1 - g.fails)
	}
	return g.median
}

// draw returns a value of the distribution.
func (g gain) draw(random *rand.Rand) float64 {
	z := random.NormFloat64()
	if z < 0 {
		return g.median + z*g.down
	}
	return g.median + z*g.up
}

// improvement is the expected improvement over best: each side of the median is half
// of a normal distribution. Source: Jones, Schonlau and Welch 1998, eq. 15.
func (g gain) improvement(best float64) float64 {
	d := g.median - best
	if d <= 0 {
		return improvementOf(d, g.up)
	}
	// Above the median the gain is d and half of the upper deviation's; below it, what
	// a normal distribution has there.
	const half = .3989422804014327 // of the mean absolute deviation of a standard normal
	return improvementOf(d, g.down) + (g.up-g.down)*half
}

// improvementOf is the expected positive part of a normal distribution.
func improvementOf(mean, sd float64) float64 {
	if sd == 0 {
		return max(mean, 0)
	}
	z := mean / sd
	return mean*.5*math.Erfc(-z/math.Sqrt2) + sd*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi)
}

// scalarise picks for several tasks: each pick draws weights and takes the entry
// that is best by the augmented Chebyshev scalarisation of the tasks' gains, which
// are scaled by the range of the predictions. Source: Knowles 2006 (ParEGO), eq. 2.
// ei, where hypervolumes do not serve, is as thompson.
func (v *view) scalarise(open []*entry, objectives []objective, a askRequest, random *rand.Rand) []*entry {
	open = slices.DeleteFunc(slices.Clone(open), func(e *entry) bool {
		return slices.ContainsFunc(objectives, func(o objective) bool { _, ok := v.gainOf(e, o); return !ok })
	})
	gains := make([][]gain, len(open)) // [entries][tasks]
	low, high := make([]float64, len(a.Tasks)), make([]float64, len(a.Tasks))
	for t := range a.Tasks {
		low[t], high[t] = math.Inf(1), math.Inf(-1)
	}
	for i, e := range open {
		for t, o := range objectives {
			g, _ := v.gainOf(e, o)
			gains[i] = append(gains[i], g)
			low[t], high[t] = min(low[t], g.median), max(high[t], g.median)
		}
	}
	const rho = .05
	taken := make([]bool, len(open))
	var out []*entry
	for range min(a.N, len(open)) {
		weights, sum := make([]float64, len(a.Tasks)), 0.
		for t := range weights {
			weights[t] = random.ExpFloat64()
			sum += weights[t]
		}
		pick, highest := -1, math.Inf(-1)
		for i := range open {
			if taken[i] {
				continue
			}
			worst, total := math.Inf(1), 0.
			for t, g := range gains[i] {
				x := g.median
				switch a.Strategy {
				case StrategyUCB:
					x += g.up
				case StrategyEI, StrategyThompson:
					x = g.draw(random)
				}
				loss := weights[t] / sum * (x - high[t]) / max(high[t]-low[t], 1e-12)
				worst, total = min(worst, loss), total+loss
			}
			if u := worst + rho*total; u > highest || pick < 0 {
				pick, highest = i, u
			}
		}
		taken[pick] = true
		out = append(out, open[pick])
	}
	return out
}
