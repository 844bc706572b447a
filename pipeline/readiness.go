package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"archflow/ops"
)

const (
	probeEvery   = 5 * time.Second  // how often the broker is asked
	probeTimeout = 5 * time.Second  // how long it may take to answer
	writeEvery   = time.Minute      // how often the store and the table are written to while all is well
	troubleFades = 15 * time.Second // longer than kafka.MaxBackoff: a fault that persists recurs before this
	stallLimit   = time.Minute      // a stage with work and without a sign of life is dead after this
)

// readiness holds the last outcomes of the operations that this process depends on, for
// /readyz. The checks only read them; probe and the sessions set them.
type readiness struct {
	mu       sync.Mutex
	groups   map[string]bool  // that this process joins -> holds a membership now
	waiting  map[string]error // why a group cannot be joined
	trouble  map[string]trouble
	broker   error
	store    error
	table    error
	registry error
	written  time.Time // when the store and the table were tried last
}

// trouble is the fault that ended a session.
type trouble struct {
	err error
	at  time.Time
}

func newReadiness(groups ...string) *readiness {
	r := &readiness{groups: map[string]bool{}, waiting: map[string]error{}, trouble: map[string]trouble{}}
	for _, g := range groups {
		r.groups[g] = false
	}
	return r
}

// register makes the checks part of h.
func (r *readiness) register(h *ops.Health, m *ops.Metrics) {
	h.Alive("stages", func() error { return m.Stalled(stallLimit) })
	h.Ready("assigned", r.assigned)
	h.Ready("registry", func() error { return r.look(&r.registry) })
	h.Ready("sinks", r.sinks)
	h.Ready("broker", func() error { return r.look(&r.broker) })
}

func (r *readiness) look(outcome *error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *outcome
}

func (r *readiness) note(outcome *error, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*outcome = err
}

// member notes whether this process is a member of a group's current generation. A
// member without partitions stands by and is ready.
func (r *readiness) member(group string, holds bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groups[group] = holds
	delete(r.waiting, group)
}

// waits notes why a group cannot be joined now.
func (r *readiness) waits(group string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[group] = err
}

func (r *readiness) assigned() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, group := range slices.Sorted(maps.Keys(r.groups)) {
		if err := r.waiting[group]; err != nil && !r.groups[group] {
			return err
		}
		if !r.groups[group] {
			return fmt.Errorf("waiting to be given partitions by the group %s; if it lasts, look whether the broker answers and a member hangs: kafka-consumer-groups.sh --describe --group %s", group, group)
		}
	}
	return nil
}

// failed notes the fault that ended a session of a group.
func (r *readiness) failed(group string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble[group] = trouble{err, time.Now()}
}

func (r *readiness) sinks() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []error
	for _, group := range slices.Sorted(maps.Keys(r.trouble)) {
		all = append(all, r.trouble[group].err)
	}
	return errors.Join(append(all, r.store, r.table)...)
}
