package teacher

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/errgroup"
)

// sideBySide does n parts of a work that do not depend on each other, on so many
// cores, 0 for all of them. It returns the first error, and panics where a part did.
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

// partPanic is a panic of a part, which whoever does the work can recover from.
type partPanic struct {
	value any
	stack []byte
}

// Error says with what, and where.
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
