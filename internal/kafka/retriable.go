package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// ErrFenced reports that another producer or member of the group has taken over, so that
// this one's uncommitted work must be thrown away.
var ErrFenced = errors.New("another writer has taken over")

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

// Recoverable reports whether a session that ended with err may go well when it begins
// again: errors that are Retriable; faults of membership, which end with the next
// generation of the group; those of a broker that has forgotten a producer or its
// transaction, which end with the next producer; and errors without a known cause in the
// broker, such as want of files or room.
func Recoverable(err error) bool {
	if fenced(err) || errors.Is(err, ErrFenced) {
		return true
	}
	for _, code := range []kafka.Error{
		kafka.Unknown, kafka.RebalanceInProgress, kafka.InvalidTransactionState, kafka.InvalidProducerIDMapping, kafka.UnknownProducerId, kafka.OutOfOrderSequenceNumber,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return Retriable(err)
}

// Retriable reports whether the same request may succeed a moment later. All our
// requests may be repeated: batches carry sequence numbers, and the others are
// idempotent.
func Retriable(err error) bool {
	// Whoever was let in once waits, also while a password or a certificate is
	// being replaced.
	var connect *ConnectError
	if errors.As(err, &connect) {
		return true
	}
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
	return broken(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, protocol.ErrNoLeader) || errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
}

// broken reports whether err is that of a connection. A number of the operating
// system has the methods of a net.Error whatever it is about: alone it is one of a
// file, unless only connections have it.
func broken(err error) bool {
	var network net.Error
	if !errors.As(err, &network) {
		return false
	}
	number, alone := network.(syscall.Errno) //nolint:errorlint // it is the end of the chain
	if !alone {
		return true
	}
	switch number {
	case syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH:
		return true
	}
	return false
}

const (
	// patience is how long a request is repeated before its error counts.
	patience = 15 * time.Second
	// attempt bounds one round trip, so that a half-open connection ends.
	attempt = 10 * time.Second
)

// retry calls try until it succeeds, fails for good, or patience has passed.
// The pauses grow from milliseconds, because the commonest reason is a broker
// that writes the markers of the transaction before.
func retry(ctx context.Context, patience time.Duration, try func(context.Context) error) error {
	deadline := time.Now().Add(patience)
	for backoff := BackoffBetween(2*time.Millisecond, 500*time.Millisecond); ; {
		one, cancel := context.WithTimeout(ctx, attempt)
		err := try(one)
		cancel()
		if err == nil || ctx.Err() != nil || !Retriable(err) || time.Now().Add(backoff.Next()).After(deadline) {
			return err
		}
		if backoff.Wait(ctx) != nil {
			return context.Cause(ctx)
		}
	}
}

// partitionErrors checks the codes that an answer has for each of the partitions
// of a request: the answer as a whole may be without an error although some are
// refused. A partition that is refused makes the broker report the others as not
// attempted; the refusal decides.
func partitionErrors(want int, codes []int16) error {
	var first error
	for _, code := range codes {
		if err := codeOf(code); err != nil && (first == nil || code != operationNotAttempted) {
			first = err
			if code != operationNotAttempted {
				break
			}
		}
	}
	if first == nil && len(codes) != want {
		return errors.New("the broker's answer is without some partitions")
	}
	return first
}

const operationNotAttempted = 55
