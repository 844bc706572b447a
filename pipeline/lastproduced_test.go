package pipeline

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/segmentio/kafka-go"

	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
)

// TestTornCommit: the embedded broker was killed after it had committed answers
// and before it had committed the position with them. They are not given again.
func TestTornCommit(t *testing.T) {
	c := settings(t)
	c.HTTP, c.Role, c.ExitAtEnd = "off", RoleWorker, true
	report := telemetry(t)
	dialled, err := Dial(t.Context(), c, report.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	feed := func(n int) {
		writer := dialled.Writer(dialled.Topics.Architectures)
		for i := range n {
			if i%5 == 0 {
				send(t, writer, `{"space":"no where","ops":["a"],"edges":[]}`)
				continue
			}
			send(t, writer, chain(i))
		}
		if err := writer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run := func() {
		p, err := Open(t.Context(), c, report, "test")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	feed(200)
	run()
	back(t, dialled, c.Group, 15)
	feed(100)
	run()

	address := dialled.Broker.Address
	seen := map[schemas.Source]bool{}
	for _, r := range kafkatest.Read(t, address, dialled.Topics.Predictions) {
		var answer schemas.Prediction
		if err := json.Unmarshal(r.Value, &answer); err != nil {
			t.Fatal(err)
		}
		if seen[answer.Source] {
			t.Errorf("%v is answered twice", answer.Source)
		}
		seen[answer.Source] = true
	}
	if deadLetters := len(kafkatest.Read(t, address, dialled.Topics.DeadLetters)); len(seen) != 240 || deadLetters != 60 {
		t.Errorf("%d answers and %d dead letters of 300 candidates", len(seen), deadLetters)
	}
}

// back sets the group's position of each partition back.
func back(t *testing.T, d *Connected, group string, by int64) {
	t.Helper()
	topic := d.Topics.Architectures
	had, err := d.Client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0, 1, 2, 3}}})
	if err != nil {
		t.Fatal(err)
	}
	request := &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{}}
	for _, p := range had.Topics[topic] {
		if p.CommittedOffset < by {
			t.Fatalf("position %d of partition %d", p.CommittedOffset, p.Partition)
		}
		request.Topics[topic] = append(request.Topics[topic], kafka.OffsetCommit{Partition: p.Partition, Offset: p.CommittedOffset - by, Metadata: p.Metadata})
	}
	if _, err := d.Client.OffsetCommit(context.Background(), request); err != nil {
		t.Fatal(err)
	}
}
