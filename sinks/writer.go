package sinks

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"archflow/schemas"
)

// writerBatch is how many messages a Writer sends at once.
const writerBatch = 2000

// Writer publishes messages to a topic, acknowledged by all replicas in sync.
// The key decides the partition as Kafka's own clients do; messages without one
// go round. One goroutine uses it.
type Writer struct {
	writer  *kafka.Writer
	pending []kafka.Message
}

// OpenWriter returns a writer to a topic, which must exist.
func OpenWriter(client *kafka.Client, topic string) *Writer {
	return &Writer{writer: &kafka.Writer{
		Addr: client.Addr, Topic: topic, Transport: client.Transport, Balancer: kafka.Murmur2Balancer{},
		RequiredAcks: kafka.RequireAll, BatchSize: writerBatch, BatchBytes: 900_000, BatchTimeout: 2 * time.Millisecond, Compression: kafka.Lz4,
	}}
}

// Write takes over key, value and headers; they are sent with the next full
// batch or Flush.
func (w *Writer) Write(ctx context.Context, key, value []byte, headers []schemas.Header) error {
	m := kafka.Message{Key: key, Value: value}
	for _, h := range headers {
		m.Headers = append(m.Headers, kafka.Header{Key: h.Name, Value: h.Value})
	}
	w.pending = append(w.pending, m)
	if len(w.pending) < writerBatch {
		return nil
	}
	return w.Flush(ctx)
}

// Flush returns when everything written is acknowledged.
func (w *Writer) Flush(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	err := w.writer.WriteMessages(ctx, w.pending...)
	w.pending = w.pending[:0]
	if err != nil {
		return fmt.Errorf("topic %s: %w", w.writer.Topic, err)
	}
	return nil
}

// Close flushes and gives the writer back.
func (w *Writer) Close(ctx context.Context) error {
	err := w.Flush(ctx)
	if closeErr := w.writer.Close(); err == nil {
		err = closeErr
	}
	return err
}
