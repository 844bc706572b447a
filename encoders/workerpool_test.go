package encoders

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Every index is worked on once, each goroutine has a number of its own, and
// after a while no helper is left, however calls follow one another.
func TestTeam(t *testing.T) {
	for _, awake := range []time.Duration{0, 20 * time.Microsecond, time.Millisecond} {
		for _, cores := range []int{1, 2, 3, 8} {
			f := newWorkerPool(cores, awake)
			var done [100]atomic.Int32
			var busy [8]atomic.Int32
			work := func(i, worker int) {
				if busy[worker].Add(1) != 1 {
					t.Errorf("goroutine %d of %d is there twice", worker, cores)
				}
				done[i].Add(1)
				busy[worker].Add(-1)
			}
			for call := range 300 {
				n := 1 + call*7%len(done)
				if call == 200 {
					f.cores = 2
				}
				f.run(n, work)
				for i := range done {
					want := int32(0)
					if i < n {
						want = 1
					}
					if got := done[i].Swap(0); got != want {
						t.Fatalf("cores %d, call %d of %d: index %d was worked on %d times", cores, call, n, i, got)
					}
				}
				if call%50 == 0 {
					time.Sleep(2 * awake)
				}
			}
			for end := time.Now().Add(10 * time.Second); f.helpers.Load() > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("cores %d: %d helpers are still there", cores, f.helpers.Load())
				}
			}
		}
	}
}

// A call that others wait for is helped: index 0 ends only when index 1 has begun.
func TestTeamHelps(t *testing.T) {
	for _, awake := range []time.Duration{0, time.Millisecond} {
		f := newWorkerPool(2, awake)
		for range 200 {
			begun := make(chan struct{})
			f.run(2, func(i, _ int) {
				if i == 1 {
					close(begun)
					return
				}
				select {
				case <-begun:
				case <-time.After(10 * time.Second):
					t.Error("nobody helped")
				}
			})
		}
	}
}

// A panic of work, on any goroutine, is one of run, and the pool goes on.
func TestTeamPanics(t *testing.T) {
	for _, cores := range []int{1, 2, 4} {
		f := newWorkerPool(cores, time.Millisecond)
		for at := range 8 {
			value := func() (value any) {
				defer func() { value = recover() }()
				f.run(8, func(i, _ int) {
					if i == at {
						panic("at work")
					}
				})
				return nil
			}()
			if !strings.Contains(fmt.Sprint(value), "at work") {
				t.Errorf("cores %d, index %d: recovered %v", cores, at, value)
			}
		}
		var done atomic.Int32
		if f.run(8, func(int, int) { done.Add(1) }); done.Load() != 8 {
			t.Errorf("cores %d: after panics %d of 8 are done", cores, done.Load())
		}
	}
}
