package pipeline

import (
	"context"
	"slices"
	"time"

	"archflow/internal/kafka"
	"archflow/schemas"
)

// markEnds notes where the topics end now, which is where a run with
// exit-at-end ends.
func (p *Process) markEnds(ctx context.Context) error {
	p.ends = map[schemas.TopicPartition]int64{}
	for _, partition := range append(p.candidatePartitions(), p.labelPartitions()...) {
		_, end, err := kafka.Ends(ctx, p.Client, partition)
		if err != nil {
			return err
		}
		p.ends[partition] = end
	}
	return nil
}

// waitGroupDrained waits until the partitions that other members of the group hold
// are at their ends too, in every sink, or stop ends because they are given
// anew. A member may hold partitions and be dead: until its session has run out
// nobody processes them, and to stop before would leave them.
func (p *Process) waitGroupDrained(stop context.Context, a kafka.Assignment, tables ...positioned) error {
	others := p.candidatePartitions()
	others = slices.DeleteFunc(others, func(partition schemas.TopicPartition) bool { return slices.Contains(a.Partitions, partition) })
	return p.waitDrained(stop, a.Group, others, tables...)
}

// waitDrained waits until the partitions are at their ends for the group and in every
// table, or stop ends.
func (p *Process) waitDrained(stop context.Context, group string, others []schemas.TopicPartition, tables ...positioned) error {
	logged := false
	for wait := kafka.BackoffBetween(kafka.FirstBackoff, time.Second); stop.Err() == nil; {
		var behind []schemas.TopicPartition
		for _, keeper := range append(slices.Clone(tables), groupOffsets{p.Client, group}) {
			positions, err := keeper.Positions(stop, others)
			if err != nil {
				return err
			}
			for _, partition := range others {
				at, known := positions[partition]
				if !known {
					start, _, err := kafka.Ends(stop, p.Client, partition)
					if err != nil {
						return err
					}
					at = start
				}
				if at < p.ends[partition] {
					behind = append(behind, partition)
				}
			}
		}
		if len(behind) == 0 {
			return nil
		}
		if !logged {
			p.report.Log.Info("waiting for partitions that other members of the group hold", "partitions", numbers(behind))
			logged = true
		}
		if wait.Wait(stop) != nil {
			break
		}
	}
	return nil //nolint:nilerr // it was asked to stop
}

// groupOffsets are the positions of the predictions topic, as the group has
// committed them, from any process.
type groupOffsets struct {
	client *kafka.Client
	group  string
}

// Name is for errors.
func (g groupOffsets) Name() string { return "group " + g.group }

// Positions implements positioned without taking partitions over.
func (g groupOffsets) Positions(ctx context.Context, of []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error) {
	offsets, err := kafka.ReadOffsets(ctx, g.client, g.group, of)
	if err != nil {
		return nil, err
	}
	at := map[schemas.TopicPartition]int64{}
	for partition, position := range offsets {
		at[partition] = position.Next
	}
	return at, nil
}
