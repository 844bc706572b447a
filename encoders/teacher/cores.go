package teacher

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/errgroup"
)

// sideBySide does n independent parts of a work on a number of cores, 0 for all of them.
// It returns the first error, and panics where a part did.
func sideBySide(cores, n int, part func(i int) error) error {
	if cores <= 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	var group errgroup.Group
	group.SetLimit(min(cores, n))
	for i := range n {
		group.Go(func() (err error) {
			defer func() {
				if value := recover(); value != nil {
					err = &partPanic{value, debug.Stack()}
				}
			}()
			return part(i)
		})
	}
	err := group.Wait()
	var fault *partPanic
	if errors.As(err, &fault) {
		panic(fault)
	}
	return err
}

// partPanic is a panic of a part, from which the caller can recover.
type partPanic struct {
	value any
	stack []byte
}

// Error names the value and the place.
func (p *partPanic) Error() string { return fmt.Sprintf("%v, at %s", p.value, p.stack) }

// alone lets one goroutine call pace at a time, as the caller wants it.
func alone(pace func() int) func() int {
	if pace == nil {
		return func() int { return 0 }
	}
	var one sync.Mutex
	return func() int {
		one.Lock()
		defer one.Unlock()
		return pace()
	}
}
