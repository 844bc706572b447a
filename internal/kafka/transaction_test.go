package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
)

func TestMain(m *testing.M) { kafkatest.Main(m) }

// onTopic is kafkatest.OnBrokers with a topic of two partitions.
func onTopic(t *testing.T, test func(t *testing.T, address, topic string)) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		kafkatest.Topics(t, kafkatest.Client(t, address), 2, topic)
		test(t, address, topic)
	})
}

func openProducer(t *testing.T, address, id string) *Producer {
	t.Helper()
	p, err := OpenProducer(t.Context(), kafkatest.Client(t, address), id, 30*time.Second, compress.Lz4)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func put(t *testing.T, p *Producer, to schemas.TopicPartition, values ...string) {
	t.Helper()
	if err := p.Enter(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if err := p.Produce(t.Context(), to, batchOf(values...), 1<<20); err != nil {
		t.Fatal(err)
	}
}

func batchOf(values ...string) *RecordBatch {
	var b RecordBatch
	for _, v := range values {
		b.Append(&Record{Time: time.Now().UnixMilli(), Key: []byte("k"), Value: []byte(v), Headers: AppendHeader(nil, []byte("h"), []byte(v)), HeaderCount: 1})
	}
	return &b
}

func end(t *testing.T, p *Producer, commit bool) {
	t.Helper()
	if err := p.End(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
}

func wantValues(t *testing.T, address, topic string, want ...string) {
	t.Helper()
	var got []string
	for _, r := range kafkatest.Read(t, address, topic) {
		got = append(got, string(r.Value))
		if string(r.Key) != "k" || len(r.Headers) != 1 || r.Headers[0].Key != "h" || string(r.Headers[0].Value) != string(r.Value) {
			t.Errorf("record %v lost its key or header", r)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("a reader finds %q, want %q", got, want)
	}
}

func TestCommitAndAbort(t *testing.T) {
	onTopic(t, func(t *testing.T, address, topic string) {
		p := openProducer(t, address, topic)
		at := schemas.TopicPartition{Topic: topic}
		var want []string
		// Without pauses: most begin before the markers of the one before are
		// written, which the broker refuses for some milliseconds.
		for i := range 30 {
			values := []string{fmt.Sprint(i, "a"), fmt.Sprint(i, "b")}
			at.Number = int32(i % 2)
			put(t, p, at, values...)
			commit := i%3 != 1
			end(t, p, commit)
			if commit {
				want = append(want, values...)
			}
		}
		wantValues(t, address, topic, want...)
	})
}

func TestEveryCodec(t *testing.T) {
	onTopic(t, func(t *testing.T, address, topic string) {
		p := openProducer(t, address, topic)
		var want []string
		for codec := compress.None; codec <= compress.Zstd; codec++ {
			p.compression = codec
			put(t, p, schemas.TopicPartition{Topic: topic}, codec.String()+strings.Repeat(" again", 200))
			want = append(want, codec.String()+strings.Repeat(" again", 200))
		}
		end(t, p, true)
		wantValues(t, address, topic, want...)
	})
}

func TestDuplicateIsKeptOnce(t *testing.T) {
	onTopic(t, func(t *testing.T, address, topic string) {
		p := openProducer(t, address, topic)
		at := schemas.TopicPartition{Topic: topic}
		put(t, p, at, "first")
		b, before := batchOf("once"), p.sequence[at]
		for range 3 {
			p.sequence[at] = before // as after an answer that was lost
			if err := p.Produce(t.Context(), at, b, 1<<20); err != nil {
				t.Fatal(err)
			}
		}
		put(t, p, at, "last")
		end(t, p, true)
		wantValues(t, address, topic, "first", "once", "last")
	})
}

func TestZombieIsFenced(t *testing.T) {
	onTopic(t, func(t *testing.T, address, topic string) {
		at := schemas.TopicPartition{Topic: topic}
		zombie := openProducer(t, address, topic)
		put(t, zombie, at, "of the zombie")
		heir := openProducer(t, address, topic) // aborts the zombie's transaction
		put(t, heir, at, "of the heir")
		end(t, heir, true)
		// Which code a broker gives depends on whether it knows of a transaction.
		if err := zombie.Produce(t.Context(), at, batchOf("late"), 1<<20); err == nil {
			t.Error("the zombie's produce was taken")
		}
		if err := zombie.End(t.Context(), true); !errors.Is(err, ErrFenced) {
			t.Errorf("the zombie's commit: %v", err)
		}
		wantValues(t, address, topic, "of the heir")
	})
}

func TestOffsetsInTransaction(t *testing.T) {
	onTopic(t, func(t *testing.T, address, topic string) {
		client := kafkatest.Client(t, address)
		p := openProducer(t, address, topic)
		group := Member{Group: "g-" + topic, Generation: -1}
		zero, one := schemas.TopicPartition{Topic: topic}, schemas.TopicPartition{Topic: topic, Number: 1}
		all := []schemas.TopicPartition{zero, one}
		at, err := ReadOffsets(t.Context(), client, group.Group, all)
		if err != nil || len(at) != 0 {
			t.Fatalf("a new group has %v, %v", at, err)
		}
		for i := int64(1); i <= 20; i++ {
			put(t, p, zero, fmt.Sprint(i))
			if err := p.CommitOffsets(t.Context(), group, Position{zero, i, fmt.Sprint("since ", i)}); err != nil {
				t.Fatal(err)
			}
			end(t, p, i%2 == 0)
			// The markers are not written when EndTxn is answered; a reader
			// that does not wait for them sees the offset before.
			at, err := ReadOffsets(t.Context(), client, group.Group, all)
			if want := (Position{zero, i - i%2, fmt.Sprint("since ", i-i%2)}); err != nil || i > 1 && at[zero] != want || len(at) != int(min(1, i-1)) {
				t.Fatalf("after %d: %v, %v, want %v", i, at, err, want)
			}
		}
	})
}

func TestStaleGenerationIsRefused(t *testing.T) {
	onTopic(t, func(t *testing.T, address, topic string) {
		group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
			ID: "g-" + topic, Brokers: []string{address}, Topics: []string{topic}, HeartbeatInterval: 200 * time.Millisecond, SessionTimeout: 6 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer group.Close()
		g, err := group.Next(t.Context())
		for tries := 0; errors.Is(err, kafka.GroupCoordinatorNotAvailable) && tries < 60; tries++ { // a new cluster
			g, err = group.Next(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		at := schemas.TopicPartition{Topic: topic}
		p := openProducer(t, address, topic)
		put(t, p, at, "refused")
		for _, as := range []Member{
			{"g-" + topic, g.ID - 1, g.MemberID}, {"g-" + topic, g.ID, "somebody"},
		} {
			if err := p.CommitOffsets(t.Context(), as, Position{at, 5, ""}); !errors.Is(err, ErrFenced) {
				t.Errorf("offsets of %v: %v", as, err)
			}
			if err := CommitOffsets(t.Context(), p.client, as, Position{at, 5, ""}); !errors.Is(err, ErrFenced) {
				t.Errorf("plain offsets of %v: %v", as, err)
			}
		}
		end(t, p, false)
		put(t, p, at, "taken")
		if err := p.CommitOffsets(t.Context(), Member{"g-" + topic, g.ID, g.MemberID}, Position{at, 7, "m"}); err != nil {
			t.Fatal(err)
		}
		end(t, p, true)
		wantValues(t, address, topic, "taken")
		offsets, err := ReadOffsets(t.Context(), p.client, "g-"+topic, []schemas.TopicPartition{at})
		if err != nil || offsets[at].Next != 7 {
			t.Errorf("offsets %v, %v", offsets, err)
		}
	})
}

func TestTooLarge(t *testing.T) {
	onTopic(t, func(t *testing.T, address, topic string) {
		p := openProducer(t, address, topic)
		p.compression = compress.None
		at := schemas.TopicPartition{Topic: topic}
		put(t, p, at, "before")
		var large *TooLargeError
		for _, limit := range []int{1 << 20, 64 << 20} { // ours, and the broker's
			err := p.Produce(t.Context(), at, batchOf(strings.Repeat("x", 2<<20)), limit)
			if !errors.As(err, &large) {
				t.Fatalf("2 MiB with a limit of %d: %v", limit, err)
			}
		}
		put(t, p, at, "after")
		end(t, p, true)
		wantValues(t, address, topic, "before", "after")
	})
}

// TestAmbiguousAnswers cuts the connection after requests were sent: whatever
// the broker has made of them, the retries must end in the same state.
func TestAmbiguousAnswers(t *testing.T) {
	onTopic(t, func(t *testing.T, address, topic string) {
		proxy := newProxy(t, address)
		client := kafkatest.Client(t, address)
		client.Transport.(*kafka.Transport).Dial = proxy.dial
		p, err := OpenProducer(t.Context(), client, topic, 30*time.Second, compress.Zstd)
		if err != nil {
			t.Fatal(err)
		}
		group := Member{Group: "g-" + topic, Generation: -1}
		at := schemas.TopicPartition{Topic: topic}
		var want []string
		for i := range 25 {
			proxy.cutAfter(1 + i%9)
			put(t, p, at, fmt.Sprint(i))
			if err := p.CommitOffsets(t.Context(), group, Position{at, int64(i), ""}); err != nil {
				t.Fatal(err)
			}
			end(t, p, true)
			want = append(want, fmt.Sprint(i))
		}
		if proxy.cuts.Load() < 20 {
			t.Fatalf("the proxy cut %d connections only", proxy.cuts.Load())
		}
		wantValues(t, address, topic, want...)
	})
}
