package search

import (
	"context"
	"math"
	"slices"
	"sync"

	"archflow/pipeline"
	"archflow/schemas"
)

// topicLabels are the labels of a search's tasks, read from their topic.
type topicLabels struct {
	*search
	decoder *schemas.Decoder

	mu     sync.Mutex
	values map[labelKey]float64 // NaN for a training that failed
	next   int64                // offset after the last label
	more   chan struct{}        // closed with the next label
}

type labelKey struct{ place, objective int }

func newTopicLabels(s *search) *topicLabels {
	return &topicLabels{search: s, decoder: schemas.NewDecoder(s.config.Limits()), values: map[labelKey]float64{}, more: make(chan struct{})}
}

// follow reads the labels until ctx ends.
func (t *topicLabels) follow(ctx context.Context) error {
	return t.Follow(ctx, t.Topics.Labels, pipeline.From{Start: true}, false, func(_ schemas.TopicPartition, m *schemas.Messages) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		for i := range m.Len() {
			t.next = m.Offset[i] + 1
			if l, refused := t.decoder.Label(m.Value.At(i)); refused == nil && l.Space == t.Space {
				t.take(&l)
			}
		}
		close(t.more)
		t.more = make(chan struct{})
		return nil
	})
}

func (t *topicLabels) take(l *schemas.Label) {
	place, ok := t.pool.Of(string(schemas.AppendIDText(nil, l.ID)))
	objective := slices.IndexFunc(t.objectives, func(o objective) bool { return o.task == l.Task })
	if !ok || objective < 0 {
		return
	}
	at := labelKey{place, objective}
	switch {
	case l.Withdrawn:
		delete(t.values, at)
	case l.Failed || l.Missing:
		t.values[at] = math.NaN()
	default:
		t.values[at] = l.Value
	}
}

// of returns a label of a place, NaN without a value.
func (t *topicLabels) of(place, objective int) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v, ok := t.values[labelKey{place, objective}]; ok {
		return v
	}
	return math.NaN()
}

// through is the offset after the last label that was read.
func (t *topicLabels) through() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next
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
