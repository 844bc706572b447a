// Package kafkatest starts the brokers that tests of the Kafka sinks and
// sources run against: a fake in the process for the fast ones, and a real
// Apache Kafka.
package kafkatest

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Fake starts a broker in the process and returns its address.
func Fake(t testing.TB, options ...kfake.Opt) string {
	t.Helper()
	options = append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second)}, options...)
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal("fake broker:", err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()[0]
}

// shared is the one real broker of the test process. It ends with the process,
// at the latest when Main has run the tests.
var shared struct {
	once   sync.Once
	server *Server
	secure Listeners
	err    error
}

var atEnd []func()

// AtEnd has Main call f when the tests have run.
func AtEnd(f func()) { atEnd = append(atEnd, f) }

// Main runs the tests and then stops the broker that they started. A package
// that uses Real calls it as its TestMain.
func Main(m *testing.M) {
	code := m.Run()
	for _, f := range slices.Backward(atEnd) {
		f()
	}
	os.Exit(code)
}

// Real returns the address of an Apache Kafka that all tests of the process
// share, starting it at the first call; topics and groups need names of their
// own. Without Java or Kafka's files the test is left out, which is a failure
// where CI=true.
func Real(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		shared.secure = newListeners()
		if shared.server, shared.err = newServer(shared.secure.configure); shared.err == nil {
			AtEnd(shared.server.remove)
			shared.err = shared.server.start()
		}
	})
	if shared.err != nil {
		leaveOut(t, shared.err)
	}
	return shared.server.Address
}

// errMissing says that the machine lacks a part, rather than the server being
// broken.
type errMissing struct{ error }

func leaveOut(t testing.TB, err error) {
	t.Helper()
	var missing errMissing
	if errors.As(err, &missing) && os.Getenv("CI") != "true" {
		t.Skip("left out, for want of Apache Kafka: ", err)
	}
	t.Fatal("Apache Kafka: ", err)
}

// Client returns a client of the broker at an address.
func Client(t testing.TB, address string) *kafka.Client {
	transport := &kafka.Transport{MetadataTTL: time.Second, ClientID: "test"}
	t.Cleanup(transport.CloseIdleConnections)
	return &kafka.Client{Addr: kafka.TCP(address), Timeout: 10 * time.Second, Transport: transport}
}

// Topics creates topics that are absent with a number of partitions each and returns when
// the broker serves them.
func Topics(t testing.TB, client *kafka.Client, partitions int, names ...string) {
	t.Helper()
	var topics []kafka.TopicConfig
	for _, name := range names {
		topics = append(topics, kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: 1})
	}
	Create(t, client, topics...)
}

// Create is Topics for topics with settings of their own.
func Create(t testing.TB, client *kafka.Client, topics ...kafka.TopicConfig) {
	t.Helper()
	request := &kafka.CreateTopicsRequest{Addr: client.Addr, Topics: topics}
	var response *kafka.CreateTopicsResponse
	var err error
	// A server that has just started answers some requests before others.
	for range 100 {
		response, err = client.CreateTopics(t.Context(), request)
		if !errors.Is(err, kafka.BrokerNotAvailable) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		t.Fatal("create topics:", err)
	}
	var made []kafka.TopicConfig
	for _, topic := range topics {
		switch err := response.Errors[topic.Topic]; {
		case err == nil:
			made = append(made, topic)
		case !errors.Is(err, kafka.TopicAlreadyExists):
			t.Fatalf("create topic %s: %v", topic.Topic, err)
		}
	}
	awaitLogs(t, client, made)
}

// awaitLogs returns when the broker has opened the logs of new topics. It answers for the
// metadata before, and a transaction that ends in between waits for a minute.
func awaitLogs(t testing.TB, client *kafka.Client, topics []kafka.TopicConfig) {
	t.Helper()
	request := &kafka.ListOffsetsRequest{Addr: client.Addr, Topics: map[string][]kafka.OffsetRequest{}}
	for _, topic := range topics {
		for p := range topic.NumPartitions {
			request.Topics[topic.Topic] = append(request.Topics[topic.Topic], kafka.LastOffsetOf(p))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		listed, err := client.ListOffsets(ctx, request)
		if err == nil {
			for _, topic := range listed.Topics {
				for _, p := range topic {
					err = errors.Join(err, p.Error)
				}
			}
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("offsets of the new topics %v: %v", topics, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func answers(address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := (&kafka.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	brokers, err := conn.Brokers()
	return err == nil && len(brokers) > 0
}

const properties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%d
listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d
advertised.listeners=PLAINTEXT://127.0.0.1:%d
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=%s/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
num.partitions=1
auto.create.topics.enable=false
`

const logging = `Configuration:
  Appenders:
    Console:
      name: out
      PatternLayout:
        pattern: "%p %m%n"
  Loggers:
    Root:
      level: error
      AppenderRef:
        ref: out
`

// OnBrokers runs a test against the fake and the real broker with the name of a
// topic that does not exist yet.
func OnBrokers(t *testing.T, test func(t *testing.T, address, topic string)) {
	for _, broker := range []struct {
		name string
		open func(testing.TB) string
	}{
		{"fake", func(t testing.TB) string { return Fake(t) }},
		{"real", Real},
	} {
		t.Run(broker.name, func(t *testing.T) {
			address := broker.open(t)
			test(t, address, strings.NewReplacer("/", ".", " ", "_").Replace(t.Name()))
		})
	}
}

// Eventually waits until holds returns true.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not so after 30 s: ", what)
		}
	}
}

// Foreign is a producer of another library.
func Foreign(t testing.TB, address string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(address), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
