package sinks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/trace"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// TestPredictionsConform runs the suite of all sinks on both topics, both
// deliveries and both brokers.
func TestPredictionsConform(t *testing.T) {
	for _, broker := range []string{"fake", "real"} {
		for _, delivery := range []string{"exactly-once", "low-latency"} {
			for _, topic := range []string{"predictions", "dead-letters"} {
				t.Run(broker+" "+delivery+" "+topic, func(t *testing.T) {
					t.Parallel() // a broker's transactions are mostly waited for
					var places atomic.Int32
					sinktest.Run(t, func(t *testing.T) *sinktest.Place {
						address := openBroker(t, broker)
						name := fmt.Sprintf("conform.%s.%s.%s.%d.", broker, delivery, topic, places.Add(1))
						return newPlace(t, address, name, delivery == "low-latency", topic == "dead-letters")
					})
				})
			}
		}
	}
}

func openBroker(t *testing.T, kind string) string {
	if kind == "real" {
		return kafkatest.Real(t)
	}
	return kafkatest.Fake(t)
}

// failing is a transport whose n-th request from now on fails and every one
// after it, half of them after the broker has carried them out.
type failing struct {
	kafkago.RoundTripper
	left atomic.Int64
}

func (f *failing) RoundTrip(ctx context.Context, addr net.Addr, request kafkago.Request) (kafkago.Response, error) {
	switch request.(type) {
	case *metadata.Request, *describeconfigs.Request:
		return f.RoundTripper.RoundTrip(ctx, addr, request)
	}
	left := f.left.Add(-1)
	if left == 0 {
		_, _ = f.RoundTripper.RoundTrip(ctx, addr, request)
	}
	if left <= 0 {
		return nil, errors.New("failed by the test")
	}
	return f.RoundTripper.RoundTrip(ctx, addr, request)
}

// fencing is a transport whose broker knows a newer producer.
type fencing struct {
	kafkago.RoundTripper
	on bool
}

func (f *fencing) RoundTrip(ctx context.Context, addr net.Addr, request kafkago.Request) (kafkago.Response, error) {
	if f.on {
		return nil, kafkago.ProducerFenced
	}
	return f.RoundTripper.RoundTrip(ctx, addr, request)
}

// TestFencedInTheMiddle: who is fenced learns it as such also when a batch that
// was full went out before the commit, and so begins again instead of ending.
func TestFencedInTheMiddle(t *testing.T) {
	client := kafkatest.Client(t, kafkatest.Fake(t))
	kafkatest.Topics(t, client, 1, "a", "p", "d")
	transport := &fencing{RoundTripper: client.Transport}
	client.Transport = transport
	s := open(t, client, sinks.DeliveryConfig{
		Predictions: "p", DeadLetters: "d", MaxBatch: 2000, Member: kafka.Member{Group: "g", Generation: -1},
	})
	from := schemas.TopicPartition{Topic: "a"}
	write(t, s, sinktest.Batch(from, 0, 10))
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	transport.on = true
	if err := s.Write(t.Context(), sinktest.Batch(from, 10, 100)); !errors.Is(err, sinks.ErrFenced) {
		t.Errorf("a fenced writer gets %v, want %v", err, sinks.ErrFenced)
	}
}

