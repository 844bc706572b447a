package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Topics are the names of archflow's topics.
type Topics struct {
	Architectures, Labels, Predictions, Models, DeadLetters string

	// Trials holds the candidates that searches want trained. A run does without it.
	Trials string
}

// TopicsOf returns the names under a prefix such as "archflow.".
func TopicsOf(prefix string) Topics {
	return Topics{prefix + "architectures", prefix + "labels", prefix + "predictions", prefix + "models", prefix + "dead-letters", prefix + "trials"}
}

// All lists the topics that a run needs.
func (t *Topics) All() []string {
	return []string{t.Architectures, t.Labels, t.Predictions, t.Models, t.DeadLetters}
}

// DefaultPartitions is the number of partitions of new topics that have more than one:
// enough for four processes.
const DefaultPartitions = 4

// Ensure creates the topics that are absent and returns the number of
// partitions of each. Labels and models get one partition, because one process
// trains and the order of labels counts; models is compacted. A topic of labels that
// has more serves as well.
func (t *Topics) Ensure(ctx context.Context, client *kafka.Client, partitions int) (map[string]int, error) {
	return EnsureTopics(ctx, client, t.wanted(partitions))
}

func (t *Topics) wanted(partitions int) []kafka.TopicConfig {
	if partitions <= 0 {
		partitions = DefaultPartitions
	}
	compacted := []kafka.ConfigEntry{{ConfigName: "cleanup.policy", ConfigValue: "compact"}}
	return []kafka.TopicConfig{
		{Topic: t.Architectures, NumPartitions: partitions, ReplicationFactor: -1},
		{Topic: t.Labels, NumPartitions: 1, ReplicationFactor: -1},
		{Topic: t.Predictions, NumPartitions: partitions, ReplicationFactor: -1},
		{Topic: t.Models, NumPartitions: 1, ReplicationFactor: -1, ConfigEntries: compacted},
		{Topic: t.DeadLetters, NumPartitions: partitions, ReplicationFactor: -1},
	}
}

// ProbeCreate returns why Ensure could not create each of the topics that are named,
// nil for one that it could. It creates none.
func (t *Topics) ProbeCreate(ctx context.Context, client *kafka.Client, partitions int, named []string) (map[string]error, error) {
	want := slices.DeleteFunc(t.wanted(partitions), func(w kafka.TopicConfig) bool { return !slices.Contains(named, w.Topic) })
	// The library would wait for the topics to appear.
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Version, request.ValidateOnly, request.TimeoutMillis = validateSince, true, int32(attempt/time.Millisecond)
	for _, w := range want {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = w.Topic, int32(w.NumPartitions), int16(w.ReplicationFactor)
		for _, entry := range w.ConfigEntries {
			topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: entry.ConfigName, Value: &entry.ConfigValue})
		}
		request.Topics = append(request.Topics, topic)
	}
	answer := kmsg.NewPtrCreateTopicsResponse()
	if _, err := roundTrip[*rawRequest](ctx, client, &rawRequest{request, answer}); err != nil {
		return nil, fmt.Errorf("ask whether topics can be created: %w", err)
	}
	refused := map[string]error{}
	for _, topic := range answer.Topics {
		err := codeOf(topic.ErrorCode)
		if errors.Is(err, kafka.NotController) {
			return nil, fmt.Errorf("ask whether topics can be created: %w", err)
		}
		if at := slices.IndexFunc(want, func(w kafka.TopicConfig) bool { return w.Topic == topic.Topic }); at >= 0 {
			refused[topic.Topic] = explainCreate(want[at], err)
		}
	}
	return refused, nil
}

// validateSince is the version of CreateTopics that takes the broker's default of
// replicas.
const validateSince = 4

// explainCreate names the topic and the cure; nil where it is there now.
func explainCreate(w kafka.TopicConfig, err error) error {
	switch {
	case err == nil || errors.Is(err, kafka.TopicAlreadyExists): // another process was first
		return nil
	case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed):
		return fmt.Errorf("topic %s is absent and we may not create it: create it with %d partitions, or grant CREATE to this user", w.Topic, w.NumPartitions)
	case errors.Is(err, kafka.PolicyViolation), errors.Is(err, kafka.InvalidReplicationFactor):
		return fmt.Errorf("topic %s is absent and the cluster refuses its defaults (%w): create it with %d partitions", w.Topic, err, w.NumPartitions)
	case errors.Is(err, kafka.InvalidTopic):
		return fmt.Errorf("topic %s is no legal name: choose a --topic-prefix of letters, digits, '.', '_' and '-'", w.Topic)
	}
	return fmt.Errorf("create topic %s: %w", w.Topic, err)
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
		failed = append(failed, explainCreate(w, made.Errors[w.Topic]))
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
			served, err := arePartitionsServed(ctx, client, absent, have)
			if err != nil {
				return nil, err
			}
			if served {
				return have, nil
			}
			missing = absent[0].Topic
		}
		if backoff.Wait(ctx) != nil {
			return nil, fmt.Errorf("topic %s was created but no broker leads it after 30 s: is the cluster healthy?", missing)
		}
	}
}

