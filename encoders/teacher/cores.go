package teacher

import (
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// sideBySide does n parts of a work that do not depend on each other, on so many
// cores, 0 for all of them. It returns the first error.
func sideBySide(cores, n int, part func(i int) error) error {
	if cores <= 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	var group errgroup.Group
	group.SetLimit(min(cores, n))
	for i := range n {
		group.Go(func() error { return part(i) })
	}
	return group.Wait()
}

// alone lets one goroutine pause at a time, as the caller's pause wants it.
func alone(pause func()) func() {
	if pause == nil {
		return func() {}
	}
	var one sync.Mutex
	return func() {
		one.Lock()
		defer one.Unlock()
		pause()
	}
}
