package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"archflow/schemas"
)

// exchanged is a connection on which a request was answered.
type exchanged struct {
	bytes.Buffer
	answer *bytes.Reader
}

func (e *exchanged) Read(p []byte) (int, error) { return e.answer.Read(p) }

// TestThrottled: an answer without records because of a quota is treated as none. The
// library then closes the connection, from which the broker reads nothing meanwhile, and
// the pause is the broker's. An answer with records is returned.
func TestThrottled(t *testing.T) {
	for _, c := range []struct {
		throttle int32
		records  []byte
		want     time.Duration
	}{{0, nil, 0}, {1500, nil, 1500 * time.Millisecond}, {1500, []byte("a batch"), 0}} {
		response := kmsg.NewPtrFetchResponse()
		response.Version, response.ThrottleMillis = 11, c.throttle
		topic, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		topic.Topic, partition.RecordBatches = "t", c.records
		topic.Partitions = append(topic.Partitions, partition)
		response.Topics = append(response.Topics, topic)
		body := response.AppendTo(binary.BigEndian.AppendUint32(nil, 1))
		conn := &exchanged{answer: bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))}
		request := &rawFetch{of: schemas.TopicPartition{Topic: "t"}, limits: Limits{}.filled()}
		_, err := request.RawExchange(conn)
		var throttled *throttledError
		switch {
		case c.want == 0 && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.want > 0 && (!errors.As(err, &throttled) || throttled.wait != c.want):
			t.Errorf("%+v: %v", c, err)
		}
	}
}
