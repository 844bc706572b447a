package search

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"archflow/pipeline"
	"archflow/schemas"
)

// topicLabels are the labels of a search's tasks, read from their topic.
type topicLabels struct {
	*search
	decoder *schemas.Decoder

	mu     sync.Mutex
	values map[labelKey]map[string]float64 // by seed; NaN for a training that failed
	goals  map[string]string               // task -> max or min, of those that have labels
	next   map[int32]int64                 // partition -> offset after the last label
	more   chan struct{}                   // closed with the next label
}

type labelKey struct{ place, objective int }

func newTopicLabels(s *search) *topicLabels {
	return &topicLabels{
		search: s, decoder: schemas.NewDecoder(s.config.Limits()), values: map[labelKey]map[string]float64{},
		goals: map[string]string{}, next: map[int32]int64{0: 0}, more: make(chan struct{}),
	}
}

// follow reads the labels that it has not read, to the end of the topic or until ctx ends.
func (t *topicLabels) follow(ctx context.Context, untilEnd bool) error {
	from := pipeline.From{Start: true, Offsets: map[schemas.TopicPartition]int64{}}
	for number, next := range t.next {
		from.Offsets[schemas.TopicPartition{Topic: t.Topics.Labels, Number: number}] = next
	}
	return t.Follow(ctx, t.Topics.Labels, from, untilEnd, func(p schemas.TopicPartition, m *schemas.Messages) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		for i := range m.Len() {
			t.next[p.Number] = m.Offset[i] + 1
			if l, refused := t.decoder.Label(m.Value.At(i)); refused == nil && l.Space == t.Space {
				t.take(&l)
			}
		}
		close(t.more)
		t.more = make(chan struct{})
		return nil
	})
}

// take takes in a label by the rules of the learner: the same seed replaces, and a
// withdrawal takes back its seed, or all where it names none. A result of less than the
// full training is none of a trial.
func (t *topicLabels) take(l *schemas.Label) {
	objective := slices.IndexFunc(t.objectives, func(o objective) bool { return o.task == l.Task })
	if objective < 0 {
		return
	}
	if goal := goalOf(l); l.GoalGiven || t.goals[l.Task] == "" {
		t.goals[l.Task] = goal
	}
	place, ok := t.pool.OfLabel(l)
	if !ok || l.HasFidelity {
		return
	}
	at := labelKey{place, objective}
	if l.Withdrawn {
		if delete(t.values[at], l.Seed); l.Seed == "" || len(t.values[at]) == 0 {
			delete(t.values, at)
		}
		return
	}
	if t.values[at] == nil {
		t.values[at] = map[string]float64{}
	}
	if _, known := t.values[at][l.Seed]; known && l.Missing {
		return // no number takes nothing back, but it ends a trial
	}
	t.values[at][l.Seed] = math.NaN()
	if l.Valued() {
		t.values[at][l.Seed] = l.Value
	}
}

// goalOf is what a label says of its task.
func goalOf(l *schemas.Label) string {
	if l.GoalGiven && l.Minimise {
		return "min"
	}
	return "max"
}

// of returns the result of a place: the mean of the seeds with a value, NaN without one.
func (t *topicLabels) of(place, objective int) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum, n := 0., 0.
	seeds := t.values[labelKey{place, objective}]
	for _, seed := range slices.Sorted(maps.Keys(seeds)) {
		if v := seeds[seed]; v == v {
			sum, n = sum+v, n+1
		}
	}
	return sum / n
}

// through lists the offsets after the last labels that were read, by partition.
func (t *topicLabels) through() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []string
	for _, number := range slices.Sorted(maps.Keys(t.next)) {
		parts = append(parts, fmt.Sprintf("%d:%d", number, t.next[number]))
	}
	return strings.Join(parts, ",")
}

// opposed says for which task the labels have another goal than the search. The predictor
// goes by the labels.
func (t *topicLabels) opposed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.objectives {
		if goal := t.goals[o.task]; goal != "" && goal != o.goal {
			return fmt.Errorf("task %q: --goal is %s, and its labels say %s, which the predictor goes by; start the search again with --goal %s, or after a label of the task with \"goal\": %q: it goes on by its name, %s", o.task, o.goal, goal, goal, o.goal, t.Name)
		}
	}
	return nil
}

// await returns once all places have labels of every task.
func (t *topicLabels) await(ctx context.Context, places []int) error {
	for {
		t.mu.Lock()
		missing, more := false, t.more
		for _, place := range places {
			for task := range t.objectives {
				if _, ok := t.values[labelKey{place, task}]; !ok {
					missing = true
				}
			}
		}
		t.mu.Unlock()
		if !missing {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
