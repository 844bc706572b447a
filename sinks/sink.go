package sinks

import (
	"context"
	"errors"

	"archflow/internal/kafka"
	"archflow/schemas"
)

// Sink makes batches durable together with the positions they cover.
//
// One goroutine uses a sink. After an error of Write or Commit other than ErrGap the sink
// has failed: it has kept nothing that was not committed, or does not know whether it
// has. Close it, open another and go on from its Positions.
type Sink interface {
	// Name is for logs and metrics.
	Name() string

	// Positions returns for each partition the next offset that this sink has not made
	// durable; a partition without a position is absent.
	Positions(ctx context.Context, of []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error)

	// Write takes over b and keeps it until Commit. Batches of a partition come in offset
	// order. Rows below the sink's position are dropped; a batch that begins above it
	// leaves a gap and is refused with ErrGap. The first batch of a partition without a
	// position may begin anywhere. A batch is taken over even when an error is returned.
	Write(ctx context.Context, b *schemas.Batch) error

	// Commit makes everything written since the last Commit durable, data and
	// positions in one atomic step, or nothing of it. Without anything written
	// it does nothing.
	Commit(ctx context.Context) error

	// Pending returns the rows and bytes written and not committed, for the
	// caller's commit policy.
	Pending() (rows, bytes int)

	// Close gives up uncommitted rows.
	Close() error
}

var (
	// ErrGap says that offsets between the sink's position and the batch are
	// missing, so that taking the batch would lose them.
	ErrGap = errors.New("offsets are missing before this batch")

	// ErrFenced says that another writer of the same group has taken the partition over,
	// so that the uncommitted rows of this one must be thrown away.
	ErrFenced = kafka.ErrFenced
)
