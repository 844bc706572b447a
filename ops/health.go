package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Phase is where a process is in its life.
type Phase string

// The phases, in their order.
const (
	Starting Phase = "starting"
	Running  Phase = "running" // ready when its checks pass
	Draining Phase = "draining"
	Stopped  Phase = "stopped"
)

// Health holds the checks of whether the process is alive and ready.
//
// Alive checks find faults that only a restart cures. Ready checks find faults that keep
// the process from doing its work now: nothing assigned, no model loaded, a sink that
// cannot be written.
type Health struct {
	mu     sync.Mutex
	phase  Phase
	since  time.Time
	ready  []check
	alive  []check
	notes  []note
	was    string // the readiness that was logged last
	log    *slog.Logger
	gauge  func(bool)
	system *systemd
}

type note struct {
	name string
	f    func() string
}

type check struct {
	name string
	f    func() error
}

// NewHealth returns the health of a starting process. When systemd runs it with
// Type=notify, it notifies systemd of each change; it sets metrics' ready gauge and logs
// changes of readiness.
func NewHealth(log *slog.Logger, m *Metrics) *Health {
	return &Health{phase: Starting, since: time.Now(), log: log, gauge: m.Ready, system: newSystemd()}
}

// Ready registers a check of readiness. f is called at every question, from any
// goroutine, and must return at once: keep the outcome of slow checks and return that.
// Its error names the fault and the cure.
func (h *Health) Ready(name string, f func() error) { h.register(&h.ready, name, f) }

// Note registers a line that /readyz shows beside its checks, such as a long piece of
// work; f returns "" for none.
func (h *Health) Note(name string, f func() string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes = append(h.notes, note{name, f})
}

// Alive registers a check of life under the same terms.
func (h *Health) Alive(name string, f func() error) { h.register(&h.alive, name, f) }

func (h *Health) register(list *[]check, name string, f func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*list = append(*list, check{name, f})
}

// Enter moves to a phase and notifies systemd. A phase is never left backwards.
func (h *Health) Enter(p Phase) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if order(p) <= order(h.phase) {
		return
	}
	h.phase, h.since = p, time.Now()
	h.log.Info("phase", "phase", string(p))
	switch p {
	case Running:
		h.notify("READY=1")
	case Draining:
		h.gauge(false)
		h.notify("STOPPING=1")
	}
}

func (h *Health) notify(state string) {
	if err := h.system.notify(state); err != nil {
		h.log.Warn("systemd could not be told", "state", state, "error", err)
	}
}

func order(p Phase) int {
	for i, q := range []Phase{Starting, Running, Draining, Stopped} {
		if p == q {
			return i
		}
	}
	return -1
}

// Report is the answer of /livez and /readyz.
type Report struct {
	OK      bool              `json:"ok"`
	Phase   Phase             `json:"phase"`
	Seconds float64           `json:"seconds"`         // in this phase
	Checks  map[string]string `json:"checks"`          // ok or the reason
	Notes   map[string]string `json:"notes,omitempty"` // what the process is doing; no reason against readiness
	order   []string
}

// Text is the report for people: a line for each check.
func (r Report) Text() string {
	text := fmt.Sprintf("%s for %s\n", r.Phase, (time.Duration(r.Seconds * float64(time.Second))).Round(time.Second))
	for _, name := range r.order {
		text += name + ": " + r.Checks[name] + "\n"
	}
	for _, name := range slices.Sorted(maps.Keys(r.Notes)) {
		text += name + ": " + r.Notes[name] + "\n"
	}
	return text
}

// Life answers /livez: in every phase, all alive checks must pass.
func (h *Health) Life() Report {
	h.mu.Lock()
	checks, r := h.alive, h.report()
	h.mu.Unlock()
	r.OK = true
	r.run(checks)
	return r
}

// Readiness answers /readyz: running, and all ready checks pass.
func (h *Health) Readiness() Report {
	h.mu.Lock()
	checks, notes, r := h.ready, h.notes, h.report()
	h.mu.Unlock()
	for _, n := range notes {
		if text := n.f(); text != "" {
			if r.Notes == nil {
				r.Notes = map[string]string{}
			}
			r.Notes[n.name] = text
		}
	}
	r.OK = r.Phase == Running
	r.run(checks)
	h.gauge(r.OK)
	return r
}

func (h *Health) report() Report {
	return Report{Phase: h.phase, Seconds: time.Since(h.since).Seconds(), Checks: map[string]string{}}
}

func (r *Report) run(checks []check) {
	for _, c := range checks {
		r.order = append(r.order, c.name)
		r.Checks[c.name] = "ok"
		if err := c.f(); err != nil {
			r.OK = false
			r.Checks[c.name] = err.Error()
		}
	}
}

// Watch asks for readiness and life every interval until ctx ends: it keeps the
// ready gauge true, logs when readiness changes, and feeds systemd's watchdog
// while the process is alive.
func (h *Health) Watch(ctx context.Context, every time.Duration) {
	if w := h.system.watchdog / 3; w > 0 && w < every {
		every = w
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		h.look()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (h *Health) look() {
	ready, life := h.Readiness(), h.Life()
	h.mu.Lock()
	defer h.mu.Unlock()
	now := "ready"
	if err := ready.failed(); err != nil {
		now = err.Error()
	}
	if now != h.was && ready.Phase == Running {
		h.was = now
		if ready.OK {
			h.log.Info("ready")
		} else {
			h.log.Warn("not ready", "why", now)
		}
	}
	if err := life.failed(); err != nil {
		h.log.Error("not alive", "why", err)
		return
	}
	if h.system.watchdog > 0 {
		h.notify("WATCHDOG=1")
	}
}

// withoutReasons returns the report without the checks' errors.
func (r Report) withoutReasons() Report {
	checks := map[string]string{}
	for name, said := range r.Checks {
		if said != "ok" {
			said = "not ok; the reason is told to who has the token"
		}
		checks[name] = said
	}
	r.Checks = checks
	notes := map[string]string{}
	for name := range r.Notes {
		notes[name] = "what is to be said of it is told to who has the token"
	}
	r.Notes = notes
	return r
}

// failed joins the reasons; nil when all is well.
func (r Report) failed() error {
	var all error
	for _, name := range r.order {
		if r.Checks[name] != "ok" {
			all = errors.Join(all, fmt.Errorf("%s: %s", name, r.Checks[name]))
		}
	}
	return all
}