// arePartitionsServed returns whether the leaders of all partitions of new topics know
// them. A broker lists a new partition in its metadata some milliseconds before it opens
// the log. A transaction that ends in between asks it for a marker in a partition that it
// does not know, and Apache Kafka 4.1 was then seen to write no marker for any transaction
// during the next 54 s.
func arePartitionsServed(ctx context.Context, client *kafka.Client, topics []kafka.TopicConfig, partitions map[string]int) (bool, error) {
	request := &kafka.ListOffsetsRequest{Addr: client.Addr, Topics: map[string][]kafka.OffsetRequest{}}
	for _, t := range topics {
		for n := range partitions[t.Topic] {
			request.Topics[t.Topic] = append(request.Topics[t.Topic], kafka.LastOffsetOf(n))
		}
	}
	listed, err := client.ListOffsets(ctx, request)
	if Retriable(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for the offsets of new topics: %w", err)
	}
	for _, topic := range listed.Topics {
		for _, p := range topic {
			if Retriable(p.Error) { // another error, such as a missing right, is for those who read
				return false, nil
			}
		}
	}
	return true, nil
}

// PartitionCounts returns the number of partitions of each topic that has
// leaders, asked of the broker and not of a cache.
func PartitionCounts(ctx context.Context, client *kafka.Client, topics []string) (map[string]int, error) {
	about, err := describe(ctx, client, topics)
	if err != nil {
		return nil, err
	}
	have := map[string]int{}
	for _, topic := range about {
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

// AbsentTopics returns those of topics that are not there, in order.
func AbsentTopics(ctx context.Context, client *kafka.Client, topics []string) (absent []string, err error) {
	about, err := describe(ctx, client, topics)
	if err != nil {
		return nil, err
	}
	for _, topic := range about {
		if errors.Is(codeOf(topic.ErrorCode), kafka.UnknownTopicOrPartition) {
			absent = append(absent, topic.Name)
		}
	}
	slices.Sort(absent)
	return absent, nil
}

// explainAbsent adds the meaning and the cure to an error about an absent topic; other
// errors stay.
func explainAbsent(err error, cure string) error {
	if errors.Is(err, kafka.UnknownTopicOrPartition) || errors.Is(err, protocol.ErrNoTopic) {
		return fmt.Errorf("the topic is not there: it was deleted, or never made, or this user may not see it; %s (%w)", cure, err)
	}
	return err
}

// Cures of an absent topic: messages that were read have a place in it.
const (
	makeAnew = "make it anew, or start a process of archflow, which makes what is absent"
	restore  = "restore it"
)

// ReplicaCounts returns how many replicas the partition of each topic has that has the
// fewest, nothing for those that are not there.
func ReplicaCounts(ctx context.Context, client *kafka.Client, topics []string) (map[string]int, error) {
	about, err := describe(ctx, client, topics)
	if err != nil {
		return nil, err
	}
	fewest := map[string]int{}
	for _, topic := range about {
		for i, p := range topic.Partitions {
			if n := len(p.ReplicaNodes); i == 0 || n < fewest[topic.Name] {
				fewest[topic.Name] = n
			}
		}
	}
	return fewest, nil
}

// describe asks for the metadata of topics.
func describe(ctx context.Context, client *kafka.Client, topics []string) ([]metadata.ResponseTopic, error) {
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
	return r.Topics, nil
}

// Named returns the topic with a short name of the commands, such as predictions or
// dead-letters, "" for any other.
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
	case "trials":
		return t.Trials
	}
	return ""
}

// TopicIDs returns the ids of topics: one that is deleted and made again has
// another. Topics that are absent, and all of a broker before Kafka 2.8, which has
// none, are left out.
func TopicIDs(ctx context.Context, client *kafka.Client, topics []string) (map[string]string, error) {
	ids := map[string]string{}
	err := retry(ctx, patience, func(ctx context.Context) error {
		can, err := roundTrip[*apiversions.Response](ctx, client, &apiversions.Request{})
		if err != nil {
			return err
		}
		for _, key := range can.ApiKeys {
			if key.ApiKey == int16(kmsg.Metadata) && key.MaxVersion < topicIDsSince {
				return nil
			}
		}
		request := kmsg.NewPtrMetadataRequest()
		request.Version, request.AllowAutoTopicCreation = topicIDsSince, false
		for _, topic := range topics {
			request.Topics = append(request.Topics, kmsg.MetadataRequestTopic{Topic: &topic})
		}
		answer := kmsg.NewPtrMetadataResponse()
		if _, err := roundTrip[*rawRequest](ctx, client, &rawRequest{request, answer}); err != nil {
			return err
		}
		for _, topic := range answer.Topics {
			if topic.Topic != nil && topic.ErrorCode == 0 && topic.TopicID != [16]byte{} {
				ids[*topic.Topic] = hex.EncodeToString(topic.TopicID[:])
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the ids of topics: %w", err)
	}
	return ids, nil
}

// topicIDsSince is the version of Metadata that brought them (KIP-516).
const topicIDsSince = 10

// ReplacedError says that a topic is not the one that positions are of.
type ReplacedError struct {
	Topic     string
	Was, Is   string // ids
	Positions string // whose they are
	Cure      string
}

// Error names both topic ids and the user's choices.
func (e *ReplacedError) Error() string {
	return fmt.Sprintf("topic %s: it was deleted and made again, or this is another cluster (its id was %s and is %s), and the positions of %s are of the topic before; %s",
		e.Topic, e.Was, e.Is, e.Positions, e.Cure)
}