func newPlace(t *testing.T, address, name string, lowLatency, deadLetters bool) *sinktest.Place {
	client := kafkatest.Client(t, address)
	transport := &failing{RoundTripper: client.Transport}
	transport.left.Store(1 << 60)
	client.Transport = transport
	kafkatest.Topics(t, client, 2, name+"p", name+"d", "one", "two") // the suite's sources too
	read := name + "p"
	if deadLetters {
		read = name + "d"
	}
	return &sinktest.Place{
		Rejects: deadLetters,
		Repeats: lowLatency,
		Open: func(ctx context.Context) (sinks.Sink, error) {
			return sinks.OpenPredictions(ctx, client, sinks.DeliveryConfig{
				Predictions: name + "p", DeadLetters: name + "d", LowLatency: lowLatency,
				Member: kafka.Member{Group: name + "g", Generation: -1},
			})
		},
		Fail: func(n int) {
			if n == 0 {
				n = 1 << 60
			}
			transport.left.Store(int64(n))
		},
		Read: func(t testing.TB) []sinktest.Row {
			var rows []sinktest.Row
			for _, r := range kafkatest.Read(t, address, read) {
				row := sinktest.Row{Content: string(r.Key)}
				if deadLetters {
					row.Topic, row.Number, row.Offset = header(r, "archflow-topic"), int32(number(t, header(r, "archflow-partition"))), number(t, header(r, "archflow-offset"))
				} else {
					var p struct {
						Architecture string
						Source       struct {
							Topic     string
							Partition int32
							Offset    int64
						}
					}
					if err := json.Unmarshal(r.Value, &p); err != nil {
						t.Fatalf("prediction %s: %v", r.Value, err)
					}
					row.Topic, row.Number, row.Offset, row.Content = p.Source.Topic, p.Source.Partition, p.Source.Offset, p.Architecture
					if want := fmt.Sprintf("%s/%d/%d", row.Topic, row.Number, row.Offset); lowLatency && header(r, "source") != want {
						t.Errorf("source %q, want %q", header(r, "source"), want)
					}
				}
				rows = append(rows, row)
			}
			return rows
		},
	}
}

var span = trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1, 2, 3, 4, 5, 6, 7, 8}, TraceFlags: trace.FlagsSampled,
})

func header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

func number(t testing.TB, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Errorf("%q is no number", s)
	}
	return n
}

func TestLettersAndHeaders(t *testing.T) {
	address := kafkatest.Fake(t)
	client := kafkatest.Client(t, address)
	kafkatest.Topics(t, client, 3, "p", "d")
	kafkatest.Topics(t, client, 6, "a")
	s := open(t, client, sinks.DeliveryConfig{})
	from := schemas.TopicPartition{Topic: "a", Number: 5}
	b := sinktest.Batch(from, 0, 14)
	for o := range int64(14) {
		if o%2 == 0 { // the others are not followed, and keep their publisher's span
			b.Followed = append(b.Followed, schemas.Followed{Row: int(o), Offset: o, Context: span})
		}
	}
	write(t, s, b)
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range kafkatest.Read(t, address, "p") {
		var p struct{ Source struct{ Offset int64 } }
		if err := json.Unmarshal(r.Value, &p); err != nil {
			t.Fatal(err)
		}
		id := sinktest.Architecture(from, p.Source.Offset)
		want := "00-" + id + "-0102030405060708-01"
		if p.Source.Offset%2 == 1 {
			want = fmt.Sprintf("00-%s-%016x-01", id, p.Source.Offset+1)
		}
		if header(r, "traceparent") != want || len(r.Headers) != 1 {
			t.Errorf("headers %v, want traceparent %s", r.Headers, want)
		}
		if string(r.Key) != id || r.Partition != 2 {
			t.Errorf("offset %d has key %q in partition %d", p.Source.Offset, r.Key, r.Partition)
		}
	}
	deadLetters := kafkatest.Read(t, address, "d")
	if len(deadLetters) != 2 {
		t.Fatalf("%d dead letters of 2", len(deadLetters))
	}
	for i, r := range deadLetters {
		o := int64(3 + 7*i)
		id := sinktest.Architecture(from, o)
		want := fmt.Sprintf("{broken %s|00-%s-%016x-01|a/5 offset %d: the object has no end; close it|syntax|a|5|%d", id, id, o+1, o, o)
		got := strings.Join([]string{string(r.Value), header(r, "traceparent"), header(r, "archflow-error"), header(r, "archflow-error-class"),
			header(r, "archflow-topic"), header(r, "archflow-partition"), header(r, "archflow-offset")}, "|")
		if got != want || string(r.Key) != id {
			t.Errorf("dead letter\n%s, want\n%s", got, want)
		}
	}
}

