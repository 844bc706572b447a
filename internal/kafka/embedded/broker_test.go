package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
)

// brokerDir makes the test binary a process that runs or uses the broker of
// that folder, for the tests that kill it.
const brokerDir = "ARCHFLOW_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(brokerDir); dir != "" {
		b, err := Open(context.Background(), dir, At{})
		fmt.Println(b, err)
		obey(os.Stdin, os.Stdout)
		select {}
	}
	kafkatest.Main(m)
}

// startProcess starts a process that opens the broker and returns when it has.
func startProcess(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	c := process(dir)
	start(t, c)
	return c
}

// start starts a broker's process and returns a function that gives it an order
// and waits until that is done.
func start(t *testing.T, c *exec.Cmd) (order func(string)) {
	t.Helper()
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(c) })
	lines := bufio.NewReader(out)
	said := func(want string) {
		t.Helper()
		if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Fatalf("the process said %q, %v, want %q", line, err, want)
		}
	}
	said("127.0.0.1:")
	return func(what string) {
		t.Helper()
		if _, err := fmt.Fprintln(in, what); err != nil {
			t.Fatal(err)
		}
		said(what)
	}
}

func kill(c *exec.Cmd) {
	_ = c.Process.Kill()
	_ = c.Wait()
}

// TestBrokerSurvivesKill: the process with the broker is killed again and again;
// acknowledged messages are kept, and the broker comes back at its address.
func TestBrokerSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	var want []string
	var address string
	starts := map[string]bool{}
	for round := range 4 {
		owner := startProcess(t, dir)
		b, err := Open(t.Context(), dir, At{})
		if err != nil {
			t.Fatal(err)
		}
		if b.Own() || starts[b.Start()] || address != "" && b.Address != address {
			t.Errorf("round %d: broker %+v after %s", round, b, address)
		}
		address, starts[b.Start()] = b.Address, true
		client := kafkatest.Client(t, address)
		if _, err := kafka.EnsureTopics(t.Context(), client, []kafkago.TopicConfig{{Topic: "t", NumPartitions: 1, ReplicationFactor: -1}}); err != nil {
			t.Fatal(err)
		}
		if all := read(t, kafka.OpenPartition(client, schemas.TopicPartition{Topic: "t"}, 0, kafka.Limits{})); !slices.Equal(all, want) {
			t.Errorf("round %d: %q, want %q", round, all, want)
		}
		w := kafkago.Writer{Addr: client.Addr, Topic: "t", Transport: client.Transport, RequiredAcks: kafkago.RequireAll, BatchTimeout: time.Millisecond}
		for i := range 20 {
			v := fmt.Sprint(round, " ", i)
			if err := w.WriteMessages(t.Context(), kafkago.Message{Value: []byte(v)}); err != nil {
				t.Fatal(err)
			}
			want = append(want, v)
		}
		kill(owner)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Nobody runs it now: the next one takes over.
	b, err := Open(t.Context(), dir, At{})
	if err != nil {
		t.Fatal(err)
	}
	if !b.Own() {
		t.Error("a dead owner's broker was not taken over")
	}
	second, err := Open(t.Context(), dir, At{})
	if err != nil || second.Own() || second.Address != b.Address || second.Start() != b.Start() {
		t.Errorf("beside %+v: %+v, %v", b, second, err)
	}
	// In this order, or the second would take over.
	if err := errors.Join(second.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestBrokerTornBatch: a kill between the two writes of a batch, to the segment and to
// its index. The batch belonged to a transaction that was never ended, so no reader may
// get it, and later batches are kept.
func TestBrokerTornBatch(t *testing.T) {
	for name, cut := range map[string]int64{"no entry": indexEntry, "half an entry": indexEntry / 2} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			owner := startProcess(t, dir)
			b, err := Open(t.Context(), dir, At{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := kafka.EnsureTopics(t.Context(), kafkatest.Client(t, b.Address), []kafkago.TopicConfig{{Topic: "t", NumPartitions: 1, ReplicationFactor: -1}}); err != nil {
				t.Fatal(err)
			}
			transaction(t, b.Address, true, "one")
			transaction(t, b.Address, false, "torn")
			kill(owner)
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			index := dir + "/broker/data/partitions/t-0/0.idx"
			info, err := os.Stat(index)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(index, info.Size()-cut); err != nil {
				t.Fatal(err)
			}
			want := []string{"one"}
			for _, more := range []string{"two", "three"} {
				b, err := Open(t.Context(), dir, At{})
				if err != nil {
					t.Fatal(err)
				}
				partition := kafka.OpenPartition(kafkatest.Client(t, b.Address), schemas.TopicPartition{Topic: "t"}, 0, kafka.Limits{})
				if all := read(t, partition); !slices.Equal(all, want) {
					t.Errorf("before %q: %q, want %q", more, all, want)
				}
				transaction(t, b.Address, true, more)
				want = append(want, more)
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// transaction writes a message to topic t in a transaction, and commits it or
// leaves it open.
func transaction(t *testing.T, address string, commit bool, value string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.TransactionalID(value))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if commit {
		if err := client.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBrokerOfADamagedFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/broker", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "nonsense", "10.1.2.3:9092 abc", "127.0.0.1:1 abc"} {
		if err := os.WriteFile(dir+"/broker/address", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		b, err := Open(t.Context(), dir, At{})
		if err != nil || !b.Own() {
			t.Fatalf("address file %q: %+v, %v", text, b, err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClientTakesBrokerOver: when the process with the broker dies, one of its clients runs the
// broker on, at the same address and with all messages.
func TestClientTakesBrokerOver(t *testing.T) {
	dir := t.TempDir()
	owner := startProcess(t, dir)
	users := make([]*Broker, 3)
	for i := range users {
		var err error
		if users[i], err = Open(t.Context(), dir, At{}); err != nil || users[i].Own() {
			t.Fatal(users[i], err)
		}
	}
	address, start := users[0].Address, users[0].Start()
	client := kafkatest.Client(t, address)
	kafkatest.Topics(t, client, 1, "t")
	w := kafkago.Writer{Addr: client.Addr, Topic: "t", Transport: client.Transport, RequiredAcks: kafkago.RequireAll, BatchTimeout: time.Millisecond}
	if err := w.WriteMessages(t.Context(), kafkago.Message{Value: []byte("kept")}); err != nil {
		t.Fatal(err)
	}
	kill(owner)
	for len(users) > 0 {
		heir := -1
		kafkatest.Eventually(t, "one runs it", func() bool {
			heir = slices.IndexFunc(users, (*Broker).Own)
			return heir >= 0
		})
		for _, b := range users {
			if b.Address != address || b.Start() != users[heir].Start() || b.Start() == start {
				t.Errorf("broker %s started as %s after %s, %s", b.Address, b.Start(), address, start)
			}
		}
		start = users[heir].Start()
		all := read(t, kafka.OpenPartition(client, schemas.TopicPartition{Topic: "t"}, 0, kafka.Limits{}))
		if !slices.Equal(all, []string{"kept"}) {
			t.Errorf("it has %q", all)
		}
		if err := users[heir].Close(); err != nil {
			t.Fatal(err)
		}
		users = slices.Delete(users, heir, heir+1)
	}
}

// read returns the values of a partition up to its end.
func read(t *testing.T, r *kafka.PartitionReader) (values []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		m, next, end, err := r.Fetch(ctx)
		if err != nil && (!kafka.Recoverable(err) || ctx.Err() != nil) {
			t.Fatal(err)
		}
		for i := range m.Len() {
			values = append(values, string(m.Value.At(i)))
		}
		if err == nil && next >= end {
			return values
		}
	}
}
