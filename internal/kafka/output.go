package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
)

// Output is a topic that is written to.
type Output struct {
	Topic      string
	Partitions int32
	Limit      int  // bytes of a batch as the broker takes it
	Compacted  bool // messages of one key replace each other, and each needs a key
}

// OpenOutput finds out about a topic, which must exist. Who may not read its configuration gets
// Kafka's default limit.
func OpenOutput(ctx context.Context, client *kafka.Client, topic string) (Output, error) {
	o := Output{Topic: topic, Limit: 1048588}
	err := retry(ctx, patience, func(ctx context.Context) error {
		m, err := client.Metadata(ctx, &kafka.MetadataRequest{Addr: client.Addr, Topics: []string{topic}})
		if err != nil {
			return err
		}
		if len(m.Topics) != 1 {
			return kafka.UnknownTopicOrPartition
		}
		o.Partitions = int32(len(m.Topics[0].Partitions))
		return m.Topics[0].Error
	})
	if err != nil {
		return o, fmt.Errorf("topic %s: %w", topic, explainAbsent(err, makeAnew))
	}
	if o.Partitions == 0 {
		return o, fmt.Errorf("topic %s has no partitions", topic)
	}
	r, err := client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Addr: client.Addr, Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{"max.message.bytes", "cleanup.policy"}},
	}})
	if err == nil && len(r.Resources) == 1 && r.Resources[0].Error == nil {
		for _, c := range r.Resources[0].ConfigEntries {
			if n, err := strconv.Atoi(c.ConfigValue); err == nil && c.ConfigName == "max.message.bytes" && n > 0 {
				o.Limit = n
			}
			if c.ConfigName == "cleanup.policy" {
				o.Compacted = strings.Contains(c.ConfigValue, "compact")
			}
		}
	}
	return o, nil
}

// ParseCompression reads the name of a compression, lz4 for "".
func ParseCompression(name string) (compress.Compression, error) {
	switch name {
	case "", "lz4":
		return compress.Lz4, nil
	case "none":
		return compress.None, nil
	case "gzip":
		return compress.Gzip, nil
	case "snappy":
		return compress.Snappy, nil
	case "zstd":
		return compress.Zstd, nil
	}
	return 0, fmt.Errorf("compression %q is not known: choose none, lz4, snappy, zstd or gzip", name)
}
