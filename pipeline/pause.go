package pipeline

import (
	"context"
	"math/rand/v2"
	"time"
)

// pause is a bounded back-off with jitter, so that many processes that lost the
// same broker do not come back at once.
type pause struct{ next time.Duration }

const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 5 * time.Second
)

func newPause() *pause { return &pause{shortestPause} }

func (p *pause) reset() { p.next = shortestPause }

// wait sleeps for the next pause, or until ctx ends, whose error it returns.
func (p *pause) wait(ctx context.Context) error {
	timer := time.NewTimer(p.next/2 + rand.N(p.next/2+1))
	defer timer.Stop()
	p.next = min(2*p.next, longestPause)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