// TestTooLargeForTheTopic: a message that does not fit becomes a dead letter, which is
// cut when it does not fit either; the stream goes on.
func TestTooLargeForTheTopic(t *testing.T) {
	for _, broker := range []string{"fake", "real"} {
		t.Run(broker, func(t *testing.T) {
			address := openBroker(t, broker)
			client := kafkatest.Client(t, address)
			p, d := "large."+broker+".p", "large."+broker+".d"
			kafkatest.Topics(t, client, 1, "a")
			limited := []kafkago.ConfigEntry{{ConfigName: "max.message.bytes", ConfigValue: "20000"}}
			kafkatest.Create(t, client,
				kafkago.TopicConfig{Topic: p, NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: limited},
				kafkago.TopicConfig{Topic: d, NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: limited})
			s := open(t, client, sinks.DeliveryConfig{Predictions: p, DeadLetters: d, Compression: "none", Member: kafka.Member{Group: "large", Generation: -1}})
			b := sinktest.Batch(schemas.TopicPartition{Topic: "a"}, 0, 100)
			c := schemas.ViewCandidates(b.Rows)
			c.ID = schemas.Strings{}
			for i := range c.Offset {
				id := `"short"`
				if c.Offset[i] == 50 {
					id = `"` + strings.Repeat("long", 10_000) + `"`
				}
				c.ID.Append([]byte(id))
			}
			r := c.Record()
			rs := schemas.WithSurrogates(r, schemas.ViewSurrogates(b.Rows))
			b.Rows = schemas.WithPredictions(rs, schemas.ViewPredictions(b.Rows))
			b.Rejects[1].Value = []byte(strings.Repeat("v", 50_000))
			b.Rejects[2].Headers[0].Value = []byte(strings.Repeat("h", 50_000))
			write(t, s, b)
			if err := s.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			deadLetters := kafkatest.Read(t, address, d)
			if n := len(kafkatest.Read(t, address, p)); n+len(deadLetters) != 100 || len(deadLetters) != 15 {
				t.Errorf("%d predictions and %d dead letters of 100 candidates", n, len(deadLetters))
			}
			seen := 0
			for _, r := range deadLetters {
				switch header(r, "archflow-offset") {
				case "50":
					seen++
					if header(r, "archflow-error-class") != "too-large" || !strings.Contains(header(r, "archflow-error"), "max.message.bytes") {
						t.Errorf("the letter of the large prediction: %v", r.Headers)
					}
				case "10":
					seen++
					if cut := number(t, header(r, "archflow-cut")); cut+int64(len(r.Value)) != 50_000 || len(r.Value) < 15_000 {
						t.Errorf("%d bytes of the value are there and %d are said to be cut", len(r.Value), cut)
					}
				case "17":
					seen++
					if header(r, "traceparent") != "" || len(r.Value) == 0 {
						t.Errorf("the letter with a long header: %v", r)
					}
				}
			}
			if seen != 3 {
				t.Errorf("%d of the three large ones are there", seen)
			}
		})
	}
}

