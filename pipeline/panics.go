package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"archflow/internal/kafka"
	"archflow/stages"
)

// A panic is a fault of archflow, and stops as little as it can. A panic of a stage at a
// message ends the session, and the message becomes a dead letter if it comes again (see
// suspects). A panic in training ends the fit (see trainer.giveUp). Any other panic ends
// the session, or the current round of a goroutine beside the sessions.

// goPanic is a panic for which no message and no fit can be blamed, as an error.
type goPanic struct {
	name  string
	value any
	stack []byte
}

// Error names the place.
func (e *goPanic) Error() string {
	return fmt.Sprintf("%s: a fault of archflow: %v; report it", e.name, e.value)
}

// caught runs work and returns a panic of it as a *goPanic.
func caught(name string, work func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &goPanic{name, value, debug.Stack()}
		}
	}()
	return work()
}

// maxPanics bounds the sessions of a process that end with a panic for which no message
// or fit is responsible. After more the process ends: its memory may be corrupt.
const maxPanics = 100

// panicked reports whether a session ended with a panic after which the next can go on,
// and writes it to the log.
func (p *Process) panicked(group string, err error) bool {
	var message *stagePanic
	var work *stages.WorkPanic
	var other *goPanic
	switch {
	case errors.As(err, &message) && p.suspects[group].note(message):
		p.report.Log.Error("a stage has panicked; its messages are taken one by one, and the one at fault becomes a dead letter",
			"topic", message.Topic, "partition", message.Number, "first", message.first, "last", message.next-1, "panic", message.value, "stack", string(message.stack))
	case errors.As(err, &work):
		p.report.Log.Error("training has panicked; what it was doing is given up, and the models that answer go on: report it",
			"space", work.Space, "tasks", work.Tasks, "panic", work.Value, "stack", string(work.Stack))
	case errors.As(err, &other) && p.panics.Add(1) <= maxPanics:
		p.report.Log.Error("a session has panicked; the next begins from the last commit: report it", "group", group, "in", other.name, "panic", other.value, "stack", string(other.stack))
	default:
		return false
	}
	return true
}

// beside runs work that goes on beside the sessions until ctx ends, and again when it
// panics.
func (p *Process) beside(ctx context.Context, name string, work func(context.Context)) {
	for pause := kafka.NewBackoff(); ; {
		err := caught(name, func() error { work(ctx); return nil })
		var fault *goPanic
		if !errors.As(err, &fault) || ctx.Err() != nil {
			return
		}
		p.report.Log.Error("archflow has panicked beside its sessions, which go on: report it", "in", name, "panic", fault.value, "stack", string(fault.stack))
		if pause.Wait(ctx) != nil {
			return
		}
	}
}
