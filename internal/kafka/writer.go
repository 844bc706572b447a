package kafka

import (
	"context"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"golang.org/x/sync/errgroup"

	"archflow/schemas"
)

const (
	writerMessages = 2000    // that wait for Flush at most
	writerBytes    = 900_000 // of a record batch before compression, unless one message is larger
)

// Writer publishes messages to a topic at least once, acknowledged by all
// replicas in sync. The key decides the partition as Kafka's own clients do;
// messages without one are spread. One goroutine uses it.
//
// Messages are encoded as they come, into memory that is kept: who flushes a
// few messages at a time leaves next to nothing to the garbage collector.
type Writer struct {
	client     *kafka.Client
	topic      string
	to         Output // as it was when the first message came
	balancer   kafka.Murmur2Balancer
	numbers    []int // of the partitions
	partitions []partitionQueue
	pending    int
	headers    []byte
}

// partitionQueue holds the messages that wait for one partition.
type partitionQueue struct {
	producer *Producer
	batch    RecordBatch
}

// OpenWriter returns a writer to a topic, which must exist when the first
// message is written.
func OpenWriter(client *kafka.Client, topic string) *Writer {
	return &Writer{client: client, topic: topic}
}

func (w *Writer) open(ctx context.Context) (err error) {
	if w.to, err = OpenOutput(ctx, w.client, w.topic); err != nil {
		return err
	}
	partitions := make([]partitionQueue, w.to.Partitions)
	numbers := make([]int, len(partitions))
	for i := range partitions {
		numbers[i] = i
		if partitions[i].producer, err = OpenProducer(ctx, w.client, "", 0, compress.Lz4); err != nil {
			return err
		}
	}
	w.partitions, w.numbers = partitions, numbers
	return nil
}

// Write copies a message; it is sent with many others or by Flush. An empty key
// is none.
func (w *Writer) Write(ctx context.Context, key, value []byte, headers []schemas.Header) error {
	if w.partitions == nil {
		if err := w.open(ctx); err != nil {
			return err
		}
	}
	if len(key) == 0 {
		key = nil
	}
	r := Record{Time: time.Now().UnixMilli(), Key: key, Value: value, Headers: w.headers[:0], HeaderCount: len(headers)}
	for _, h := range headers {
		r.Headers = AppendHeader(r.Headers, []byte(h.Name), h.Value)
	}
	w.headers = r.Headers
	batch := &w.partitions[w.balancer.Balance(kafka.Message{Key: key}, w.numbers...)].batch
	if w.pending == writerMessages || batch.count > 0 && batch.Size()+r.Size() > min(writerBytes, w.to.Limit) {
		if err := w.Flush(ctx); err != nil {
			return err
		}
	}
	batch.Append(&r)
	w.pending++
	return nil
}

// Flush returns when everything written is acknowledged. After an error, messages with
// an unknown result are given up.
func (w *Writer) Flush(ctx context.Context) error {
	if w.pending == 0 {
		return nil
	}
	all, sending := errgroup.WithContext(ctx)
	all.SetLimit(16)
	for i := range w.partitions {
		l := &w.partitions[i]
		if l.batch.count == 0 {
			continue
		}
		all.Go(func() error {
			defer l.batch.Reset()
			return l.producer.Produce(sending, schemas.TopicPartition{Topic: w.topic, Number: int32(i)}, &l.batch, w.to.Limit)
		})
	}
	w.pending = 0
	return all.Wait()
}

// Close flushes.
func (w *Writer) Close(ctx context.Context) error { return w.Flush(ctx) }
