package encoders

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// team calls a function for 0..n-1 on several goroutines and joins them. It
// exists to be kept: a call allocates nothing.
type team struct {
	cores  int // 0: as many as the process may use
	work   func(i, worker int)
	n      int32
	next   atomic.Int32
	worker atomic.Int32
	joined sync.WaitGroup
	member func()
}

func newTeam(cores int) *team {
	t := &team{cores: cores}
	t.member = func() {
		defer t.joined.Done()
		t.take()
	}
	return t
}

// workers returns how many goroutines run at most for n indices.
func (t *team) workers(n int) int {
	cores := t.cores
	if cores == 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	return max(1, min(cores, n))
}

// run returns when work has returned for every index below n. What work does
// for one index must not depend on another, nor on worker, which numbers the
// goroutines from 0 and lends it memory.
func (t *team) run(n int, work func(i, worker int)) {
	helpers := t.workers(n) - 1
	t.work, t.n = work, int32(n)
	t.next.Store(0)
	t.worker.Store(0)
	t.joined.Add(helpers)
	for range helpers {
		go t.member()
	}
	t.take()
	t.joined.Wait()
}

func (t *team) take() {
	worker := int(t.worker.Add(1)) - 1
	for i := t.next.Add(1) - 1; i < t.n; i = t.next.Add(1) - 1 {
		t.work(int(i), worker)
	}
}
