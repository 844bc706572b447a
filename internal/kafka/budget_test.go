package kafka

import (
	"bytes"
	"context"
	"testing"

	"github.com/segmentio/kafka-go/compress"

	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
)

// waits is how many wait for a budget.
func (b *Budget) waits() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

// TestBudget: a claim that fits is granted at once, others wait their turn, and one
// larger than the whole waits until nothing is held.
func TestBudget(t *testing.T) {
	b := NewBudget(100)
	if err := b.Acquire(t.Context(), 60); err != nil {
		t.Fatal(err)
	}
	order := make(chan int, 2)
	ask := func(bytes int) {
		before := b.waits()
		go func() {
			if err := b.Acquire(t.Context(), bytes); err != nil {
				t.Error(err)
			}
			order <- bytes
		}()
		kafkatest.Eventually(t, "it waits", func() bool { return b.waits() == before+1 })
	}
	ask(1000)
	ask(10) // would fit, and does not overtake
	if b.TryAcquire(1) {
		t.Error("one overtakes those that wait")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Acquire(ended, 1); err == nil {
		t.Error("granted to one that no longer waits")
	}
	b.Release(60)
	if first := <-order; first != 1000 || b.Used() != 1000 {
		t.Errorf("%d is granted, %d used", first, b.Used())
	}
	b.Release(1000)
	if second := <-order; second != 10 || b.Used() != 10 {
		t.Errorf("%d is granted, %d used", second, b.Used())
	}
	b.Release(10)
	if b.Used() != 0 || b.waits() != 0 {
		t.Errorf("%d are used and %d wait", b.Used(), b.waits())
	}
}

// TestReadersShareABudget: batches that unpack to more than the budget are read one
// after the other, each once the one before is given back, and none is refused.
func TestReadersShareABudget(t *testing.T) {
	const partitions, large = 3, 20 << 20
	address := kafkatest.Fake(t)
	client := kafkatest.Client(t, address)
	kafkatest.Topics(t, client, partitions, "bombs")
	producer, err := OpenProducer(t.Context(), client, "", 0, compress.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	budget := NewBudget(large)
	var readers []*PartitionReader
	for n := range int32(partitions) {
		p := schemas.TopicPartition{Topic: "bombs", Number: n}
		for _, value := range [][]byte{[]byte("before"), bytes.Repeat([]byte("a"), large), []byte("after")} {
			var b RecordBatch
			b.Append(&Record{Value: value})
			if err := producer.Produce(t.Context(), p, &b, 1<<20); err != nil {
				t.Fatal(err)
			}
		}
		readers = append(readers, OpenPartition(client, p, 0, Limits{Budget: budget}))
	}
	type read struct{ messages, held int }
	results := make(chan read)
	for _, r := range readers {
		go func() {
			for next := int64(0); next < 3; {
				m, after, _, err := r.Fetch(t.Context())
				if err != nil && t.Context().Err() == nil && !Retriable(err) {
					t.Error(err)
					return
				}
				if next = after; m.Len() > 0 {
					results <- read{m.Len(), r.Held()}
				}
			}
		}()
	}
	messages, peak := 0, 0
	for messages < 3*partitions {
		got := <-results
		messages += got.messages
		peak = max(peak, budget.Used())
		budget.Release(got.held)
	}
	if peak >= 4*large {
		t.Errorf("%d bytes were held at once", peak)
	}
	kafkatest.Eventually(t, "everything is given back", func() bool { return budget.Used() == 0 })
}
