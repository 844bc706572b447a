package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go/protocol/addoffsetstotxn"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/txnoffsetcommit"

	"archflow/schemas"
)

// Member says who commits offsets: a member of a generation of a consumer
// group. The broker refuses members of earlier generations.
type Member struct {
	Group      string
	Generation int32  // -1 outside of a generation
	ID         string // empty outside of a generation
}

// Position is an offset to commit, with its metadata.
type Position struct {
	schemas.TopicPartition
	Next     int64
	Metadata string
}

// The methods below make one transaction: Enter, Produce, CommitOffsets, End. EndTxn is
// answered before the markers are written, so the first request of the next transaction
// is refused for some milliseconds, for each partition in an answer that has no error as
// a whole: every code is checked and the request repeated. Going on regardless would
// write outside of a transaction, and the next one would commit the records that were to
// be aborted.

// Enter adds partitions to the transaction, which begins with the first.
func (p *Producer) Enter(ctx context.Context, to ...schemas.TopicPartition) error {
	var topics []addpartitionstotxn.RequestTopic
	for _, at := range to {
		if !p.inside[at] {
			topics = append(topics, addpartitionstotxn.RequestTopic{Name: at.Topic, Partitions: []int32{at.Number}})
		}
	}
	if len(topics) == 0 {
		return nil
	}
	err := retry(ctx, patience, func(ctx context.Context) error {
		r, err := roundTrip[*addpartitionstotxn.Response](ctx, p.client, &addpartitionstotxn.Request{
			TransactionalID: p.id, ProducerID: p.producer, ProducerEpoch: p.epoch, Topics: topics,
		})
		if err != nil {
			return err
		}
		var codes []int16
		for _, topic := range r.Results {
			for _, result := range topic.Results {
				codes = append(codes, result.ErrorCode)
			}
		}
		return partitionErrors(len(topics), codes)
	})
	if err != nil {
		return p.explain(fmt.Sprintf("add partitions %v to the transaction", to), explainAbsent(err, makeAnew))
	}
	for _, at := range to {
		p.inside[at] = true
	}
	return nil
}

// CommitOffsets puts positions into the transaction, which begins here if
// nothing was produced.
func (p *Producer) CommitOffsets(ctx context.Context, as Member, at ...Position) error {
	if !p.group {
		err := retry(ctx, patience, func(ctx context.Context) error {
			r, err := roundTrip[*addoffsetstotxn.Response](ctx, p.client, &addoffsetstotxn.Request{
				TransactionalID: p.id, ProducerID: p.producer, ProducerEpoch: p.epoch, GroupID: as.Group,
			})
			if err != nil {
				return err
			}
			return codeOf(r.ErrorCode)
		})
		if err != nil {
			return p.explain("add the offsets of group "+as.Group+" to the transaction", err)
		}
		p.group = true
	}
	topics := make([]txnoffsetcommit.RequestTopic, len(at))
	for i, a := range at {
		topics[i] = txnoffsetcommit.RequestTopic{Name: a.Topic, Partitions: []txnoffsetcommit.RequestPartition{{
			Partition: a.Number, CommittedOffset: a.Next, CommittedLeaderEpoch: -1, CommittedMetadata: a.Metadata,
		}}}
	}
	err := retry(ctx, patience, func(ctx context.Context) error {
		r, err := roundTrip[*txnoffsetcommit.Response](ctx, p.client, &txnoffsetcommit.Request{
			TransactionalID: p.id, GroupID: as.Group, ProducerID: p.producer, ProducerEpoch: p.epoch,
			GenerationID: as.Generation, MemberID: as.ID, Topics: topics,
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
		return partitionErrors(len(topics), codes)
	})
	if err != nil {
		return p.explain("commit offsets of group "+as.Group, err)
	}
	return nil
}

// End commits or aborts the transaction; without one it does nothing. After an
// error of a commit nobody knows which it was: open another producer of the
// same id, which waits for the answer, and read the positions.
func (p *Producer) End(ctx context.Context, commit bool) error {
	if len(p.inside) == 0 && !p.group {
		return nil
	}
	err := retry(ctx, patience, func(ctx context.Context) error {
		r, err := roundTrip[*endtxn.Response](ctx, p.client, &endtxn.Request{
			TransactionalID: p.id, ProducerID: p.producer, ProducerEpoch: p.epoch, Committed: commit,
		})
		if err != nil {
			return err
		}
		return codeOf(r.ErrorCode)
	})
	if err != nil {
		what := "abort the transaction"
		if commit {
			what = "commit the transaction"
		}
		return p.explain(what, err)
	}
	clear(p.inside)
	p.group = false
	return nil
}
