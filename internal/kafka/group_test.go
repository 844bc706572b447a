package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// member is a process of a group that copies a topic through the predictions
// sink, each offset as its own batch.
type member struct {
	stop context.CancelFunc
	done chan error
	lock sync.Mutex
	has  []int32 // partitions it holds now
}

func (m *member) holds() []int32 {
	m.lock.Lock()
	defer m.lock.Unlock()
	return slices.Clone(m.has)
}

func (m *member) set(has []int32) {
	m.lock.Lock()
	m.has = has
	m.lock.Unlock()
}

func join(t *testing.T, address, topic string) *member {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	m := &member{stop: stop, done: make(chan error, 1)}
	client := kafkatest.Client(t, address)
	membership := kafka.Membership{Group: topic, Topic: topic, Session: 6 * time.Second, Heartbeat: 100 * time.Millisecond, Watch: 200 * time.Millisecond}
	go func() {
		m.done <- membership.Hold(ctx, &kafka.Connection{Brokers: []string{address}}, nil, func(ctx context.Context, a kafka.Assignment) error {
			var has []int32
			for _, p := range a.Partitions {
				has = append(has, p.Number)
			}
			m.set(has)
			defer m.set(nil)
			if len(a.Partitions) == 0 {
				return nil
			}
			err := copyThrough(ctx, client, topic, a)
			if errors.Is(err, sinks.ErrFenced) || ctx.Err() != nil {
				return nil
			}
			return err
		})
	}()
	t.Cleanup(stop)
	return m
}

func copyThrough(ctx context.Context, client *kafka.Client, topic string, a kafka.Assignment) error {
	free := context.WithoutCancel(ctx) // for finishing
	s, err := sinks.OpenPredictions(free, client, sinks.DeliveryConfig{Predictions: topic + "p", DeadLetters: topic + "d", Member: a.Member})
	if err != nil {
		return err
	}
	defer s.Close()
	at, err := s.Positions(free, a.Partitions)
	if err != nil {
		return err
	}
	var readers []*kafka.PartitionReader
	for _, p := range a.Partitions {
		readers = append(readers, kafka.OpenPartition(client, p, at[p], kafka.Limits{Messages: 20, Wait: 20 * time.Millisecond}))
	}
	for ctx.Err() == nil {
		for _, r := range readers {
			first := at[r.TopicPartition]
			_, next, _, err := r.Fetch(free)
			if sinks.Recoverable(err) { // a new partition that the client does not know yet
				continue
			}
			if err != nil {
				return err
			}
			at[r.TopicPartition] = next
			if next > first {
				if err := s.Write(free, sinktest.Batch(r.TopicPartition, first, next)); err != nil {
					return err
				}
			}
		}
		if err := s.Commit(free); err != nil {
			return err
		}
	}
	return nil
}

// TestRebalance: one process, then two, then one again, while messages come and
// the topic grows by partitions; every message is answered once.
func TestRebalance(t *testing.T) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		kafkatest.Topics(t, kafkatest.Client(t, address), 4, topic, topic+"p", topic+"d")
		producer := kafkatest.Foreign(t, address)
		sent := map[int32]int64{}
		send := func(partitions int) {
			var records []*kgo.Record
			for i := range 100 {
				p := int32(i % partitions)
				records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: []byte("x")})
				sent[p]++
			}
			if err := producer.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		send(4)
		a := join(t, address, topic)
		kafkatest.Eventually(t, "the first has all", func() bool { return len(a.holds()) == 4 })
		send(4)
		b := join(t, address, topic)
		kafkatest.Eventually(t, "they share", func() bool { return len(a.holds()) == 2 && len(b.holds()) == 2 })
		send(4)
		began := time.Now()
		a.stop()
		if err := <-a.done; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("leaving took %s", took)
		}
		kafkatest.Eventually(t, "the second has all", func() bool { return len(b.holds()) == 4 })
		send(4)
		growTopic(t, address, topic, 6)
		kafkatest.Eventually(t, "the new partitions are noticed", func() bool { return len(b.holds()) == 6 })
		producer = kafkatest.Foreign(t, address) // the one before does not know them
		send(6)
		check := func() (missing, doubled int) {
			count := map[string]int{}
			for _, suffix := range []string{"p", "d"} {
				for _, r := range kafkatest.Read(t, address, topic+suffix) {
					count[string(r.Key)]++
				}
			}
			for p, n := range sent {
				for o := range n {
					switch c := count[sinktest.Architecture(schemas.TopicPartition{Topic: topic, Number: p}, o)]; {
					case c == 0:
						missing++
					case c > 1:
						doubled++
					}
				}
			}
			return missing, doubled
		}
		kafkatest.Eventually(t, "all is answered", func() bool { missing, _ := check(); return missing == 0 })
		b.stop()
		if err := <-b.done; err != nil {
			t.Fatal(err)
		}
		if missing, doubled := check(); missing != 0 || doubled != 0 {
			t.Errorf("%d missing, %d doubled", missing, doubled)
		}
	})
}

