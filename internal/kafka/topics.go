package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// Topics are the names of what archflow reads and writes.
type Topics struct {
	Architectures, Labels, Predictions, Models, DeadLetters string
}

// TopicsOf returns the names under a prefix such as "archflow.".
func TopicsOf(prefix string) Topics {
	return Topics{prefix + "architectures", prefix + "labels", prefix + "predictions", prefix + "models", prefix + "dead-letters"}
}

// All lists the topics.
func (t *Topics) All() []string {
	return []string{t.Architectures, t.Labels, t.Predictions, t.Models, t.DeadLetters}
}

// DefaultPartitions is the number of partitions of the topics that are made
// with more than one: what four processes share.
const DefaultPartitions = 4

// Ensure creates the topics that are absent and returns the number of
// partitions of each. Labels and models have one partition, because one process
// trains and the order of labels counts; models is compacted.
func (t *Topics) Ensure(ctx context.Context, client *kafka.Client, partitions int) (map[string]int, error) {
	if partitions <= 0 {
		partitions = DefaultPartitions
	}
	compacted := []kafka.ConfigEntry{{ConfigName: "cleanup.policy", ConfigValue: "compact"}}
	return EnsureTopics(ctx, client, []kafka.TopicConfig{
		{Topic: t.Architectures, NumPartitions: partitions, ReplicationFactor: -1},
		{Topic: t.Labels, NumPartitions: 1, ReplicationFactor: -1},
		{Topic: t.Predictions, NumPartitions: partitions, ReplicationFactor: -1},
		{Topic: t.Models, NumPartitions: 1, ReplicationFactor: -1, ConfigEntries: compacted},
		{Topic: t.DeadLetters, NumPartitions: partitions, ReplicationFactor: -1},
	})
}

// EnsureTopics creates the topics that are absent and returns the number of
// partitions of each. Errors name the topic and the cure, all of them at once.
func EnsureTopics(ctx context.Context, client *kafka.Client, want []kafka.TopicConfig) (map[string]int, error) {
	names := make([]string, len(want))
	for i, w := range want {
		names[i] = w.Topic
	}
	have, err := PartitionCounts(ctx, client, names)
	if err != nil {
		return nil, err
	}
	var absent []kafka.TopicConfig
	for _, w := range want {
		if have[w.Topic] == 0 {
			absent = append(absent, w)
		}
	}
	if len(absent) == 0 {
		return have, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	made, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Addr: client.Addr, Topics: absent})
	if err != nil {
		return nil, fmt.Errorf("create topics: %w", err)
	}
	var failed []error
	for _, w := range absent {
		switch err := made.Errors[w.Topic]; {
		case err == nil || errors.Is(err, kafka.TopicAlreadyExists): // another process was first
		case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed):
			failed = append(failed, fmt.Errorf("topic %s is absent and we may not create it: create it with %d partitions, or grant CREATE to this user", w.Topic, w.NumPartitions))
		case errors.Is(err, kafka.PolicyViolation), errors.Is(err, kafka.InvalidReplicationFactor):
			failed = append(failed, fmt.Errorf("topic %s is absent and the cluster refuses its defaults (%w): create it with %d partitions", w.Topic, err, w.NumPartitions))
		case errors.Is(err, kafka.InvalidTopic):
			failed = append(failed, fmt.Errorf("topic %s is no legal name: choose a --topic-prefix of letters, digits, '.', '_' and '-'", w.Topic))
		default:
			failed = append(failed, fmt.Errorf("create topic %s: %w", w.Topic, err))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	for backoff := BackoffBetween(20*time.Millisecond, time.Second); ; {
		if have, err = PartitionCounts(ctx, client, names); err != nil {
			return nil, err
		}
		var missing string
		for _, name := range names {
			if have[name] == 0 {
				missing = name
			}
		}
		if missing == "" {
			return have, nil
		}
		if backoff.Wait(ctx) != nil {
			return nil, fmt.Errorf("topic %s was created but no broker leads it after 30 s: is the cluster healthy?", missing)
		}
	}
}

// PartitionCounts returns the number of partitions of each topic that has
// leaders, asked of the broker and not of a cache.
func PartitionCounts(ctx context.Context, client *kafka.Client, topics []string) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	m, err := client.Transport.RoundTrip(ctx, client.Addr, &metadata.Request{TopicNames: topics})
	if err != nil {
		return nil, fmt.Errorf("ask for topics: %w", err)
	}
	r, ok := m.(*metadata.Response)
	if !ok {
		return nil, fmt.Errorf("ask for topics: the broker answered %T", m)
	}
	have := map[string]int{}
	for _, topic := range r.Topics {
		led := 0
		for _, p := range topic.Partitions {
			if p.ErrorCode == 0 || p.LeaderID >= 0 {
				led++
			}
		}
		if topic.ErrorCode == 0 && led == len(topic.Partitions) {
			have[topic.Name] = led
		}
	}
	return have, nil
}

// Named returns the topic that the commands call by a short name such as
// predictions or dead-letters, "" for any other.
func (t *Topics) Named(short string) string {
	switch short {
	case "architectures":
		return t.Architectures
	case "labels":
		return t.Labels
	case "predictions":
		return t.Predictions
	case "models":
		return t.Models
	case "dead-letters":
		return t.DeadLetters
	}
	return ""
}
