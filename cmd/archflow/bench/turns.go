package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"time"
)

// turn measures once and returns a rate or a size.
type turn func(ctx context.Context) (float64, error)

// turnTime is how long a turn of a quick piece of work goes on; tests shorten it.
var turnTime = 500 * time.Millisecond

// turns measures all of them b.Runs times, one after the other each time, so
// that other load on the machine affects all of them alike. The first
// measurement of each warms up and is dropped.
func (b *bench) turns(ctx context.Context, all ...turn) ([][]float64, error) {
	out := make([][]float64, len(all))
	for i := range b.Runs + 1 {
		if i == 1 && b.Profile != "" {
			stop, err := startProfile(filepath.Join(b.Profile, b.figure+".pprof"))
			if err != nil {
				return nil, err
			}
			defer stop()
		}
		for j, measure := range all {
			b.status.Show(fmt.Sprintf("  turn %d of %d", i, b.Runs))
			v, err := measure(ctx)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, err
			}
			if i > 0 {
				out[j] = append(out[j], v)
			}
		}
	}
	return out, nil
}

// startProfile writes a processor profile to a file until it is stopped.
func startProfile(name string) (stop func(), err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close() // a profile that is cut off says so itself
	}, nil
}

// repeated returns a turn that does a piece of work for a while and measures
// how much of it is done in a second of clock.
func repeated(span time.Duration, clock func() time.Duration, work func() (float64, error)) turn {
	return func(ctx context.Context) (float64, error) {
		total, began := 0., clock()
		for {
			done, err := work()
			if err != nil {
				return 0, err
			}
			total += done
			if took := clock() - began; took >= span || ctx.Err() != nil {
				return total / took.Seconds(), nil //nolint:nilerr // the finished turns count when the user stops
			}
		}
	}
}

var programStart = time.Now()

// wallTime is the clock of what uses all cores.
func wallTime() time.Duration { return time.Since(programStart) }

// coreTime is the clock of work on one core: time in which others had the core
// does not count, where the system reports it.
func coreTime() time.Duration {
	if t := processorTime(); t > 0 {
		return t
	}
	return wallTime()
}

// quantile interpolates between the order statistics; v is not changed.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	at := q * float64(len(s)-1)
	i := int(at)
	if i == len(s)-1 {
		return s[i]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

func median(v []float64) float64 { return quantile(v, .5) }

// quartiles returns the distance between the quartiles.
func quartiles(v []float64) float64 { return quantile(v, .75) - quantile(v, .25) }

// medianRatio returns the median of the turns' ratios: both of a turn met the
// same machine.
func medianRatio(ours, theirs []float64) float64 {
	r := make([]float64, len(ours))
	for i := range r {
		r[i] = ours[i] / theirs[i]
	}
	return median(r)
}
