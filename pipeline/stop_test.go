package pipeline

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"archflow/ops"
)

// watchedLog calls look when a line says that the process drains.
type watchedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
	look func()
}

func (w *watchedLog) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if bytes.Contains(line, []byte("phase=draining")) && w.look != nil {
		w.look()
	}
	return w.text.Write(line)
}

// TestStopLogsNoFault: a process that is asked to stop drains before it lets go of
// its memberships, and no line of its log takes the end for a fault.
func TestStopLogsNoFault(t *testing.T) {
	log := &watchedLog{}
	report, err := ops.Start(t.Context(), ops.Options{LogOutput: log})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = report.Shutdown(context.WithoutCancel(t.Context())) }()
	p, err := Open(t.Context(), settings(t), report, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	// Whoever asks as soon as the process drains finds it still assigned, for as
	// long as that takes to be let go without waiting.
	var early error
	log.look = func() {
		for until := time.Now().Add(300 * time.Millisecond); early == nil && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
			early = p.ready.assigned()
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	await(t, func() string {
		if err := p.ready.assigned(); err != nil {
			return err.Error()
		}
		return ""
	})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if early != nil {
		t.Errorf("while it began to drain: %v", early)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if _, end, _ := strings.Cut(log.text.String(), "phase=draining"); strings.Contains(end, "level=WARN") || strings.Contains(end, "level=ERROR") {
		t.Errorf("after it was asked to stop it said\n%s", end)
	}
}
