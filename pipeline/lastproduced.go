package pipeline

import (
	"context"
	"encoding/json"
	"strconv"

	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/sinks"
)

// lastProduced returns the offset after the last message of a source partition that a
// partition of the predictions or dead-letters topic holds, 0 without one.
//
// The embedded broker commits a transaction in several writes, first the markers of the
// topics and last the offsets of the group. A process that is killed in between leaves
// answers that its position does not cover.
func (p *Connected) lastProduced(ctx context.Context, in, from schemas.TopicPartition) (int64, error) {
	start, end, err := kafka.Ends(ctx, p.Client, in)
	if err != nil {
		return 0, err
	}
	start = max(start, end-maxLookback)
	// The answers of a partition are in its order, so the last one counts. Those of
	// other partitions may follow it.
	for back, until := int64(64), end; until > start; back *= 4 {
		first := max(start, until-back)
		next, err := p.lastProducedIn(ctx, in, from, first, until)
		if err != nil || next > 0 {
			return next, err
		}
		until = first
	}
	return 0, nil
}

// maxLookback bounds the search: answers of a torn commit are near the end.
const maxLookback = 50_000

// lastProducedIn is lastProduced for the messages first <= offset < until.
func (p *Connected) lastProducedIn(ctx context.Context, in, from schemas.TopicPartition, first, until int64) (next int64, err error) {
	reader := kafka.OpenPartition(p.Client, in, first, kafka.Limits{})
	for at := first; at < until; {
		var messages schemas.Messages
		messages, at, _, err = reader.Fetch(ctx)
		if err != nil {
			return 0, err
		}
		for i := range messages.Len() {
			if messages.Offset[i] >= until {
				break
			}
			if source, ok := sourceOf(in.Topic == p.Topics.Predictions, &messages, i); ok && source.Topic == from.Topic && source.Partition == from.Number {
				next = source.Offset + 1
			}
		}
	}
	return next, nil
}

// sourceOf returns the topic, partition and offset of the message that was answered, or
// became a dead letter.
func sourceOf(answer bool, m *schemas.Messages, i int) (schemas.Source, bool) {
	if answer {
		var said struct{ Source schemas.Source }
		err := json.Unmarshal(m.Value.At(i), &said)
		return said.Source, err == nil
	}
	partition, err1 := strconv.ParseInt(string(m.Header(i, sinks.HeaderPartition)), 10, 32)
	offset, err2 := strconv.ParseInt(string(m.Header(i, sinks.HeaderOffset)), 10, 64)
	return schemas.Source{Topic: string(m.Header(i, sinks.HeaderTopic)), Partition: int32(partition), Offset: offset}, err1 == nil && err2 == nil
}