func TestScheduleRoundTrip(t *testing.T) {
	for _, broker := range []string{"fake", "real"} {
		for _, low := range []bool{false, true} {
			t.Run(fmt.Sprint(broker, low), func(t *testing.T) {
				address := openBroker(t, broker)
				client := kafkatest.Client(t, address)
				name := fmt.Sprint("schedule.", broker, low)
				kafkatest.Topics(t, client, 1, name, name+"p", name+"d")
				config := sinks.DeliveryConfig{Predictions: name + "p", DeadLetters: name + "d", LowLatency: low, Member: kafka.Member{Group: name, Generation: -1}}
				s := open(t, client, config)
				from := schemas.TopicPartition{Topic: name}
				at := func(first, next, registry int64) {
					b := sinktest.Batch(from, first, next)
					b.Registry = registry
					write(t, s, b)
				}
				at(0, 10, 0)
				at(10, 20, 4)
				at(20, 30, 4)
				at(15, 40, 9) // 15 to 29 were answered by 4
				if err := s.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				check := func(want map[int64]int64) {
					t.Helper()
					got, err := s.Past(t.Context(), []schemas.TopicPartition{from})
					if err != nil {
						t.Fatal(err)
					}
					past := got[from].Schedule
					for offset, registry := range want {
						if past.At(offset) != registry {
							t.Errorf("%v: offset %d was answered by %d, want %d", past, offset, past.At(offset), registry)
						}
					}
				}
				all := map[int64]int64{0: 0, 9: 0, 10: 4, 29: 4, 30: 9, 39: 9, 1000: 9}
				check(all)
				s = reopen(t, s, client, config)
				check(all)
				s.SetFloor(from, 35)
				at(40, 50, 10)
				if err := s.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				s = reopen(t, s, client, config)
				check(map[int64]int64{35: 9, 39: 9, 40: 10})
				if got, _ := s.Past(t.Context(), []schemas.TopicPartition{from}); len(got[from].Schedule) != 2 {
					t.Errorf("schedule %v, want two stretches", got[from])
				}
			})
		}
	}
}

