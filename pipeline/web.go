package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"

	"archflow/ops"
)

// web is the HTTP server of a process, if it has one.
type web struct {
	server  *ops.Server // nil when HTTP is off
	served  chan error  // the error with which the server ended
	unserve sync.Once
}

// serve starts the HTTP server unless it is off. It answers from the start, so
// that a process that waits for its broker can say so.
func (w *web) serve(c *Config, report *ops.Telemetry, health *ops.Health) error {
	if c.HTTP == "off" {
		return nil
	}
	server, err := ops.Listen(ops.ServerOptions{
		Address: c.HTTP, Hosts: c.HTTPHost, Token: c.HTTPToken, Pprof: c.Pprof,
		Scrape: report.Scrape(), Health: health, Taps: report.Taps, Log: report.Log,
	})
	if err != nil {
		return err
	}
	report.Log.Info("live page", "url", "http://"+server.Address()+"/")
	w.server, w.served = server, make(chan error, 1)
	go func() {
		w.served <- server.Serve()
		close(w.served)
	}()
	return nil
}

// stopServing ends the HTTP server, if it runs.
func (w *web) stopServing(ctx context.Context) error {
	if w.server == nil {
		return nil
	}
	var err error
	w.unserve.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		err = errors.Join(w.server.Shutdown(ctx), <-w.served)
	})
	return err
}

// show publishes the state to the live page twice a second.
func (w *web) show(ctx context.Context, state func() ops.State) {
	if w.server == nil {
		return
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		w.server.Publish(state())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
