package strategies

import (
	"context"
	"math"
	"slices"
)

// Settings of the policy.
const (
	policyRate     = .35 // of a trial's update, for an advantage of one standard deviation
	imaginedRounds = 8   // of updates by predictions before a batch
	imaginedBatch  = 64  // networks in each
	imaginedRate   = .08 // of each of their updates
	policyWindow   = 60  // trials that the baseline and the scale of rewards look at
)

// policy is a distribution over the networks of a pool: the softmax of a linear
// function of what they consist of: which operation stands where, with which
// attributes, which edges and which hyperparameters there are. It has no weights for
// anything that is not in the pool, so every draw is one of it; an open pool grows
// before the draws.
type policy struct {
	features [][]int32 // of each place
	weights  []float64
	logits   []float64 // of each place, by weights
	chance   []float64 // the softmax
}

func newPolicy(p *Pool) *policy {
	q := &policy{logits: make([]float64, len(p.Candidates)), chance: make([]float64, len(p.Candidates))}
	for place := range p.Candidates {
		q.features = append(q.features, p.featuresOf(place))
	}
	q.weights = make([]float64, len(p.features))
	q.refresh()
	return q
}

func (q *policy) refresh() {
	most := math.Inf(-1)
	for i, list := range q.features {
		q.logits[i] = 0
		for _, f := range list {
			q.logits[i] += q.weights[f]
		}
		most = max(most, q.logits[i])
	}
	sum := 0.
	for i, x := range q.logits {
		q.chance[i] = math.Exp(x - most)
		sum += q.chance[i]
	}
	for i := range q.chance {
		q.chance[i] /= sum
	}
}

// reinforce moves the weights along the gradient of the expected reward. Source:
// Williams 1992. advantages are rewards less a baseline, 0 for nothing.
func (q *policy) reinforce(places []int, advantages []float64, rate float64) {
	total := 0.
	step := make([]float64, len(q.weights))
	for i, place := range places {
		total += advantages[i]
		for _, f := range q.features[place] {
			step[f] += advantages[i]
		}
	}
	if total != 0 {
		for i, p := range q.chance {
			for _, f := range q.features[i] {
				step[f] -= total * p
			}
		}
	}
	for f := range step {
		q.weights[f] += rate * step[f]
	}
	q.refresh()
}

// draw returns up to n distinct places that are not taken.
func (q *policy) draw(s *State, n int, taken func(place int) bool) []int {
	var out []int
	chosen := map[int]bool{}
	for range 50 * n {
		x, place := s.Random.Float64(), 0
		for ; place < len(q.chance)-1; place++ {
			if x -= q.chance[place]; x < 0 {
				break
			}
		}
		if !chosen[place] && !taken(place) {
			chosen[place] = true
			if out = append(out, place); len(out) == n {
				break
			}
		}
	}
	return out
}

// standardised returns rewards as advantages: less their mean, in their standard
// deviations, at most two; failures are as bad as the worst.
func standardised(rewards []float64) []float64 {
	out := slices.Clone(rewards)
	worst := math.Inf(1)
	for _, r := range rewards {
		if r == r {
			worst = min(worst, r)
		}
	}
	mean, squares := 0., 0.
	for i := range out {
		if out[i] != out[i] {
			out[i] = worst
		}
		d := out[i] - mean
		mean += d / float64(i+1)
		squares += d * (out[i] - mean)
	}
	sd := math.Sqrt(squares / float64(max(len(out)-1, 1)))
	for i := range out {
		if out[i] = (out[i] - mean) / sd; !(math.Abs(out[i]) < math.Inf(1)) {
			out[i] = 0
		}
		out[i] = min(max(out[i], -2), 2)
	}
	return out
}

// trained replays the updates of the trials so far, in their order.
func (q *policy) trained(trials []Trial) {
	for end := startup; end <= len(trials); end += startup {
		window := trials[max(0, end-policyWindow):end]
		rewards := make([]float64, len(window))
		for i, t := range window {
			rewards[i] = t.Value
		}
		advantages := standardised(rewards)
		var places []int
		for _, t := range window[len(window)-startup:] {
			places = append(places, t.Place)
		}
		q.reinforce(places, advantages[len(window)-startup:], policyRate)
	}
}

// widen makes networks of an open pool that a policy may draw: half from the best,
// half from any.
func (s *State) widen(n int) {
	if !s.Pool.Open {
		return
	}
	s.Pool.Grow(imagined*n/2, s.Random)
	if ranked := s.ranked(); len(ranked) > 0 {
		for i := range imagined * n / 2 {
			s.Pool.Mutate(ranked[i%min(parents, len(ranked))].Place, s.Random)
		}
	}
}

// reinforceAlone is a policy that learns from what was trained and from nothing
// else.
func reinforceAlone(_ context.Context, s *State, n int) ([]int, error) {
	p := s.pick()
	s.widen(n)
	q := newPolicy(s.Pool)
	q.trained(s.Trials)
	for _, place := range q.draw(s, n, func(place int) bool { return p.taken[place] }) {
		p.add(place)
	}
	return p.fill(n), nil
}

// reinforce is the same policy with predictions: between trainings it also learns from
// the predictions of its own draws, and of the draws for a batch those are trained that
// are predicted to be best.
func reinforce(ctx context.Context, s *State, n int) ([]int, error) {
	p := s.pick()
	s.widen(n)
	q := newPolicy(s.Pool)
	q.trained(s.Trials)
	for range imaginedRounds {
		places := q.draw(s, imaginedBatch, func(int) bool { return false })
		rewards, err := s.rewards(ctx, places)
		if err != nil {
			return nil, err
		}
		if rewards == nil {
			break
		}
		q.reinforce(places, standardised(rewards), imaginedRate)
	}
	drawn := q.draw(s, max(imaginedBatch, n), func(place int) bool { return p.taken[place] })
	rewards, err := s.rewards(ctx, drawn)
	if err != nil {
		return nil, err
	}
	if rewards != nil {
		drawn = highest(drawn, rewards, n)
	}
	for _, place := range drawn[:min(n, len(drawn))] {
		p.add(place)
	}
	return p.fill(n), nil
}

// rewards returns the predicted values of places; nil before there is a model, and where
// a single place leaves no choice.
func (s *State) rewards(ctx context.Context, places []int) ([]float64, error) {
	if len(s.Trials) == 0 || len(places) < 2 {
		return nil, nil
	}
	guesses, err := s.Guess(ctx, places)
	if err != nil {
		return nil, err
	}
	rewards := make([]float64, len(guesses))
	for i, g := range guesses {
		rewards[i] = g.Value
	}
	if slices.ContainsFunc(rewards, math.IsNaN) {
		return nil, nil
	}
	return rewards, nil
}
