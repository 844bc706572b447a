package pipeline

import (
	"context"
	"time"
)

// pacer gives training its share of one core while candidates wait, and all
// cores while none do. It is used by one goroutine at a time.
type pacer struct {
	share  float64     // of one core, more than 0, at most 1
	behind func() bool // candidates wait

	stop    context.Context // ends a rest
	working func(bool)      // called before and after a rest
	since   time.Time       // when training last came back from a rest
}

// begin starts the clock of a piece of work.
func (p *pacer) begin(stop context.Context, working func(bool)) {
	p.stop, p.working, p.since = stop, working, time.Now()
}

// owed returns how long training has to rest for its work since the last rest.
func (p *pacer) owed() time.Duration {
	if !p.behind() {
		return 0
	}
	return time.Duration(float64(time.Since(p.since)) * (1 - p.share) / p.share)
}

// pace is called between the parts of a piece of work: it takes the rest that
// is owed and returns how many cores the next part may use, 0 being all.
func (p *pacer) pace() int {
	if p.stop == nil {
		return 0 // nothing has begun: a fit outside a session
	}
	rest := p.owed()
	if rest > 0 {
		p.working(false)
		timer := time.NewTimer(rest)
		select {
		case <-timer.C:
		case <-p.stop.Done():
			timer.Stop()
		}
	}
	p.working(true) // also says that a long fit is alive
	p.since = time.Now()
	if p.behind() {
		return 1
	}
	return 0
}
