package ops

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxTaps     = 8   // that are open at once
	maxTapRate  = 100 // records a second that one tap shows
	tapRate     = 10  // the same when nothing is asked for
	tapBacklog  = 64  // records that wait for a slow reader; more are dropped
	tapDeadline = 10 * time.Second
)

// Taps let people watch records pass in a running process. A tap shows a sample with a
// bounded number of records a second and never holds a stage up: it drops records for
// which its reader is too slow. While nobody watches, a batch costs one atomic load.
type Taps struct {
	open   atomic.Int32
	stages func() []string

	mu   sync.RWMutex
	taps []*tap
}

// tap is one reader.
type tap struct {
	stage string
	lines chan []byte

	mu     sync.Mutex
	rate   float64
	budget float64 // records that may be shown now
	filled time.Time
}

// Pass offers the n records of a batch that a stage has finished to those who
// watch it. line returns record i as JSON; it is called for those that are
// shown, before Pass returns.
func (t *Taps) Pass(stage string, n int, line func(i int) []byte) {
	if t.open.Load() == 0 || n == 0 {
		return
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, one := range t.taps {
		if one.stage != stage {
			continue
		}
		shown := one.allow(n, time.Now())
		for k := range shown {
			select {
			case one.lines <- line(k * n / shown):
			default:
			}
		}
	}
}

// allow takes from the budget, which fills with time to one second's worth.
func (t *tap) allow(n int, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.budget = min(t.budget+t.rate*now.Sub(t.filled).Seconds(), max(t.rate, 1))
	t.filled = now
	shown := min(n, int(t.budget))
	t.budget -= float64(shown)
	return shown
}

// add opens a tap; nil when there are too many.
func (t *Taps) add(stage string, rate float64) *tap {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.taps) == maxTaps {
		return nil
	}
	one := &tap{stage: stage, lines: make(chan []byte, tapBacklog), rate: rate, budget: 1, filled: time.Now()}
	t.taps = append(t.taps, one)
	t.open.Add(1)
	return one
}

func (t *Taps) remove(one *tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taps = slices.DeleteFunc(t.taps, func(other *tap) bool { return other == one })
	t.open.Add(-1)
}

// serveTap streams a sample of the records that leave a stage, a JSON object a
// line, until the client or the server goes.
func (s *Server) serveTap(w http.ResponseWriter, r *http.Request) {
	rate := float64(tapRate)
	if text := r.URL.Query().Get("rate"); text != "" {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !(v > 0) || v > maxTapRate {
			http.Error(w, fmt.Sprintf("rate %q: want records a second, more than 0 and at most %d", text, maxTapRate), http.StatusBadRequest)
			return
		}
		rate = v
	}
	stage, names := r.URL.Query().Get("stage"), s.taps.stages()
	if !slices.Contains(names, stage) {
		known, err := json.Marshal(names)
		if err != nil {
			known = []byte(strings.Join(names, ", "))
		}
		http.Error(w, fmt.Sprintf("stage %q: this process has %s", stage, known), http.StatusNotFound)
		return
	}
	one := s.taps.add(stage, rate)
	if one == nil {
		http.Error(w, fmt.Sprintf("%d taps are open already: close one", maxTaps), http.StatusServiceUnavailable)
		return
	}
	defer s.taps.remove(one)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	for line := []byte(nil); ; {
		if control.SetWriteDeadline(time.Now().Add(tapDeadline)) != nil {
			return
		}
		if line != nil {
			if _, err := w.Write(append(line, '\n')); err != nil {
				return
			}
		}
		if control.Flush() != nil {
			return
		}
		select {
		case line = <-one.lines:
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}
