package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// TooLargeError says that one message does not fit the broker's limit.
type TooLargeError struct {
	Topic     string
	Partition int32
	Bytes     int // of the batch as it was sent
}

// Error names the place and the cure.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("topic %s, partition %d: the broker refuses a batch of %d bytes: raise max.message.bytes of the topic", e.Topic, e.Partition, e.Bytes)
}

func codeOf(n int16) error {
	if n == 0 {
		return nil
	}
	return kafka.Error(n)
}

// fenced reports whether err means that this producer or member is of the past.
func fenced(err error) bool {
	for _, code := range []kafka.Error{
		kafka.ProducerFenced, kafka.InvalidProducerEpoch, kafka.IllegalGeneration, kafka.UnknownMemberId, kafka.FencedInstanceID,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// Passing reports whether a session that ended with err may go well when it
// begins again: faults that pass by themselves; those of membership, which pass
// with the next generation of the group; and those of a broker that has
// forgotten a producer or its transaction, which pass with the next producer.
func Passing(err error) bool {
	for _, code := range []kafka.Error{
		kafka.RebalanceInProgress, kafka.UnknownMemberId, kafka.IllegalGeneration,
		kafka.InvalidTransactionState, kafka.InvalidProducerIDMapping, kafka.UnknownProducerId, kafka.OutOfOrderSequenceNumber,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	// An object store that is overloaded or ill says so with 429, 500 or 503.
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) && (answer.HTTPStatusCode() >= 500 || answer.HTTPStatusCode() == 429) {
		return true
	}
	return repeatable(err)
}

// repeatable reports whether the same request may succeed a moment later. All
// our requests may be repeated: batches carry sequence numbers and the rest sets
// what is already set.
func repeatable(err error) bool {
	var code kafka.Error
	if errors.As(err, &code) {
		switch code {
		case kafka.ConcurrentTransactions, kafka.GroupLoadInProgress, kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup,
			kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition, kafka.RequestTimedOut,
			kafka.BrokerNotAvailable, kafka.NetworkException, kafka.NotEnoughReplicas, kafka.NotEnoughReplicasAfterAppend,
			kafka.ReplicaNotAvailable, kafka.KafkaStorageError, kafka.FencedLeaderEpoch, kafka.UnknownLeaderEpoch, kafka.UnstableOffsetCommit, kafka.OffsetNotAvailable:
			return true
		}
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, protocol.ErrNoLeader) || errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
}

const (
	firstPause  = 2 * time.Millisecond
	longestWait = 500 * time.Millisecond
)

// retry calls try until it succeeds, fails for good, or patience has passed.
// The pauses grow from milliseconds, because the commonest reason is a broker
// that writes the markers of the transaction before.
func retry(ctx context.Context, patience, each time.Duration, try func(context.Context) error) error {
	deadline := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, longestWait) {
		attempt, cancel := context.WithTimeout(ctx, each)
		err := try(attempt)
		cancel()
		if err == nil || ctx.Err() != nil || !repeatable(err) || time.Now().Add(pause).After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}
