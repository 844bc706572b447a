package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"

	"archflow/schemas"
)

// ReadOffsets returns the group's committed offsets of the partitions; one without a
// commit is absent. It waits for transactions that are about to commit offsets, so that
// its result will not be overtaken by one.
func ReadOffsets(ctx context.Context, client *kafka.Client, group string, of []schemas.TopicPartition) (map[schemas.TopicPartition]Position, error) {
	at := map[schemas.TopicPartition]Position{}
	if len(of) == 0 {
		return at, nil
	}
	err := retry(ctx, 2*patience, func(ctx context.Context) error {
		r, err := roundTrip[*stableOffsets](ctx, client, &stableOffsets{group: group, of: of})
		if err != nil {
			return err
		}
		clear(at)
		for _, p := range r.at {
			at[p.TopicPartition] = p
		}
		if errors.Is(r.err, kafka.GroupIdNotFound) {
			return nil // nobody has committed anything
		}
		return r.err
	})
	if err != nil {
		return nil, fmt.Errorf("read offsets of group %s: %w", group, err)
	}
	return at, nil
}

// CommitOffsets commits offsets, sorted by topic, outside of a transaction.
func CommitOffsets(ctx context.Context, client *kafka.Client, as Member, at ...Position) error {
	var topics []offsetcommit.RequestTopic
	for _, a := range at {
		if n := len(topics); n == 0 || topics[n-1].Name != a.Topic {
			topics = append(topics, offsetcommit.RequestTopic{Name: a.Topic})
		}
		topic := &topics[len(topics)-1]
		topic.Partitions = append(topic.Partitions, offsetcommit.RequestPartition{
			PartitionIndex: a.Number, CommittedOffset: a.Next, CommittedLeaderEpoch: -1, CommittedMetadata: a.Metadata,
		})
	}
	err := retry(ctx, patience, func(ctx context.Context) error {
		r, err := roundTrip[*offsetcommit.Response](ctx, client, &offsetcommit.Request{
			GroupID: as.Group, GenerationID: as.Generation, MemberID: as.ID, RetentionTimeMs: -1, Topics: topics,
		})
		if err != nil {
			return err
		}
		var codes []int16
		for _, topic := range r.Topics {
			for _, result := range topic.Partitions {
				codes = append(codes, result.ErrorCode)
			}
		}
		return partitionErrors(len(at), codes)
	})
	if fenced(err) {
		return fmt.Errorf("commit offsets of group %s: %w (%w)", as.Group, ErrFenced, err)
	}
	if err != nil {
		return fmt.Errorf("commit offsets of group %s: %w", as.Group, err)
	}
	return nil
}

// stableOffsets is OffsetFetch in version 7, the first that can ask for stable
// offsets (KIP-447, Kafka 2.5), request and answer; the library stops at
// version 5. Without it the next holder of a partition could read the offsets
// of the moment before its last holder's transaction, and answer twice.
type stableOffsets struct {
	group string
	of    []schemas.TopicPartition
	at    []Position
	err   error
}

var (
	_ protocol.GroupMessage = (*stableOffsets)(nil)
	_ protocol.RawExchanger = (*stableOffsets)(nil)
)

// ApiKey says which request this is.
func (s *stableOffsets) ApiKey() protocol.ApiKey { return protocol.OffsetFetch } //nolint:revive // the library names it so

// Group routes the request to the coordinator.
func (s *stableOffsets) Group() string { return s.group }

// Required says that the library's own encoding will not do.
func (s *stableOffsets) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange writes the request and reads the answer.
func (s *stableOffsets) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(s.request()); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 64<<20 {
		return nil, fmt.Errorf("an answer of %d bytes to a request for offsets", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, err
	}
	out := &stableOffsets{}
	if err := out.parse(body); err != nil {
		return nil, err
	}
	return out, nil
}

func (s *stableOffsets) request() []byte {
	be := binary.BigEndian
	b := be.AppendUint32(nil, 0)
	b = be.AppendUint16(b, uint16(protocol.OffsetFetch))
	b = be.AppendUint16(b, 7)
	b = be.AppendUint32(b, 1)       // correlation
	b = be.AppendUint16(b, 1<<16-1) // no client id
	b = append(b, 0)                // no tags
	b = appendCompact(b, s.group)
	numbers := map[string][]int32{}
	for _, p := range s.of {
		numbers[p.Topic] = append(numbers[p.Topic], p.Number)
	}
	b = binary.AppendUvarint(b, uint64(len(numbers))+1)
	for _, topic := range slices.Sorted(maps.Keys(numbers)) {
		b = appendCompact(b, topic)
		b = binary.AppendUvarint(b, uint64(len(numbers[topic]))+1)
		for _, n := range numbers[topic] {
			b = be.AppendUint32(b, uint32(n))
		}
		b = append(b, 0)
	}
	b = append(b, 1, 0) // stable, no tags
	be.PutUint32(b, uint32(len(b)-4))
	return b
}

func appendCompact(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))+1), s...)
}

func (s *stableOffsets) parse(body []byte) error {
	r := wireReader{b: body}
	r.take(4) // correlation
	r.tags()
	r.take(4) // throttle
	for range r.compactCount() {
		topic := r.text()
		for range r.compactCount() {
			p := Position{TopicPartition: schemas.TopicPartition{Topic: topic, Number: r.int32()}}
			p.Next = r.int64()
			r.take(4) // leader epoch
			p.Metadata = r.text()
			if err := codeOf(r.int16()); err != nil && s.err == nil {
				s.err = err
			}
			r.tags()
			if p.Next >= 0 {
				s.at = append(s.at, p)
			}
		}
		r.tags()
	}
	if err := codeOf(r.int16()); err != nil {
		s.err = err
	}
	if r.short {
		return errors.New("a truncated answer to a request for offsets")
	}
	return nil
}
