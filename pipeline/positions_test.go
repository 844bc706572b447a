package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/ops"
	"archflow/schemas"
)

// restarted is a worker on a broker of the test that is run to the end of its topic as
// often as the test wants; the test may change its group in between.
type restarted struct {
	t       *testing.T
	config  *Config
	dialled *Connected
	report  *ops.Telemetry
	log     bytes.Buffer
	fed     int
}

func newRestarted(t *testing.T) *restarted {
	t.Helper()
	return restartedOn(t, kafkatest.Fake(t))
}

func restartedOn(t *testing.T, address string) *restarted {
	t.Helper()
	s := &restarted{t: t, config: settings(t)}
	s.config.Brokers = []string{address}
	s.config.TopicPrefix = t.Name() + "."
	s.config.Group = t.Name()
	s.config.HTTP, s.config.Role, s.config.ExitAtEnd = "off", RoleWorker, true
	var err error
	if s.report, err = ops.Start(t.Context(), ops.Options{LogOutput: &s.log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.report.Shutdown(context.Background()) })
	if s.dialled, err = Dial(t.Context(), s.config, s.report.Log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.dialled.Close() })
	return s
}

func (s *restarted) feed(n int) {
	s.t.Helper()
	writer := s.dialled.Writer(s.dialled.Topics.Architectures)
	for range n {
		if s.fed++; s.fed%5 == 0 {
			send(s.t, writer, `{"space":"no where","ops":["a"],"edges":[]}`)
		} else {
			send(s.t, writer, chain(s.fed))
		}
	}
	if err := writer.Close(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// run processes the waiting messages and returns its log.
func (s *restarted) run() (string, error) {
	s.t.Helper()
	s.log.Reset()
	p, err := Open(s.t.Context(), s.config, s.report, "test")
	if err != nil {
		return s.log.String(), err
	}
	defer p.Close()
	err = p.Run(s.t.Context())
	return s.log.String(), err
}

// answers counts predictions and dead letters, and duplicates.
func (s *restarted) answers() (total, twice int) {
	s.t.Helper()
	seen := map[string]bool{}
	note := func(place string) {
		total++
		if seen[place] {
			twice++
		}
		seen[place] = true
	}
	for _, r := range kafkatest.Read(s.t, s.config.Brokers[0], s.dialled.Topics.Predictions) {
		var answer schemas.Prediction
		if err := json.Unmarshal(r.Value, &answer); err != nil {
			s.t.Fatal(err)
		}
		note(fmt.Sprint(answer.Source))
	}
	for _, r := range kafkatest.Read(s.t, s.config.Brokers[0], s.dialled.Topics.DeadLetters) {
		place := ""
		for _, h := range r.Headers {
			if h.Key == "archflow-partition" || h.Key == "archflow-offset" {
				place += "/" + string(h.Value)
			}
		}
		note(place)
	}
	return total, twice
}

// TestOffsetsGone: the group's offsets are gone, as after a stop for longer than
// offsets.retention.minutes. Nothing is answered again.
func TestOffsetsGone(t *testing.T) {
	s := newRestarted(t)
	s.feed(100)
	if _, err := s.run(); err != nil {
		t.Fatal(err)
	}
	request := kmsg.NewPtrDeleteGroupsRequest()
	request.Groups = []string{s.config.Group}
	client := kafkatest.Foreign(t, s.config.Brokers[0])
	if r, err := request.RequestWith(t.Context(), client); err != nil || r.Groups[0].ErrorCode != 0 {
		t.Fatal(r, err)
	}
	s.feed(10)
	if _, err := s.run(); err != nil {
		t.Fatal(err)
	}
	if total, twice := s.answers(); total != 110 || twice != 0 {
		t.Errorf("%d answers, %d of them twice", total, twice)
	}
	if !strings.Contains(s.log.String(), "going on at the table's position") {
		t.Error("it does not say so")
	}
}

// TestOffsetsMovedForward: an operator has moved the offsets past the answered messages.
// The log has the number of messages that are left out.
func TestOffsetsMovedForward(t *testing.T) {
	s := newRestarted(t)
	s.feed(100)
	if _, err := s.run(); err != nil {
		t.Fatal(err)
	}
	s.feed(40)
	var to []kafka.Position
	var partitions []schemas.TopicPartition
	for n := range s.dialled.Partitions[s.dialled.Topics.Architectures] {
		p := schemas.TopicPartition{Topic: s.dialled.Topics.Architectures, Number: int32(n)}
		partitions = append(partitions, p)
		_, end, err := kafka.Ends(t.Context(), s.dialled.Client, p)
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, kafka.Position{TopicPartition: p, Next: end})
	}
	before, err := kafka.ReadOffsets(t.Context(), s.dialled.Client, s.config.Group, partitions)
	if err != nil {
		t.Fatal(err)
	}
	if err := kafka.CommitOffsets(t.Context(), s.dialled.Client, kafka.Member{Group: s.config.Group, Generation: -1}, to...); err != nil {
		t.Fatal(err)
	}
	if _, err := s.run(); err != nil {
		t.Fatal(err)
	}
	for i, p := range partitions {
		if skipped := to[i].Next - before[p].Next; skipped > 0 && !strings.Contains(s.log.String(), fmt.Sprintf(`"partition":%d,"skipped":%d`, p.Number, skipped)) &&
			!strings.Contains(s.log.String(), fmt.Sprintf("partition=%d skipped=%d", p.Number, skipped)) {
			t.Errorf("%d messages of partition %d are skipped, and it says\n%s", skipped, p.Number, s.log.String())
		}
	}
	if total, twice := s.answers(); total != 100 || twice != 0 {
		t.Errorf("%d answers, %d of them twice", total, twice)
	}
}

// TestTrainerSkipsNothing: the trainer's group is further than its tables, as after
// every kill between their commits. The trainer reads on from its journal's position,
// and does not report labels as left out.
func TestTrainerSkipsNothing(t *testing.T) {
	s := newRestarted(t)
	s.config.Role = RoleTrainer
	labels := func() {
		writer := s.dialled.Writer(s.dialled.Topics.Labels)
		send(t, writer, `{"space":"dag","id":"a","task":"acc","value":1}`)
		send(t, writer, `{"space":"dag","id":"a","task":"acc"}`) // a dead letter, so that its table has a position
		if err := writer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	labels()
	if said, err := s.run(); err != nil {
		t.Fatal(err, said)
	}
	labels()
	partition := schemas.TopicPartition{Topic: s.dialled.Topics.Labels}
	_, end, err := kafka.Ends(t.Context(), s.dialled.Client, partition)
	if err != nil {
		t.Fatal(err)
	}
	trainer := kafka.Member{Group: trainers(s.config.Group), Generation: -1}
	if err := kafka.CommitOffsets(t.Context(), s.dialled.Client, trainer, kafka.Position{TopicPartition: partition, Next: end}); err != nil {
		t.Fatal(err)
	}
	said, err := s.run()
	if err != nil {
		t.Fatal(err, said)
	}
	if strings.Contains(said, "moved forward") {
		t.Error(said)
	}
}

// TestCompactedPredictions: the topics of predictions and dead letters were made
// compacted, which takes no message without a key. Candidates without one are
// answered all the same, each under the key of its place.
func TestCompactedPredictions(t *testing.T) {
	address := kafkatest.Real(t)
	client := kafkatest.Client(t, address)
	compacted := []kafkago.ConfigEntry{{ConfigName: "cleanup.policy", ConfigValue: "compact"}}
	if _, err := kafka.EnsureTopics(t.Context(), client, []kafkago.TopicConfig{
		{Topic: t.Name() + ".predictions", NumPartitions: 1, ReplicationFactor: -1, ConfigEntries: compacted},
		{Topic: t.Name() + ".dead-letters", NumPartitions: 1, ReplicationFactor: -1, ConfigEntries: compacted},
	}); err != nil {
		t.Fatal(err)
	}
	s := restartedOn(t, address)
	s.feed(50)
	if said, err := s.run(); err != nil {
		t.Fatal(err, said)
	}
	if total, twice := s.answers(); total != 50 || twice != 0 {
		t.Errorf("%d answers, %d of them twice", total, twice)
	}
}
