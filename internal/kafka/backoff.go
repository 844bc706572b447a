package kafka

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is a bounded exponential back-off with jitter, so that many processes
// that lost the same broker do not come back at once. One goroutine uses it.
type Backoff struct{ next, first, max time.Duration }

// Bounds of the back-off between attempts that a person may notice.
const (
	FirstBackoff = 50 * time.Millisecond
	MaxBackoff   = 5 * time.Second
)

// NewBackoff returns a back-off from FirstBackoff to MaxBackoff.
func NewBackoff() *Backoff { return BackoffBetween(FirstBackoff, MaxBackoff) }

// BackoffBetween returns a back-off that begins with first and doubles up to max.
func BackoffBetween(first, max time.Duration) *Backoff { return &Backoff{first, first, max} }

// Reset makes the next wait the shortest again.
func (b *Backoff) Reset() { b.next = b.first }

// Next is how long the next wait takes, give or take a half.
func (b *Backoff) Next() time.Duration { return b.next }

// Wait sleeps between half of the next wait and one and a half of it, or until
// ctx ends, whose error it returns.
func (b *Backoff) Wait(ctx context.Context) error {
	timer := time.NewTimer(b.next/2 + rand.N(b.next+1))
	defer timer.Stop()
	b.next = min(2*b.next, b.max)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
