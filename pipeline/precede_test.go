package pipeline

import (
	"testing"
	"time"

	"archflow/internal/kafka"
	"archflow/schemas"
)

// TestLabelsFollowTheirCandidates: labels are taken after the candidates that were published
// before them, and without them only where the trainer is far behind.
func TestLabelsFollowTheirCandidates(t *testing.T) {
	p, err := Open(t.Context(), settings(t), telemetry(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.counts.candidates.Store(int64(p.Partitions[p.Topics.Architectures]))
	tr := &trainer{Connected: p.Connected, counts: &p.counts, positions: map[schemas.TopicPartition]int64{}}
	held := func(want bool, candidatesEnded bool) {
		t.Helper()
		select {
		case <-tr.release(candidatesEnded):
			if want {
				t.Error("labels overtake their candidates")
			}
		case <-time.After(precedeFor / 4):
			if !want {
				t.Error("labels wait for nothing")
			}
		}
	}
	hold := func() {
		t.Helper()
		tr.hold(t.Context(), &schemas.Batch{})
	}
	hold()
	held(false, false) // the topic is empty
	tr.takeHeld()

	writer := p.Writer(p.Topics.Architectures)
	send(t, writer, chain(1))
	send(t, writer, chain(2))
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	hold()
	held(true, false)
	held(false, true) // none will come any more
	for _, partition := range p.candidatePartitions() {
		if tr.positions[partition], err = kafka.End(t.Context(), p.Client, partition); err != nil {
			t.Fatal(err)
		}
	}
	held(false, false)
	tr.takeHeld()

	clear(tr.positions)
	hold()
	<-tr.release(false) // it has waited in vain
	tr.takeHeld()
	hold()
	held(false, false)
	if tr.takeHeld() == nil || tr.release(false) != nil {
		t.Error("the batch is taken twice, or not at all")
	}
}
