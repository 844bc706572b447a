package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
)

// TestEndToEndStops asks the pipeline to stop in the middle of a stream, and
// then kills it, again and again, while models change: every candidate is
// answered once in the topic and in the table, by the same model.
func TestEndToEndStops(t *testing.T) {
	onEach(t, func(t *testing.T, in *installation) {
		in.set("LABEL_GROWTH", "0.05")
		in.set("FIRST_LABELS", "8")
		in.ok("publish", "candidates", benchmark, "--limit", "300")
		in.ok("publish", "labels", benchmark, "--task", "accuracy", "--limit", "20", "--seed", "3")

		run := in.start("run")
		address := in.address
		if address == "" {
			address = in.embedded()
		}
		run.says("fitted micro/1: promoted")
		candidates := in.start("publish", "candidates", benchmark, "--rate", "600/s", "--limit", "2400")
		labels := in.start("publish", "labels", benchmark, "--task", "accuracy", "--limit", "60", "--seed", "4", "--rate", "15/s")
		for _, stop := range []struct {
			signal syscall.Signal
			at     int64
			status int
		}{
			{syscall.SIGTERM, 600, 0}, {syscall.SIGKILL, 1100, -1}, {syscall.SIGINT, 1700, 0},
		} {
			in.answersOf(address, stop.at)
			began := time.Now()
			run.signal(stop.signal)
			if status := run.wait(35 * time.Second); status != stop.status {
				t.Errorf("status %d after %s, want %d", status, stop.signal, stop.status)
			}
			t.Logf("%s: ended after %s", stop.signal, time.Since(began).Round(time.Millisecond))
			run = in.start("run")
			run.says("phase=running")
		}
		for _, publisher := range []*process{candidates, labels} {
			if status := publisher.wait(patience); status != 0 {
				t.Errorf("a publisher ended with status %d", status)
			}
		}
		run.signal(syscall.SIGTERM)
		if status := run.wait(35 * time.Second); status != 0 {
			t.Errorf("status %d at the end", status)
		}
		in.ok("run", "--exit-at-end")

		want := 2700
		if in.address == "" {
			want = 0 // a publisher may repeat messages that the broker did not acknowledge
		}
		models := map[string]int{}
		for _, a := range in.everyCandidate(want, "deltalake") {
			models[a.Model]++
		}
		t.Log("answers of each model: ", models)
		if len(models) < 2 {
			t.Errorf("answers of each model: %v, want some of two at least", models)
		}
	})
}

// TestEndToEndStopsAtOnce: a broker that hangs keeps the pipeline from
// finishing; the second signal ends it.
func TestEndToEndStopsAtOnce(t *testing.T) {
	server := kafkatest.Own(t)
	server.Start(t)
	in := install(t, server.Address)
	in.ok("publish", "candidates", benchmark, "--limit", "400")
	run := in.start("run")
	in.answersOf(server.Address, 400)
	feed := in.start("publish", "candidates", benchmark, "--rate", "500/s")
	in.answersOf(server.Address, 600)
	server.Signal(t, syscall.SIGSTOP)
	feed.kill()
	run.signal(syscall.SIGTERM)
	run.says("stopping")
	time.Sleep(300 * time.Millisecond) // long enough to end, if nothing hung
	select {
	case <-run.done:
		t.Fatalf("it ended with status %d although the broker hangs", run.status)
	default:
	}
	began := time.Now()
	run.signal(syscall.SIGTERM)
	status := run.wait(10 * time.Second)
	if took := time.Since(began); status != 1 || took > 2*time.Second || !strings.Contains(run.err.String(), "stopped at once") {
		t.Errorf("status %d after %s: %s", status, took, run.err.String())
	}
	server.Signal(t, syscall.SIGCONT)
	in.ok("run", "--exit-at-end")
	in.everyCandidate(0, "deltalake")
}
