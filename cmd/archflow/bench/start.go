package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// start measures how long `run` takes from its first moment to /readyz on an empty
// folder, and how long `version` takes.
func (b *bench) start(ctx context.Context) (*Figure, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	v, err := b.turns(ctx,
		func(ctx context.Context) (float64, error) { return untilReady(ctx, self) },
		func(ctx context.Context) (float64, error) {
			began := time.Now()
			err := exec.CommandContext(ctx, self, "version").Run()
			return time.Since(began).Seconds(), err
		})
	if err != nil {
		return nil, err
	}
	b.note("start", "all roles and the broker inside, from the start of the process to /readyz; version takes %.3f s", median(v[1]))
	return rates("s", v[0], "", nil), nil
}

// untilReady starts a process in an empty folder and returns the seconds until it
// is ready.
func untilReady(ctx context.Context, self string) (seconds float64, err error) {
	folder, err := os.MkdirTemp("", "archflow-start-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address := free.Addr().String()
	free.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var said bytes.Buffer
	process := exec.CommandContext(ctx, self, "run", "--data", filepath.Join(folder, "data"), "--http", address)
	process.Stderr, process.WaitDelay = &said, 5*time.Second
	process.Cancel = func() error { return process.Process.Signal(os.Interrupt) }
	began := time.Now()
	if err := process.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go func() { _ = process.Wait(); close(ended) }() // it is interrupted below
	defer func() { cancel(); <-ended }()
	for {
		if reply, err := http.Get("http://" + address + "/readyz"); err == nil { //nolint:noctx // it answers at once or not at all
			reply.Body.Close()
			if reply.StatusCode == http.StatusOK {
				return time.Since(began).Seconds(), nil
			}
		}
		select {
		case <-ended:
			return 0, fmt.Errorf("the process ended: %s", strings.TrimSpace(said.String()))
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), fmt.Errorf("not ready: %s", strings.TrimSpace(said.String())))
		case <-time.After(2 * time.Millisecond):
		}
	}
}
