package pipeline

import (
	"testing"
	"time"
)

// Fits of few labels follow each other at once for a while, and then leave a quarter
// of the time to everything else.
func TestEagerFitsLeaveTime(t *testing.T) {
	var e eager
	now, began, fits := time.Now(), time.Now(), time.Duration(0)
	waited := func(took time.Duration, busy bool) time.Duration {
		now = now.Add(took)
		fits += took
		e.fitted(now, took, busy)
		wait := e.from.Sub(now)
		now = now.Add(max(wait, 0))
		return wait
	}
	for range 13 {
		if w := waited(time.Second, true); w > 0 {
			t.Fatalf("a round of a search waits for %v", w)
		}
	}
	for range 1000 {
		waited(time.Second, true)
	}
	if share := fits.Seconds() / now.Sub(began).Seconds(); share < 0.74 || share > 0.76 {
		t.Errorf("fits have %.3f of the time, want three quarters", share)
	}
	if w := waited(time.Minute, false); w > 0 {
		t.Errorf("with nothing else to do a label waits for %v", w)
	}
	now = now.Add(time.Hour)
	if w := waited(14*time.Second, true); w > 0 {
		t.Errorf("after an hour of nothing a label waits for %v", w)
	}
}
