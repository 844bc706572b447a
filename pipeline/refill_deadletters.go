package pipeline

import (
	"context"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// refillDeadLetters adds the missing rows of the dead-letters table, from the refused
// messages themselves where the topics still have them.
func (r *refill) refillDeadLetters(ctx context.Context, table *sinks.DeadLettersTable, done *Refilled) error {
	pending := chunk[schemas.DeadLetter]{flush: func(ctx context.Context, p schemas.TopicPartition, deadLetters map[int64]schemas.DeadLetter) error {
		offsets := offsetsOf(deadLetters)
		m, err := r.messages(ctx, p, offsets)
		if err != nil {
			return err
		}
		of := &schemas.Batch{TopicPartition: p, Null: m.Null}
		for i, offset := range m.Offset {
			original := deadLetters[offset]
			deadLetters[offset] = stages.Reject(of, &m, i, &schemas.Rejection{Class: original.Class, Reason: original.Reason})
		}
		list := make([]schemas.DeadLetter, 0, len(deadLetters))
		for _, offset := range offsets {
			list = append(list, deadLetters[offset])
		}
		rows, err := table.Insert(ctx, list)
		done.Refilled += rows
		return err
	}}
	err := r.Follow(ctx, r.Topics.DeadLetters, From{Start: true}, true, func(_ schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			source, ok := sourceOf(false, m, i)
			p := schemas.TopicPartition{Topic: source.Topic, Number: source.Partition}
			if !ok || !table.Lacks(p, source.Offset) {
				continue
			}
			if err := pending.put(ctx, p, source.Offset, sinks.ReadDeadLetter(m, i, p, source.Offset)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return pending.end(ctx)
}