// TestTornSchedule: who will answer is known before the answers are there, so that
// those that a torn commit leaves behind are asked of the same model again.
func TestTornSchedule(t *testing.T) {
	client := kafkatest.Client(t, kafkatest.Fake(t))
	kafkatest.Topics(t, client, 1, "a", "p", "d")
	var left int64 // answers that the topic has
	config := sinks.DeliveryConfig{
		Predictions: "p", DeadLetters: "d", Member: kafka.Member{Group: "g", Generation: -1},
		LastProduced: func(_ context.Context, in, _ schemas.TopicPartition) (int64, error) {
			if in.Topic == "p" {
				return left, nil
			}
			return 0, nil
		},
	}
	from := schemas.TopicPartition{Topic: "a"}
	begin := func(position, next int64, models ...int64) *sinks.Predictions {
		t.Helper()
		s := open(t, client, config)
		at, err := s.Positions(t.Context(), []schemas.TopicPartition{from})
		if err != nil {
			t.Fatal(err)
		}
		past, err := s.Past(t.Context(), []schemas.TopicPartition{from})
		if err != nil {
			t.Fatal(err)
		}
		if at[from] != position || past[from].Next != next {
			t.Errorf("position %d, want %d; answered below %d, want %d", at[from], position, past[from].Next, next)
		}
		for offset, model := range models {
			if got := past[from].Schedule.At(int64(offset)); got != model {
				t.Errorf("offset %d: version %d of the registry, want %d", offset, got, model)
			}
		}
		return s
	}
	answer := func(s *sinks.Predictions, first, next, registry int64) {
		t.Helper()
		b := sinktest.Batch(from, first, next)
		b.Registry = registry
		write(t, s, b)
	}
	commit := func(s *sinks.Predictions) {
		t.Helper()
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s := begin(0, 0)
	answer(s, 0, 3, 0) // of no model
	answer(s, 3, 8, 4)
	s.Close()
	s = begin(0, 0) // nothing was left: others may answer
	answer(s, 0, 2, 4)
	answer(s, 2, 8, 5)
	s.Close()
	left = 6
	s = begin(0, 6, 4, 4, 5, 5, 5, 5)
	answer(s, 0, 2, 4)
	s.Close() // in the middle of the leftover rows
	s = begin(0, 6, 4, 4, 5, 5, 5, 5)
	answer(s, 0, 2, 4)
	answer(s, 2, 6, 5)
	answer(s, 6, 10, 7)
	commit(s)
	s.Close()
	left = 10
	s = begin(10, 10, 4, 4, 5, 5, 5, 5, 7, 7, 7, 7)
	s.SetFloor(from, 10)
	answer(s, 10, 12, 7)
	commit(s)
	answer(s, 12, 15, 9)
	s.Close()
	left = 14
	none := int64(schemas.NewestRegistry) // below the floor
	begin(12, 14, none, none, none, none, none, none, 7, 7, 7, 7, 7, 7, 9, 9).Close()
}

func TestTooManyModels(t *testing.T) {
	client := kafkatest.Client(t, kafkatest.Fake(t))
	kafkatest.Topics(t, client, 1, "p", "d")
	s := open(t, client, sinks.DeliveryConfig{})
	from := schemas.TopicPartition{Topic: "a"}
	for i := int64(0); i < 2000; i++ {
		b := sinktest.Batch(from, 4*i, 4*i+1)
		b.First, b.Next, b.Registry = 4*i, 4*i+4, i+1
		write(t, s, b)
	}
	err := s.Commit(t.Context())
	if err == nil || !strings.Contains(err.Error(), "commit the table more often") {
		t.Errorf("2000 models in one commit: %v", err)
	}
}

func open(t *testing.T, client *kafka.Client, config sinks.DeliveryConfig) *sinks.Predictions {
	t.Helper()
	if config.Predictions == "" {
		config.Predictions, config.DeadLetters = "p", "d"
		config.Member = kafka.Member{Group: "g", Generation: -1}
	}
	s, err := sinks.OpenPredictions(t.Context(), client, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func reopen(t *testing.T, s *sinks.Predictions, client *kafka.Client, config sinks.DeliveryConfig) *sinks.Predictions {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, client, config)
}

func write(t *testing.T, s sinks.Sink, b *schemas.Batch) {
	t.Helper()
	if err := s.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// TestSmallestDeadLetter: every dead letter fits a topic with the smallest allowed limit, and a
// topic below it is refused at the start with the cure.
func TestSmallestDeadLetter(t *testing.T) {
	address := openBroker(t, "fake")
	client := kafkatest.Client(t, address)
	from := strings.Repeat("a", 249)
	kafkatest.Topics(t, client, 1, from, "least.p")
	for limit, refused := range map[string]bool{"1023": true, "1024": false} {
		deadLetters := "least.d." + limit
		kafkatest.Create(t, client, kafkago.TopicConfig{
			Topic: deadLetters, NumPartitions: 1, ReplicationFactor: 1,
			ConfigEntries: []kafkago.ConfigEntry{{ConfigName: "max.message.bytes", ConfigValue: limit}},
		})
		s, err := sinks.OpenPredictions(t.Context(), client, sinks.DeliveryConfig{Predictions: "least.p", DeadLetters: deadLetters, Compression: "none", Member: kafka.Member{Group: deadLetters, Generation: -1}})
		if refused {
			if err == nil || !strings.Contains(err.Error(), "--topic "+deadLetters+" --add-config max.message.bytes") {
				t.Errorf("%s bytes: %v", limit, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		long := bytes.Repeat([]byte("long"), 300)
		b := sinktest.Batch(schemas.TopicPartition{Topic: from}, 0, 1)
		b.Rows.Release()
		b.Rows, b.Next = nil, 1<<40
		b.Rejects = nil
		for i := range int64(16) {
			d := schemas.DeadLetter{TopicPartition: b.TopicPartition, Offset: 1<<39 + i, Class: schemas.ClassTooManyNames}
			if i&1 > 0 {
				d.Key = long
			}
			if i&2 > 0 {
				d.Value = long
			}
			if i&4 > 0 {
				d.Reason = string(long)
			}
			if i&8 > 0 {
				d.Headers = []schemas.Header{{Name: "h", Value: long[:500]}}
			}
			b.Rejects = append(b.Rejects, d)
		}
		write(t, s, b)
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(kafkatest.Read(t, address, deadLetters)); n != 16 {
			t.Errorf("%d of 16 dead letters", n)
		}
	}
}
