package pipeline

import (
	"context"
	"errors"

	"archflow/internal/kafka"
	"archflow/pipeline/api"
	"archflow/schemas"
)

// apiTopics reads the topics for the catalogue.
type apiTopics struct {
	client *kafka.Client
	topics kafka.Topics
	counts *partitionCounts
}

// Read is part of api.Topics.
func (t apiTopics) Read(ctx context.Context, topic api.Topic, positions map[int32]int64, tail int64, f func(*schemas.Messages)) error {
	name, partitions := t.topics.Labels, int(t.counts.labels.Load())
	switch topic {
	case api.Candidates:
		name, partitions = t.topics.Architectures, int(t.counts.candidates.Load())
	case api.Trials:
		name = t.topics.Trials
		have, err := kafka.PartitionCounts(ctx, t.client, []string{name})
		if err != nil {
			return err
		}
		partitions = have[name] // none before the first search
	}
	for number := range partitions {
		p := schemas.TopicPartition{Topic: name, Number: int32(number)}
		start, end, err := kafka.Ends(ctx, t.client, p)
		if err != nil {
			return err
		}
		at := max(start, positions[p.Number])
		if tail > 0 {
			at = max(at, end-tail)
		}
		if at, err = readUntil(ctx, kafka.OpenPartition(t.client, p, at, kafka.Limits{}), at, end, f); err != nil {
			return err
		}
		positions[p.Number] = at
	}
	return nil
}

// readUntil calls f with the messages from an offset to an end and returns the next
// offset.
func readUntil(ctx context.Context, r *kafka.PartitionReader, at, end int64, f func(*schemas.Messages)) (int64, error) {
	for at < end {
		m, next, _, err := r.Fetch(ctx)
		var poison *kafka.PoisonError
		switch {
		case errors.As(err, &poison):
			r.SkipTo(poison.Next) // the stream makes it a dead letter
			at = poison.Next
			continue
		case err != nil:
			return at, err
		}
		if at = next; m.Len() > 0 {
			f(&m)
		}
	}
	return at, nil
}
