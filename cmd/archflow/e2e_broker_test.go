package main

import (
	"syscall"
	"testing"

	"archflow/internal/kafka/kafkatest"
)

// TestEndToEndBrokerMoves: the embedded broker runs in the process that was
// first, here a publisher. When that goes, in peace or killed, the pipeline
// runs it on and nothing is lost or doubled.
func TestEndToEndBrokerMoves(t *testing.T) {
	for _, end := range []struct {
		name string
		kill bool
	}{{"ended", false}, {"killed", true}} {
		t.Run(end.name, func(t *testing.T) {
			in := install(t, "")
			publisher := in.start("publish", "candidates", benchmark, "--rate", "800/s", "--limit", "1600")
			address := in.embedded()
			run := in.start("run")
			in.answersOf(address, 500)
			if end.kill {
				publisher.kill()
			} else if status := publisher.wait(patience); status != 0 {
				t.Errorf("the publisher ended with status %d", status)
			}
			run.says("this one runs it on")
			before := in.position(address)
			in.ok("publish", "candidates", benchmark, "--limit", "400")
			in.answersOf(address, before+400)
			run.signal(syscall.SIGTERM)
			if status := run.wait(patience); status != 0 {
				t.Errorf("status %d", status)
			}
			in.ok("run", "--exit-at-end")
			in.everyCandidate(0, "deltalake")
		})
	}
}

// TestEndToEndBrokerAway: there is no broker yet; then there is; then it is
// killed and comes back. The pipeline waits and goes on.
func TestEndToEndBrokerAway(t *testing.T) {
	server := kafkatest.Own(t)
	in := install(t, server.Address)
	run := in.start("run")
	run.says("is Kafka running there")
	server.Start(t)
	in.ok("publish", "candidates", benchmark, "--limit", "500")
	in.answersOf(server.Address, 500)

	publisher := in.start("publish", "candidates", benchmark, "--rate", "500/s", "--limit", "2000")
	in.answersOf(server.Address, 1000)
	server.Kill()
	run.says("cannot hear of new models")
	server.Start(t)
	if status := publisher.wait(patience); status != 0 {
		t.Logf("the publisher gave up: %s", lastLines(publisher.err.String(), 3))
	}
	in.ok("publish", "candidates", benchmark, "--limit", "300")
	in.answersOf(server.Address, int64(len(in.published())))
	run.signal(syscall.SIGTERM)
	if status := run.wait(patience); status != 0 {
		t.Errorf("status %d", status)
	}
	in.everyCandidate(0, "deltalake")
}