func growTopic(t *testing.T, address, topic string, to int32) {
	t.Helper()
	client := kafkatest.Client(t, address)
	r, err := client.CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{
		Addr: client.Addr, Topics: []kafkago.TopicPartitionsConfig{{Name: topic, Count: to}},
	})
	if err != nil || r.Errors[topic] != nil {
		t.Fatal("grow: ", err, r)
	}
}

// TestTopicOfTheGroupIsGone: members of a group whose topic was deleted rest between the
// generations without partitions, of which one follows the other at once.
func TestTopicOfTheGroupIsGone(t *testing.T) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		client := kafkatest.Client(t, address)
		kafkatest.Topics(t, client, 1, topic)
		ctx, stop := context.WithCancel(t.Context())
		held := make(chan int)
		membership := kafka.Membership{Group: topic, Topic: topic, Session: 6 * time.Second, Heartbeat: 100 * time.Millisecond, Watch: 200 * time.Millisecond}
		done := make(chan error, 1)
		go func() {
			done <- membership.Hold(ctx, &kafka.Connection{Brokers: []string{address}}, nil, func(ctx context.Context, a kafka.Assignment) error {
				select {
				case held <- len(a.Partitions):
					<-ctx.Done()
				case <-ctx.Done():
				}
				return nil
			})
		}()
		for <-held == 0 {
		}
		if r, err := client.DeleteTopics(t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{topic}}); err != nil || r.Errors[topic] != nil {
			t.Fatal(err, r)
		}
		for <-held > 0 {
		}
		began := time.Now()
		for range 7 { // 50 ms and twice as much each time, less by up to a half
			<-held
		}
		if took := time.Since(began); took < time.Second {
			t.Errorf("seven generations in %s", took)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestOneHolder: of several members for a topic of one partition one holds it,
// and another when it goes.
func TestOneHolder(t *testing.T) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		kafkatest.Topics(t, kafkatest.Client(t, address), 1, topic, topic+"p", topic+"d")
		members := []*member{join(t, address, topic), join(t, address, topic), join(t, address, topic)}
		for len(members) > 0 {
			holder := -1
			kafkatest.Eventually(t, fmt.Sprintf("one of %d holds it", len(members)), func() bool {
				n := 0
				for i, m := range members {
					if len(m.holds()) == 1 {
						holder = i
						n++
					}
				}
				if n > 1 {
					t.Fatal("two hold the one partition")
				}
				return n == 1
			})
			members[holder].stop()
			if err := <-members[holder].done; err != nil {
				t.Fatal(err)
			}
			members = slices.Delete(members, holder, holder+1)
		}
	})
}

func TestConnectErrors(t *testing.T) {
	for _, test := range []struct {
		connection *kafka.Connection
		want       string
	}{
		{&kafka.Connection{Brokers: []string{"127.0.0.1:1"}}, "no broker at 127.0.0.1:1: connection refused: is Kafka running there?"},
		{&kafka.Connection{}, "no broker is named"},
		{&kafka.Connection{Brokers: []string{"127.0.0.1:1"}, Mechanism: "PLAIN"}, "needs a user and a password"},
		{&kafka.Connection{Brokers: []string{"127.0.0.1:1"}, Mechanism: "MAGIC", User: "u", Password: "secret"}, "choose PLAIN"},
		{&kafka.Connection{Brokers: []string{"127.0.0.1:1"}, CertFile: "x"}, "give both files"},
		{&kafka.Connection{Brokers: []string{"127.0.0.1:1"}, CAFile: "absent.pem"}, "absent.pem"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := test.connection.Connect(ctx, nil)
		cancel()
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v, want %q", test.connection.String(), err, test.want)
		}
	}
}
