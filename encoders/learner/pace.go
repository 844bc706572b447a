package learner

import "context"

// paced is a context for long computations. They ask it between their parts
// whether to go on, and that is where they rest.
type paced struct {
	context.Context
	pace func() int
}

func (p paced) Err() error {
	p.pace()
	return p.Context.Err()
}

// pace rests if somebody wants that and returns how many cores the next part of
// the work may use, 0 being all.
func (l *Learner) pace() int {
	if l.cfg.Pace == nil {
		return 0
	}
	return l.cfg.Pace()
}
