package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"archflow/schemas"
)

// Producer writes record batches to Kafka. With a transactional id it writes
// in transactions and every batch is kept once, however often it is sent; the
// broker fences off earlier producers of the same id. Without one it writes at
// least once. One goroutine uses a producer.
type Producer struct {
	client      *kafka.Client
	id          string // transactional id, empty without
	timeout     time.Duration
	compression compress.Compression

	producer int64
	epoch    int16
	sequence map[schemas.TopicPartition]int32
	written  map[schemas.TopicPartition]int64 // offset after the last batch
	inside   map[schemas.TopicPartition]bool  // partitions of the open transaction
	group    bool                             // the open transaction has the group's offsets
}

// OpenProducer returns a producer. With a transactional id it waits until the
// transaction that an earlier producer of that id left is committed or aborted;
// a transaction of ours that lasts longer than timeout is aborted by the broker.
func OpenProducer(ctx context.Context, client *kafka.Client, transactionalID string, timeout time.Duration, codec compress.Compression) (*Producer, error) {
	p := &Producer{client: client, id: transactionalID, timeout: timeout, compression: codec, producer: -1, epoch: -1, written: map[schemas.TopicPartition]int64{}}
	if p.id == "" {
		return p, nil
	}
	p.sequence, p.inside = map[schemas.TopicPartition]int32{}, map[schemas.TopicPartition]bool{}
	// Twice the patience: a broker under load takes its time to end the
	// transaction that the producer before left open.
	err := retry(ctx, 2*patience, func(ctx context.Context) error {
		r, err := roundTrip[*initproducerid.Response](ctx, client, &initproducerid.Request{
			TransactionalID: p.id, TransactionTimeoutMs: int32(timeout / time.Millisecond), ProducerID: -1, ProducerEpoch: -1,
		})
		if err != nil {
			return err
		}
		p.producer, p.epoch = r.ProducerID, r.ProducerEpoch
		return codeOf(r.ErrorCode)
	})
	if err != nil {
		return nil, p.explain("start a producer", err)
	}
	return p, nil
}

func roundTrip[R protocol.Message](ctx context.Context, client *kafka.Client, request kafka.Request) (R, error) {
	var none R
	m, err := client.Transport.RoundTrip(ctx, client.Addr, request)
	if err != nil {
		DropIdle(client, err)
		return none, err
	}
	r, ok := m.(R)
	if !ok {
		return none, fmt.Errorf("the broker answered %T with %T", request, m)
	}
	return r, nil
}

// DropIdle closes the idle connections of a client after a request that was not
// answered in time: where one is half-open others are, and each would cost the
// same time again.
func DropIdle(client *kafka.Client, err error) {
	var network net.Error
	late := errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
	if t, ok := client.Transport.(*kafka.Transport); ok && late {
		t.CloseIdleConnections()
	}
}

// explain wraps an error with the failed operation; errors of a replaced producer become
// ErrFenced.
func (p *Producer) explain(what string, err error) error {
	name := p.id
	if name == "" {
		name = "without transactions"
	}
	if fenced(err) {
		return fmt.Errorf("producer %s: %s: %w (%w)", name, what, ErrFenced, err)
	}
	return fmt.Errorf("producer %s: %s: %w", name, what, err)
}

// Produce sends the records of b to a partition, which must be in the transaction when
// there is one, and waits until all in-sync replicas have them. limit is the partition's
// largest batch.
func (p *Producer) Produce(ctx context.Context, to schemas.TopicPartition, b *RecordBatch, limit int) error {
	if b.count == 0 {
		return nil
	}
	id := noIdentity
	if p.id != "" {
		id = identity{p.producer, p.epoch, p.sequence[to]}
	}
	batch, err := b.encode(p.compression, id, p.id != "")
	if err == nil && len(batch)-4 > limit && p.compression != compress.None {
		batch, err = b.encode(compress.None, id, p.id != "") // it did not shrink
	}
	if err != nil {
		return err
	}
	if len(batch)-4 > limit {
		return &TooLargeError{to.Topic, to.Number, len(batch) - 4}
	}
	base, throttle := int64(-1), time.Duration(0)
	err = retry(ctx, patience, func(ctx context.Context) error {
		r, err := roundTrip[*produce.Response](ctx, p.client, &rawproduce.Request{
			TransactionalID: p.id, Acks: -1, Timeout: int32(attempt / time.Millisecond),
			Topics: []rawproduce.RequestTopic{{Topic: to.Topic, Partitions: []rawproduce.RequestPartition{{
				Partition: to.Number, RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(batch)},
			}}}},
		})
		if err != nil {
			return err
		}
		var codes []int16
		throttle = time.Duration(r.ThrottleTimeMs) * time.Millisecond
		for _, topic := range r.Topics {
			for _, result := range topic.Partitions {
				codes, base = append(codes, result.ErrorCode), result.BaseOffset
			}
		}
		err = partitionErrors(1, codes)
		if errors.Is(err, kafka.DuplicateSequenceNumber) {
			return nil // an attempt before this one was kept
		}
		return err
	})
	if errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge) {
		return &TooLargeError{to.Topic, to.Number, len(batch) - 4}
	}
	if errors.Is(err, kafka.InvalidTimestamp) {
		err = fmt.Errorf("%w; set the clocks of this machine and of the brokers by NTP, or raise message.timestamp.after.max.ms and message.timestamp.before.max.ms of the topic", err)
	}
	if err != nil {
		return p.explain(fmt.Sprintf("write %d messages to %s/%d", b.count, to.Topic, to.Number), explainAbsent(err, makeAnew))
	}
	if delete(p.written, to); base >= 0 {
		p.written[to] = base + int64(b.count)
	}
	if p.id != "" {
		p.sequence[to] = int32((int64(p.sequence[to]) + int64(b.count)) & (1<<31 - 1))
	}
	if throttle > 0 { // until then the broker reads nothing from this connection
		return sleep(ctx, throttle)
	}
	return nil
}
