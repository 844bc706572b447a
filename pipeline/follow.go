package pipeline

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	kafkago "github.com/segmentio/kafka-go"

	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/sinks"
)

// From says where to begin to read a topic: its start, the first message at or
// after Time, or, when neither is set, its end. Offsets say it for single
// partitions, and the start for all others.
type From struct {
	Start   bool
	Time    time.Time
	Offsets map[schemas.TopicPartition]int64
}

// offset returns where From lies in a partition.
func (f From) offset(ctx context.Context, d *Connected, p schemas.TopicPartition) (from, end int64, err error) {
	start, end, err := kafka.Ends(ctx, d.Client, p)
	switch {
	case err != nil:
		return 0, 0, err
	case f.Start:
		return max(start, f.Offsets[p]), end, nil
	case f.Time.IsZero():
		return end, end, nil
	}
	from, err = kafka.OffsetAt(ctx, d.Client, p, f.Time)
	return from, end, err
}

// Follow calls show with the messages of all partitions of a topic, one call at a time,
// until ctx ends, show fails or, with untilEnd, the messages that the topic held at the
// beginning have been shown.
func (d *Connected) Follow(ctx context.Context, topic string, from From, untilEnd bool, show func(schemas.TopicPartition, *schemas.Messages) error) error {
	var one sync.Mutex
	ended := false // show has failed, which it may do once
	readers, ctx := errgroup.WithContext(ctx)
	for number := range d.Partitions[topic] {
		readers.Go(func() error {
			p := schemas.TopicPartition{Topic: topic, Number: int32(number)}
			at, end, err := from.offset(ctx, d, p)
			if err != nil {
				return err
			}
			reader := kafka.OpenPartition(d.Client, p, at, kafka.Limits{})
			for wait := kafka.NewBackoff(); !untilEnd || at < end; {
				m, next, _, err := reader.Fetch(ctx)
				if err != nil && sinks.Recoverable(err) && wait.Wait(ctx) == nil {
					continue
				}
				if err != nil {
					return err
				}
				wait.Reset()
				at = next
				if m.Len() == 0 {
					continue
				}
				one.Lock()
				if !ended {
					err = show(p, &m)
					ended = err != nil
				}
				one.Unlock()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return readers.Wait()
}

// Writer returns a writer to a topic.
func (d *Connected) Writer(topic string) *kafka.Writer { return kafka.OpenWriter(d.Client, topic) }

// EnsureTrials makes the topic of trials unless it is there. Searches have one
// partition, because the order of their trials counts.
func (d *Connected) EnsureTrials(ctx context.Context) error {
	have, err := kafka.EnsureTopics(ctx, d.Client, []kafkago.TopicConfig{{Topic: d.Topics.Trials, NumPartitions: 1, ReplicationFactor: -1}})
	if err != nil {
		return err
	}
	d.Partitions[d.Topics.Trials] = have[d.Topics.Trials]
	return nil
}
