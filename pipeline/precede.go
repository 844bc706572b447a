package pipeline

import (
	"context"
	"time"

	"archflow/internal/kafka"
	"archflow/schemas"
)

// A label and its candidate come by two topics. Who publishes the candidate first relies on
// the label to find it, so the trainer takes labels after the candidates that were there
// before them.

const (
	// precedeFor bounds how long labels wait for candidates that are being read.
	precedeFor = time.Second
	// precedeAgain is how soon labels wait again after they have waited in vain.
	precedeAgain = 10 * time.Second
)

// heldLabels is a batch of labels that candidates are to precede.
type heldLabels struct {
	batch *schemas.Batch                   // nil: none is held
	ends  map[schemas.TopicPartition]int64 // of the candidates when it came
	until time.Time
	next  time.Time // none is held before
}

// hold keeps a batch of labels until the candidates before it are taken. A broker that does
// not say where they end leaves nothing to wait for.
func (t *trainer) hold(ctx context.Context, b *schemas.Batch) {
	now := time.Now()
	t.held.batch, t.held.ends, t.held.until = b, nil, now.Add(precedeFor)
	if now.Before(t.held.next) {
		return
	}
	ctx, cancel := context.WithDeadline(ctx, t.held.until)
	defer cancel()
	ends := map[schemas.TopicPartition]int64{}
	for _, p := range partitionsOf(t.Topics.Architectures, t.counts.candidates.Load()) {
		end, err := kafka.End(ctx, t.Client, p)
		if err != nil {
			return
		}
		ends[p] = end
	}
	t.held.ends = ends
}

// release says when the held batch may be taken; never when none is held.
func (t *trainer) release(candidatesEnded bool) <-chan time.Time {
	if t.held.batch == nil {
		return nil
	}
	for p, end := range t.held.ends {
		if t.positions[p] < end && !candidatesEnded {
			return time.After(time.Until(t.held.until))
		}
	}
	return time.After(0)
}

// takeHeld returns the held batch.
func (t *trainer) takeHeld() *schemas.Batch {
	b, now := t.held.batch, time.Now()
	if t.held.ends != nil && !now.Before(t.held.until) {
		t.held.next = now.Add(precedeAgain)
	}
	t.held.batch, t.held.ends = nil, nil
	return b
}
