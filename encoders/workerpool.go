package encoders

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// workerPool calls a function for 0..n-1 on several goroutines and joins them
// (fork-join). Create it once and reuse it: a call allocates nothing, and a worker stays
// awake for the next call, because waking one takes as long as a piece of work.
type workerPool struct {
	cores int           // 0: as many as the process may use
	awake time.Duration // how long a helper looks out for the next call

	work   func(i, worker int)
	n      int
	next   []share      // of each goroutine
	worker atomic.Int32 // the last that was numbered

	call    atomic.Int64 // odd while a call is open to helpers
	inside  atomic.Int32 // helpers that read the call
	helpers atomic.Int32 // that are awake
	help    func()
	fault   atomic.Pointer[fault] // the first panic of a call
}

// fault is a panic of work.
type fault struct {
	value any
	stack []byte
}

// Error names the value and the place of the panic, because another goroutine recovers
// from it.
func (f *fault) Error() string { return fmt.Sprintf("%v, at %s", f.value, f.stack) }

// share is the next index of those that a goroutine takes first. It is the same in
// consecutive calls, so that their data stay in its caches.
type share struct {
	atomic.Int32
	_ [15]int32 // fills a line of the cache
}

func newWorkerPool(cores int, awake time.Duration) *workerPool {
	p := &workerPool{cores: cores, awake: awake}
	p.help = p.helper
	return p
}

// workers returns how many goroutines run at most for n indices.
func (t *workerPool) workers(n int) int {
	cores := t.cores
	if cores == 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	return max(1, min(cores, n))
}

// run returns when work has returned for every index below n. The work for one index must
// not depend on another, nor on worker, which numbers the goroutines from 0 and lends it
// memory. run panics when work does, on any goroutine.
func (t *workerPool) run(n int, work func(i, worker int)) {
	workers := t.workers(n)
	if workers == 1 {
		for i := range n {
			work(i, 0)
		}
		return
	}
	t.work, t.n, t.next = work, n, resized(t.next, workers)
	for i := range t.next {
		t.next[i].Store(int32(i * n / workers))
	}
	t.worker.Store(0)
	t.call.Add(1)
	for t.helpers.Load() < int32(workers)-1 {
		t.helpers.Add(1)
		go t.help()
	}
	t.take(0)
	t.call.Add(1)
	for t.inside.Load() > 0 {
		runtime.Gosched()
	}
	t.work = nil
	if f := t.fault.Swap(nil); f != nil {
		panic(f)
	}
}

// helper joins calls until none has come for a while.
func (t *workerPool) helper() {
	joined, since := int64(0), time.Now()
	for {
		switch {
		case t.open(joined):
			joined = t.join(joined)
			since = time.Now()
		case time.Since(since) >= t.awake:
			t.helpers.Add(-1)
			if !t.open(joined) {
				return
			}
			t.helpers.Add(1) // a call came that may have counted on this helper
		}
		runtime.Gosched()
	}
}

// open says whether a call is open to helpers, other than the last they joined.
func (t *workerPool) open(joined int64) bool {
	call := t.call.Load()
	return call%2 == 1 && call != joined
}

// join helps with the open call and returns it. The call may have ended meanwhile, but
// cannot end while the helper is inside.
func (t *workerPool) join(joined int64) int64 {
	t.inside.Add(1)
	defer t.inside.Add(-1)
	if !t.open(joined) {
		return joined
	}
	joined = t.call.Load()
	if worker := int(t.worker.Add(1)); worker < len(t.next) {
		t.take(worker)
	}
	return joined
}

// take works on a goroutine's own share and then on the rest of the others'.
func (t *workerPool) take(worker int) {
	defer func() {
		if value := recover(); value != nil {
			t.fault.CompareAndSwap(nil, &fault{value, debug.Stack()})
		}
	}()
	for k := range t.next {
		own := (worker + k) % len(t.next)
		end := int32((own + 1) * t.n / len(t.next))
		for i := t.next[own].Add(1) - 1; i < end; i = t.next[own].Add(1) - 1 {
			t.work(int(i), worker)
		}
	}
}
