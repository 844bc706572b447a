package kafka

import (
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"archflow/internal/kafka/kafkatest"
)

// TestNewTopicsAreServed: a topic counts as made when its leader knows the partitions,
// which is later than they are in the metadata.
func TestNewTopicsAreServed(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	var asked atomic.Int32
	cluster.ControlKey(int16(kmsg.ListOffsets), func(q kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if asked.Add(1) > 2 {
			return nil, nil, false
		}
		r := q.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range q.(*kmsg.ListOffsetsRequest).Topics {
			answer := kmsg.NewListOffsetsResponseTopic()
			answer.Topic = topic.Topic
			for _, p := range topic.Partitions {
				about := kmsg.NewListOffsetsResponseTopicPartition()
				about.Partition, about.ErrorCode = p.Partition, kerr.UnknownTopicOrPartition.Code
				answer.Partitions = append(answer.Partitions, about)
			}
			r.Topics = append(r.Topics, answer)
		}
		return r, nil, true
	})
	client := kafkatest.Client(t, cluster.ListenAddrs()[0])
	want := []kafka.TopicConfig{{Topic: "a", NumPartitions: 2, ReplicationFactor: -1}, {Topic: "b", NumPartitions: 1, ReplicationFactor: -1}}
	have, err := EnsureTopics(t.Context(), client, want)
	if err != nil || have["a"] != 2 || have["b"] != 1 {
		t.Errorf("topics %v, %v", have, err)
	}
	asks := asked.Load()
	if asks <= 3 {
		t.Errorf("%d requests for the offsets of three partitions, of which two were refused", asks)
	}
	if _, err := EnsureTopics(t.Context(), client, want); err != nil || asked.Load() != asks {
		t.Errorf("topics that were there are asked for too (%d requests), %v", asked.Load()-asks, err)
	}
}
