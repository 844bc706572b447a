package pipeline

import "time"

// eager says when a single label calls for a fit. Fits owe a third of their time
// to everything else, students and pre-training, and pay only when they owe more
// than a search makes in some rounds.
type eager struct {
	from  time.Time
	owed  time.Duration
	since time.Time // when owed was true
}

const maxOwed = 5 * time.Second

// fitted notes a fit that has just ended; busy says that something else is to do.
func (e *eager) fitted(now time.Time, took time.Duration, busy bool) {
	e.owed = max(e.owed-now.Add(-took).Sub(e.since), 0) + took/3
	e.since, e.from = now, now
	if busy && e.owed > maxOwed {
		e.from = now.Add(e.owed - maxOwed)
	}
}
