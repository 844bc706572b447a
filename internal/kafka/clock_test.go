package kafka

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol/produce"

	"archflow/schemas"
)

// refusing is a broker that answers every write with an error code.
type refusing int16

func (r refusing) RoundTrip(context.Context, net.Addr, kafka.Request) (kafka.Response, error) {
	return &produce.Response{Topics: []produce.ResponseTopic{{Topic: "t", Partitions: []produce.ResponsePartition{{ErrorCode: int16(r)}}}}}, nil
}

// TestClockIsRefused: a topic that takes no timestamps of this machine's clock ends the
// write at once, with a sentence that names the partition, both clocks and the topic's
// settings.
func TestClockIsRefused(t *testing.T) {
	p := &Producer{client: &kafka.Client{Transport: refusing(kafka.InvalidTimestamp)}, compression: compress.None, written: map[schemas.TopicPartition]int64{}}
	err := p.Produce(t.Context(), schemas.TopicPartition{Topic: "t"}, batchOf("x"), 1<<20)
	if !errors.Is(err, kafka.InvalidTimestamp) {
		t.Fatal(err)
	}
	for _, part := range []string{"t/0", "this machine", "brokers", "NTP", "message.timestamp.after.max.ms", "message.timestamp.before.max.ms"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}
