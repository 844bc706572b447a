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
	work   func(i int)
	n      int32
	next   atomic.Int32
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

// run returns when work has returned for every index. What work does for one
// index must not depend on another.
func (t *team) run(n int, work func(i int)) {
	helpers := t.cores
	if helpers == 0 {
		helpers = runtime.GOMAXPROCS(0)
	}
	helpers = min(helpers, n) - 1
	t.work, t.n = work, int32(n)
	t.next.Store(0)
	t.joined.Add(max(helpers, 0))
	for range helpers {
		go t.member()
	}
	t.take()
	t.joined.Wait()
}

func (t *team) take() {
	for i := t.next.Add(1) - 1; i < t.n; i = t.next.Add(1) - 1 {
		t.work(int(i))
	}
}
