package main

import (
	"strings"
	"testing"

	"archflow/cmd/archflow/console"
)

// TestEndToEndEncoder: what one encoder has learnt is taken over by another.
// The model of before answers until one of the new encoder comes, and two
// encoders at once are refused.
func TestEndToEndEncoder(t *testing.T) {
	in := install(t, "")
	in.set("BUFFER", "200")
	in.set("EPOCHS", "2")
	run := func(args ...string) string {
		p := in.start(append([]string{"run", "--exit-at-end"}, args...)...)
		if status := p.wait(2 * patience); status != 0 {
			t.Fatalf("%v: status %d: %s", args, status, p.err.String())
		}
		return p.err.String()
	}
	in.ok("publish", "candidates", benchmark, "--limit", "200")
	in.ok("publish", "labels", benchmark, "--task", "accuracy", "--limit", "20", "--seed", "5")
	if said := run("--encoder", "gin", "--width", "16"); !strings.Contains(said, ": promoted") || strings.Contains(said, "encoder is another") {
		t.Errorf("the first encoder: %s", said)
	}
	in.ok("publish", "candidates", benchmark, "--limit", "200")
	in.ok("publish", "labels", benchmark, "--task", "accuracy", "--limit", "32", "--seed", "6")
	said := run("--encoder", "mlp", "--width", "24")
	if !strings.Contains(said, "encoder is another") || !strings.Contains(said, "gin of width 16 with ") || !strings.Contains(said, "fitted micro/") {
		t.Errorf("the second encoder: %s", said)
	}
	if said := run("--encoder", "mlp", "--width", "24"); strings.Contains(said, "encoder is another") {
		t.Errorf("the second encoder again: %s", said)
	}
	if answers := in.everyCandidate(400, "deltalake"); len(answers) != 400 {
		t.Errorf("%d answers", len(answers))
	}
	p := in.start("run", "--encoder", "gin,mlp")
	if status := p.wait(2 * patience); status != console.ExitRefused || !strings.Contains(p.err.String(), "learns with one") {
		t.Errorf("two encoders: status %d: %s", status, p.err.String())
	}
}
