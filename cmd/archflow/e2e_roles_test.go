package main

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"archflow/internal/kafka/kafkatest"
)

// TestEndToEndRoles: two workers share the candidates and a trainer teaches
// both through topics and store alone. The trainer is killed; another goes on
// where it was.
func TestEndToEndRoles(t *testing.T) {
	in := install(t, kafkatest.Real(t))
	in.set("FIRST_LABELS", "8")
	in.ok("publish", "candidates", benchmark, "--limit", "600")
	workers := []*process{in.start("run", "--role", "worker"), in.start("run", "--role", "worker")}
	trainer := in.start("run", "--role", "trainer")
	in.ok("publish", "labels", benchmark, "--task", "accuracy", "--limit", "20", "--seed", "3")
	trainer.says("fitted micro/1: promoted")
	standby := in.start("run", "--role", "trainer")
	in.answersOf(in.address, 600)
	in.ok("publish", "candidates", benchmark, "--limit", "600")
	in.answersOf(in.address, 1200)

	trainer.kill()
	in.ok("publish", "labels", benchmark, "--task", "accuracy", "--limit", "60", "--seed", "4")
	standby.says("training goes on from a checkpoint")
	standby.says(": promoted")
	until(t, "the standby's models are used", func() bool {
		in.ok("publish", "candidates", benchmark, "--limit", "40")
		return strings.Contains(in.ok("read", "predictions", "--json", "--from", "5s", "--exit-at-end"), `"model":"micro/`+newest(t, standby))
	})
	for _, p := range append(workers, standby) {
		p.signal(syscall.SIGTERM)
	}
	for _, p := range append(workers, standby) {
		if status := p.wait(patience); status != 0 {
			t.Errorf("status %d", status)
		}
	}
	in.ok("run", "--exit-at-end")
	in.everyCandidate(0, "deltalake")
}

// published are the lines with which a trainer reports a new model.
var published = regexp.MustCompile(`micro/(\d+): (?:promoted|a student)`)

// newest returns the number of the model that a trainer published last.
func newest(t *testing.T, trainer *process) string {
	t.Helper()
	all := published.FindAllStringSubmatch(trainer.err.String(), -1)
	return all[len(all)-1][1] + `"`
}
