package kafka

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Budget bounds the bytes of unpacked messages in the process. A caller that asks for
// more than is free waits, in the order of asking, so that large claims are not
// overtaken for ever. A claim larger than the budget waits until nothing else is held,
// and is not refused. A nil budget has no bound.
type Budget struct {
	mu          sync.Mutex
	limit, used int
	waiting     []*claim
}

// claim is a request that waits.
type claim struct {
	bytes   int
	granted chan struct{}
	since   time.Time
}

// pressedAfter is how long a claim waits for memory before the holders of memory are asked
// to give some back: a shorter time would have tables commit files of a few rows each.
const pressedAfter = 500 * time.Millisecond

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int) *Budget { return &Budget{limit: limit} }

// Acquire takes bytes out of the budget; it waits until they are free or ctx ends.
func (b *Budget) Acquire(ctx context.Context, bytes int) error {
	if b.TryAcquire(bytes) {
		return nil
	}
	c := &claim{bytes, make(chan struct{}), time.Now()}
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	b.grant()
	b.mu.Unlock()
	select {
	case <-c.granted:
		b.clear(bytes)
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, c); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	} else {
		b.used -= bytes // it was granted meanwhile
	}
	b.grant()
	return ctx.Err()
}

// clear returns garbage to the system before a claim of more than half of the budget:
// the runtime's limit on memory is soft, and the memory held before would add to the
// claim's.
func (b *Budget) clear(bytes int) {
	if bytes > b.limit/2 {
		debug.FreeOSMemory()
	}
}

// TryAcquire is Acquire where it need not wait.
func (b *Budget) TryAcquire(bytes int) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	fits := len(b.waiting) == 0 && b.fits(bytes)
	if fits {
		b.used += bytes
	}
	b.mu.Unlock()
	if fits {
		b.clear(bytes)
	}
	return fits
}

// Release gives bytes back.
func (b *Budget) Release(bytes int) {
	if b == nil || bytes == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= bytes
	b.grant()
}

// Used returns the bytes that are held.
func (b *Budget) Used() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Pressed reports whether a claim has waited for memory for a while.
func (b *Budget) Pressed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting) > 0 && time.Since(b.waiting[0].since) > pressedAfter
}

func (b *Budget) fits(bytes int) bool { return b.used == 0 || b.used+bytes <= b.limit }

// grant serves those that wait; the caller holds the lock.
func (b *Budget) grant() {
	for len(b.waiting) > 0 && b.fits(b.waiting[0].bytes) {
		b.used += b.waiting[0].bytes
		close(b.waiting[0].granted)
		b.waiting = b.waiting[1:]
	}
}
