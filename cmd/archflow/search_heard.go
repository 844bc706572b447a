package main

import (
	"context"
	"math"
	"slices"
	"sync"

	"archflow/pipeline"
	"archflow/schemas"
)

// heard is the labels of a search's tasks as they come through the topic.
type heard struct {
	*search
	decoder *schemas.Decoder

	mu     sync.Mutex
	values map[heardLabel]float64 // NaN for a training that failed
	next   int64                  // offset after the last label
	more   chan struct{}          // closed with the next label
}

type heardLabel struct{ place, objective int }

func newHeard(s *search) *heard {
	return &heard{search: s, decoder: schemas.NewDecoder(s.config.Limits()), values: map[heardLabel]float64{}, more: make(chan struct{})}
}

// follow reads the labels until ctx ends.
func (h *heard) follow(ctx context.Context) error {
	return h.Follow(ctx, h.Topics.Labels, pipeline.From{Start: true}, false, func(_ schemas.Partition, m *schemas.Messages) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		for i := range m.Len() {
			h.next = m.Offset[i] + 1
			if l, refused := h.decoder.Label(m.Value.At(i)); refused == nil && l.Space == h.Space {
				h.take(&l)
			}
		}
		close(h.more)
		h.more = make(chan struct{})
		return nil
	})
}

func (h *heard) take(l *schemas.Label) {
	place, ok := h.pool.Of(string(schemas.AppendIDText(nil, l.ID)))
	objective := slices.IndexFunc(h.objectives, func(o searchObjective) bool { return o.task == l.Task })
	if !ok || objective < 0 {
		return
	}
	at := heardLabel{place, objective}
	switch {
	case l.Withdrawn:
		delete(h.values, at)
	case l.Failed || l.Missing:
		h.values[at] = math.NaN()
	default:
		h.values[at] = l.Value
	}
}

// of returns a label of a place, NaN without a value.
func (h *heard) of(place, objective int) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, ok := h.values[heardLabel{place, objective}]; ok {
		return v
	}
	return math.NaN()
}

// through is the offset after the last label that was heard.
func (h *heard) through() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next
}

// await returns once all places have labels of every task.
func (h *heard) await(ctx context.Context, places []int) error {
	for {
		h.mu.Lock()
		missing, more := false, h.more
		for _, place := range places {
			for t := range h.objectives {
				if _, ok := h.values[heardLabel{place, t}]; !ok {
					missing = true
				}
			}
		}
		h.mu.Unlock()
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
