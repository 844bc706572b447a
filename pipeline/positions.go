package pipeline

import (
	"context"

	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/sinks"
)

// restorePositions compares the group's positions with the tables'. A group whose
// offsets are gone (it was stopped for longer than the broker keeps them, or was
// deleted) goes on at the position of the furthest table: the topic is never behind a
// table, so every message before it has been answered. A group whose offsets were moved
// forward by hand goes on there; the skipped messages are counted.
func (p *Process) restorePositions(ctx context.Context, a kafka.Assignment, topic *sinks.Predictions, tables ...positioned) error {
	tablePositions := map[schemas.TopicPartition]int64{}
	for _, table := range tables {
		positions, err := table.Positions(ctx, a.Partitions)
		if err != nil {
			return err
		}
		for partition, at := range positions {
			tablePositions[partition] = max(tablePositions[partition], at)
		}
	}
	committed, err := topic.Committed(ctx, a.Partitions)
	if err != nil {
		return err
	}
	gone := map[schemas.TopicPartition]int64{}
	for _, partition := range a.Partitions {
		at, known := committed[partition]
		switch {
		case !known && tablePositions[partition] > 0:
			gone[partition] = tablePositions[partition]
			p.report.Log.WarnContext(ctx, "the group has no offset any more: going on at the table's position; messages after it that were answered before are answered again",
				"group", a.Group, "topic", partition.Topic, "partition", partition.Number, "offset", tablePositions[partition], "cure", "raise offsets.retention.minutes above the time that archflow may be stopped")
		case partition.Topic == p.Topics.Labels:
			// Labels are read from the journal's position, whatever the group's is.
		case known && at.Metadata == "" && at.Next > tablePositions[partition] && tablePositions[partition] > 0:
			if err := p.countSkipped(ctx, a.Group, partition, tablePositions[partition], at.Next); err != nil {
				return err
			}
		}
	}
	return topic.Resume(ctx, gone)
}

// countSkipped counts the messages between the answered ones and a position that
// archflow did not commit: its own carry the models that answered.
func (p *Process) countSkipped(ctx context.Context, group string, partition schemas.TopicPartition, answered, position int64) error {
	for _, name := range []string{p.Topics.Predictions, p.Topics.DeadLetters} {
		width := int32(p.Partitions[name])
		if width == 0 {
			continue
		}
		last, err := p.lastProduced(ctx, schemas.TopicPartition{Topic: name, Number: partition.Number % width}, partition)
		if err != nil {
			return err
		}
		answered = max(answered, last)
	}
	if answered < position {
		p.report.Log.WarnContext(ctx, "the group's offset was moved forward: messages before it are not answered",
			"group", group, "topic", partition.Topic, "partition", partition.Number, "skipped", position-answered, "from", answered, "to", position,
			"cure", "stop, and move the offset back to answer them: kafka-consumer-groups.sh --reset-offsets --to-offset")
	}
	return nil
}
