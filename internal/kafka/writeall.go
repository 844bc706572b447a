package kafka

import (
	"context"
	"time"

	"github.com/segmentio/kafka-go"

	"archflow/schemas"
)

// Message is one to write. An empty key is none.
type Message struct {
	Key, Value []byte
	Headers    []schemas.Header
}

// WriteAll writes messages to a topic in one transaction of p: all of them or
// none. The key decides the partition, as for Writer. It returns the offsets after
// the last message of each partition; a partition is missing where the broker did
// not say. After an error the transaction may or may not be committed: open
// another producer of the same id, which waits for the answer, and read the topic.
func (p *Producer) WriteAll(ctx context.Context, to Output, messages []Message) (next map[schemas.TopicPartition]int64, err error) {
	numbers := make([]int, to.Partitions)
	for i := range numbers {
		numbers[i] = i
	}
	var balancer kafka.Murmur2Balancer
	now := time.Now().UnixMilli()
	batches := make([]RecordBatch, to.Partitions)
	flush := func(number int) error {
		at := schemas.TopicPartition{Topic: to.Topic, Number: int32(number)}
		if err := p.Enter(ctx, at); err != nil {
			return err
		}
		if err := p.Produce(ctx, at, &batches[number], to.Limit); err != nil {
			return err
		}
		batches[number].Reset()
		return nil
	}
	var headers []byte
	for _, m := range messages {
		number := balancer.Balance(kafka.Message{Key: m.Key}, numbers...)
		r := Record{Time: now, Key: m.Key, Value: m.Value, Headers: headers[:0], HeaderCount: len(m.Headers)}
		for _, h := range m.Headers {
			r.Headers = AppendHeader(r.Headers, []byte(h.Name), h.Value)
		}
		headers = r.Headers
		if b := &batches[number]; b.Count() > 0 && b.Size()+r.Size() > min(writerBytes, to.Limit) {
			if err := flush(number); err != nil {
				return nil, err
			}
		}
		batches[number].Append(&r)
	}
	next = map[schemas.TopicPartition]int64{}
	for number := range batches {
		if batches[number].Count() == 0 {
			continue
		}
		if err := flush(number); err != nil {
			return nil, err
		}
		at := schemas.TopicPartition{Topic: to.Topic, Number: int32(number)}
		if end, ok := p.written[at]; ok {
			next[at] = end
		}
	}
	return next, p.End(ctx, true)
}
