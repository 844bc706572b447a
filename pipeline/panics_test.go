package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"archflow/encoders/learner"
	"archflow/internal/kafka"
	"archflow/ops"
	"archflow/pipeline/decisions"
	"archflow/schemas"
	"archflow/stages"
)

// TestPanicInAFit: pieces of training panic now and then, fits, students and
// pre-training. The process goes on, the error names space, task and labels, the fit is
// decided as one that gave no model, and the trainer's final state follows from its
// journal, in which no panic happens.
func TestPanicInAFit(t *testing.T) {
	config := learning(t)
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, config)
		defer w.close()
		var log bytes.Buffer
		w.report.Log = slog.New(slog.NewTextHandler(&log, nil))
		w.keep = journalFolder
		published, publishedAll := context.WithCancel(t.Context())
		go func() {
			defer publishedAll()
			w.teach(7, 8)
		}()
		calls, panics, fits := 0, 0, 0
		_, err := w.live(t.Context(), crash{}, func(p *Process, stop context.Context) error {
			over, cancel := context.WithCancel(stop)
			defer cancel()
			context.AfterFunc(published, func() { time.AfterFunc(2*time.Second, cancel) })
			p.tune = func(c *learner.Config) {
				pace := c.Pace
				c.Pace = func() int {
					if calls++; calls%17 == 0 && panics < 5 {
						panic("a fault in a fit")
					}
					return pace()
				}
			}
			for {
				err := p.learn(over, kafka.Assignment{Member: kafka.Member{Group: "g-trainer", Generation: -1}, Partitions: []schemas.TopicPartition{{Topic: p.Topics.Labels}}})
				var fault *stages.WorkPanic
				if !errors.As(err, &fault) {
					return err
				}
				panics++
				if !strings.Contains(err.Error(), "training space dag, tasks acc (") || !strings.Contains(err.Error(), "labels): a fault of archflow: a fault in a fit") {
					t.Errorf("it says: %v", err)
				}
				if !p.panicked("g-trainer", err) || panics > 200 {
					return fmt.Errorf("no session after %d panics: %w", panics, err)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		m := w.committed(w.topics.Models, 0)
		promoted := false
		for i := range m.Len() {
			value := string(m.Value.At(i))
			if strings.Contains(value, "a fault of archflow ended the fit") && (strings.Contains(value, `"`+decisions.Kept+`"`) || strings.Contains(value, `"`+decisions.Waiting+`"`)) {
				fits++
			}
			promoted = promoted || strings.Contains(value, `"`+decisions.Promoted+`"`)
		}
		if panics < 5 || fits == 0 || !promoted || !strings.Contains(log.String(), "training has panicked") {
			t.Errorf("%d panics, %d decisions about them, promoted %v", panics, fits, promoted)
		}
		t.Logf("%d panics in %d calls, %d decisions about them", panics, calls, fits)
		w.sameAsReplayed(t, &trained{})
	})
}

// TestPanicsOfGoroutines: a panic in any goroutine of a session ends the session with an
// error that names it, and one beside the sessions is logged and begins again.
func TestPanicsOfGoroutines(t *testing.T) {
	p := &Process{report: &ops.Telemetry{Log: slog.New(slog.DiscardHandler)}}
	f := newFlow(t.Context(), quiet(t))
	f.source(func(context.Context, func(*schemas.Batch) error) error { panic("out of order") }).end(func(*schemas.Batch) {})
	err := f.wait()
	if err == nil || err.Error() != "source: a fault of archflow: out of order; report it" {
		t.Errorf("it says: %v", err)
	}
	for range maxPanics {
		if !p.panicked("g", err) {
			t.Fatal("no other session")
		}
	}
	if p.panicked("g", err) {
		t.Error("panics without end stop no process")
	}
	ctx, stop := context.WithCancel(t.Context())
	times := 0
	p.beside(ctx, "page", func(context.Context) {
		if times++; times == 3 {
			stop()
			return
		}
		panic("out of order")
	})
	if times != 3 {
		t.Errorf("it was begun %d times", times)
	}
}
