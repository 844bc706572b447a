package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"archflow/internal/progress"
	"archflow/pipeline"
)

// memory measures the resident memory of a worker of its own process, embedded
// broker included, that works through a backlog.
func (b *bench) memory(ctx context.Context) (*Figure, error) {
	if _, err := ResidentMemory(os.Getpid()); err != nil {
		return nil, skipped(fmt.Sprintf("this system does not tell a process's resident memory: %v", err))
	}
	s, err := b.streamed(ctx)
	if err != nil {
		return nil, err
	}
	behind := *s
	behind.config.Data, behind.waits = filepath.Join(s.data, "behind"), 0
	n := int(b.Backlog * 1e6)
	b.status.Say(fmt.Sprintf("  %s candidates are published", progress.Thousands(int64(n))))
	kafka, err := pipeline.Dial(ctx, &behind.config, s.report.Log)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(behind.publish(ctx, kafka, n), kafka.Close()); err != nil {
		return nil, err
	}
	sizes, took, err := b.watchWorker(ctx, &behind.config)
	if err != nil {
		return nil, err
	}
	peak := quantile(sizes, 1)
	half := sizes[len(sizes)/2:]
	b.note("memory", "peak of a worker with the embedded broker in a process of its own, %s candidates behind at the start, done in %.0f s, %s/s; median of the second quarter of the time %.0f MB, of the last %.0f MB; the spread is of the second half",
		progress.Thousands(int64(n)), took.Seconds(), progress.Thousands(int64(float64(n)/took.Seconds())),
		median(sizes[len(sizes)/4:len(sizes)/2+1]), median(sizes[3*len(sizes)/4:]))
	f := rates("MB", []float64{peak}, "", nil)
	f.Spread = rounded(quantile(half, 1) - quantile(half, 0))
	return f, nil
}

// watchWorker runs this program as a worker until its topic ends, and returns
// its resident memory in MB, looked at ten times a second.
func (b *bench) watchWorker(ctx context.Context, c *pipeline.Config) (sizes []float64, took time.Duration, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	var said bytes.Buffer
	worker := exec.CommandContext(ctx, self, "run", "--exit-at-end", "--role", "worker", "--http", "off",
		"--data", c.Data, "--store", c.Store, "--table", filepath.Join(c.Data, "tables"), "--group", "memory",
		"--topic-prefix", c.TopicPrefix, "--partitions", strconv.Itoa(c.Partitions), "--delivery", c.Delivery)
	worker.Stderr, worker.WaitDelay = &said, time.Second
	began := time.Now()
	if err := worker.Start(); err != nil {
		return nil, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- worker.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return nil, 0, fmt.Errorf("the worker: %w: %s", err, strings.TrimSpace(said.String()))
			}
			if len(sizes) == 0 {
				return nil, 0, errors.New("the worker was done before its memory could be looked at; raise --backlog")
			}
			return sizes, time.Since(began), nil
		case <-tick.C:
			if size, err := ResidentMemory(worker.Process.Pid); err == nil && size > 0 {
				sizes = append(sizes, size)
				b.status.Show(fmt.Sprintf("  %.0f MB", size))
			}
		}
	}
}

// ResidentMemory returns a process's resident memory in MB, as Linux reports it.
func ResidentMemory(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kb / 1000, err
		}
	}
	return 0, nil
}
