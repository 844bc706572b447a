package pipeline

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka/kafkatest"
)

// TestHeadersComeBack: a candidate's headers are on its answer, and a broken
// one's on its dead letter, in their order, with values that are none, empty and
// neither kept apart.
func TestHeadersComeBack(t *testing.T) {
	f := newFaulty(t)
	f.run()
	headers := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "b", Value: []byte{}}, {Key: "", Value: nil}}
	for _, value := range []string{chain(1), chain(1)[:20]} {
		if err := f.client.ProduceSync(t.Context(), &kgo.Record{Topic: f.topic("architectures"), Value: []byte(value), Headers: headers}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, short := range []string{"predictions", "dead-letters"} {
		var read []*kgo.Record
		await(t, func() string {
			if read = kafkatest.Read(t, f.config.Brokers[0], f.topic(short)); len(read) == 0 {
				return "nothing in " + short
			}
			return ""
		})
		if len(read) != 1 || len(read[0].Headers) < len(headers) {
			t.Fatalf("%s: %v", short, read)
		}
		if got := fmt.Sprintf("%#v", read[0].Headers[:len(headers)]); got != fmt.Sprintf("%#v", headers) {
			t.Errorf("%s: headers %s, want %#v", short, got, headers)
		}
	}
	f.end()
}
