package kafka_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
)

// hung listens like a broker that hangs: its port takes connections and nothing
// is ever answered.
func hung(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// holds joins a group and returns the number of generations that it has been in.
func holds(t *testing.T, c *kafka.Connection, topic string) *atomic.Int32 {
	t.Helper()
	var generations atomic.Int32
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- kafka.Membership{Group: topic, Topic: topic, Heartbeat: 100 * time.Millisecond}.Hold(ctx, c, nil, func(ctx context.Context, _ kafka.Assignment) error {
			generations.Add(1)
			<-ctx.Done()
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &generations
}

// TestHungBrokerFirst: of the brokers that are named, the first hangs. A process
// connects, joins its group and goes through a rebalance all the same.
func TestHungBrokerFirst(t *testing.T) {
	address := kafkatest.Fake(t)
	const topic = "hung"
	kafkatest.Topics(t, kafkatest.Client(t, address), 4, topic)
	brokers := []string{hung(t), address}
	one := &kafka.Connection{Brokers: brokers, Topics: []string{topic}}
	client, err := one.Connect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // the library's connections come and go
		kafka.DropIdle(client, context.DeadlineExceeded)
		have, err := kafka.PartitionCounts(t.Context(), client, []string{topic})
		if err != nil || have[topic] != 4 {
			t.Fatal(have, err)
		}
	}
	first := holds(t, one, topic)
	kafkatest.Eventually(t, "the group is joined", func() bool { return first.Load() > 0 })
	before := first.Load()
	second := holds(t, &kafka.Connection{Brokers: brokers}, topic)
	kafkatest.Eventually(t, "both are in a generation", func() bool { return second.Load() > 0 && first.Load() > before })
}

// TestNoBrokerAnswers: the error names each address with its reason.
func TestNoBrokerAnswers(t *testing.T) {
	a, b := hung(t), "127.0.0.1:1"
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	err := (&kafka.Connection{Brokers: []string{a, b}}).Check(ctx)
	if err == nil || !strings.Contains(err.Error(), a+": no answer") || !strings.Contains(err.Error(), b+": connection refused") {
		t.Error(err)
	}
}

// TestKnownBrokersAreUsed: the named broker goes away for good; brokers known from the
// cluster's metadata take its place.
func TestKnownBrokersAreUsed(t *testing.T) {
	var first net.Listener
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if first == nil {
			first = l
		}
		return l, err
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	c := &kafka.Connection{Brokers: []string{first.Addr().String()}}
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMetadataOfOurTopicsOnly: beside the topics of others, nothing is asked about
// them, however many there are.
func TestMetadataOfOurTopicsOnly(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(800, "foreign"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	var asked, foreign atomic.Int32
	cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.MetadataRequest)
		if request.Topics == nil {
			foreign.Add(1)
		}
		for _, topic := range request.Topics {
			asked.Add(1)
			if *topic.Topic != "ours" {
				foreign.Add(1)
			}
		}
		return nil, nil, false
	})
	c := &kafka.Connection{Brokers: cluster.ListenAddrs(), Topics: []string{"ours"}}
	client, err := c.Connect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	kafkatest.Topics(t, client, 2, "ours")
	have, err := kafka.PartitionCounts(t.Context(), client, []string{"ours"})
	if err != nil || have["ours"] != 2 || asked.Load() == 0 || foreign.Load() > 0 {
		t.Errorf("%v, %v; asked for ours %d times and %d times for others", have, err, asked.Load(), foreign.Load())
	}
}

// TestRotatedSecrets: the next connection uses the replaced files, without a restart.
func TestRotatedSecrets(t *testing.T) {
	l := kafkatest.Secure(t)
	dir := t.TempDir()
	put := func(name, from string) {
		t.Helper()
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	password := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "password"), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	password(l.Password)
	put("ca", l.CA)
	put("cert", l.Cert)
	put("key", l.Key)
	ca := filepath.Join(dir, "ca")
	for name, c := range map[string]*kafka.Connection{
		"password": {Brokers: []string{l.Plain}, CAFile: ca, Mechanism: "PLAIN", User: l.User, PasswordFile: filepath.Join(dir, "password")},
		"scram":    {Brokers: []string{l.Scram}, Mechanism: "SCRAM-SHA-256", User: l.User, PasswordFile: filepath.Join(dir, "password")},
		"mutual":   {Brokers: []string{l.MutualTLS}, CAFile: ca, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				return c.Check(ctx)
			}
			client, err := c.Connect(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			password("of yesterday")
			put("ca", l.OtherCA)
			err = ask()
			if err == nil || !kafka.Retriable(err) {
				t.Errorf("with what is no longer valid: %v; want an error that is waited out", err)
			}
			password(l.Password)
			put("ca", l.CA)
			kafka.DropIdle(client, context.DeadlineExceeded)
			if _, err := kafka.PartitionCounts(t.Context(), client, []string{"t"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReauthentication: a broker that wants SASL again every two seconds causes no
// rebalance and no error.
func TestReauthentication(t *testing.T) {
	l := kafkatest.Secure(t)
	for name, c := range map[string]*kafka.Connection{
		"plain": {Brokers: []string{l.Plain}, CAFile: l.CA, Mechanism: "PLAIN", User: l.User, Password: l.Password},
		"scram": {Brokers: []string{l.Scram}, Mechanism: "SCRAM-SHA-512", User: l.User, Password: l.Password},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := c.Connect(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			topic := "again-" + name
			kafkatest.Topics(t, client, 1, topic)
			generations := holds(t, c, topic)
			kafkatest.Eventually(t, "the group is joined", func() bool { return generations.Load() > 0 })
			reader := kafka.OpenPartition(client, schemas.TopicPartition{Topic: topic}, 0, kafka.Limits{Wait: 100 * time.Millisecond})
			for end := time.Now().Add(7 * time.Second); time.Now().Before(end); { // three sessions
				if _, _, _, err := reader.Fetch(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := generations.Load(); n != 1 {
				t.Errorf("%d generations", n)
			}
		})
	}
}

func TestCheckAddress(t *testing.T) {
	for address, want := range map[string]string{
		"localhost:9092": "", "[::1]:9092": "", "kafka-0.kafka.svc:9093": "",
		"PLAINTEXT://kafka:9092": "write kafka:9092", "plaintext://kafka:9092": "write kafka:9092",
		"SASL_SSL://kafka:9093": "write kafka:9093, and set tls: true, sasl", "SSL://kafka:9093": "set tls: true",
		"http://kafka:8082": "speaks no http", "https://kafka:8082/topics": "speaks no https",
		"kafka": "HOST:PORT", ":9092": "HOST:PORT", "kafka:": "HOST:PORT", "kafka:high": "is not a port", "kafka:99999": "is not a port",
		"kafka:9092/": "HOST:PORT", "": "HOST:PORT",
	} {
		err := kafka.CheckAddress(address)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
}
