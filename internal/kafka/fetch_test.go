package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
)

// readAll fetches until the partition's end.
func readAll(t *testing.T, r *PartitionReader) schemas.Messages {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all schemas.Messages
	for {
		m, next, end, err := r.Fetch(ctx)
		if Recoverable(err) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.Offset {
			if n := all.Len(); n > 0 && m.Offset[i] <= all.Offset[n-1] {
				t.Fatalf("offset %d after %d", m.Offset[i], all.Offset[n-1])
			}
			all.AppendFrom(&m.Envelope, i)
			all.Value.Append(m.Value.At(i))
		}
		if next >= end {
			return all
		}
	}
}

func values(m *schemas.Messages) []string {
	var out []string
	for i := range m.Offset {
		out = append(out, string(m.Value.At(i)))
	}
	return out
}

// TestReadCommitted: two foreign transactional producers whose batches
// interleave, one of them aborting, and a plain producer between them.
func TestReadCommitted(t *testing.T) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		client := kafkatest.Client(t, address)
		kafkatest.Topics(t, client, 1, topic)
		good := kafkatest.Foreign(t, address, kgo.TransactionalID(topic+"good"))
		bad := kafkatest.Foreign(t, address, kgo.TransactionalID(topic+"bad"))
		plain := kafkatest.Foreign(t, address)
		put := func(c *kgo.Client, v string) {
			r := &kgo.Record{Topic: topic, Value: []byte(v)}
			if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		for round := range 6 {
			for _, c := range []*kgo.Client{good, bad} {
				if err := c.BeginTransaction(); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 5 {
				g, p := fmt.Sprint("good ", round, i), fmt.Sprint("plain ", round, i)
				put(bad, "aborted")
				put(good, g)
				put(bad, "aborted")
				put(plain, p)
				want = append(want, g, p)
			}
			end := func(c *kgo.Client, commit kgo.TransactionEndTry) {
				if err := c.EndTransaction(t.Context(), commit); err != nil {
					t.Fatal(err)
				}
			}
			// In every second round the abort comes last, so that the good
			// transaction's end is passed with the bad one open.
			if round%2 == 0 {
				end(bad, kgo.TryAbort)
				end(good, kgo.TryCommit)
			} else {
				end(good, kgo.TryCommit)
				end(bad, kgo.TryAbort)
			}
		}
		kafkatest.Ends(t, address, topic) // the last markers are written after the answer
		for _, limits := range []Limits{{}, {Messages: 1}, {Messages: 7}, {Bytes: 1}, {Bytes: 500, Messages: 3}} {
			r := OpenPartition(client, schemas.TopicPartition{Topic: topic}, 0, limits)
			all := readAll(t, r)
			if got := values(&all); !slices.Equal(got, want) {
				t.Errorf("limits %+v: read\n%q, want\n%q", limits, got, want)
			}
		}
		// From any offset: exactly those at or after it.
		full := readAll(t, OpenPartition(client, schemas.TopicPartition{Topic: topic}, 0, Limits{}))
		for from := int64(0); from < full.Offset[full.Len()-1]; from += 3 {
			part := readAll(t, OpenPartition(client, schemas.TopicPartition{Topic: topic}, from, Limits{}))
			n, _ := slices.BinarySearch(full.Offset, from)
			if !slices.Equal(part.Offset, full.Offset[n:]) {
				t.Errorf("from %d: %v, want %v", from, part.Offset, full.Offset[n:])
			}
		}
	})
}

// TestReadFromAnyOffset: a producer aborts and commits in turn. Whatever offset reading
// begins at, also that of the marker of an abort, no committed message is left out.
func TestReadFromAnyOffset(t *testing.T) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		client := kafkatest.Client(t, address)
		kafkatest.Topics(t, client, 1, topic)
		c := kafkatest.Foreign(t, address, kgo.TransactionalID(topic))
		for round := range 6 {
			if err := c.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.EndTransaction(t.Context(), kgo.TransactionEndTry(round%2 == 1)); err != nil {
				t.Fatal(err)
			}
		}
		kafkatest.Ends(t, address, topic) // the last markers are written after the answer
		committed := []int64{3, 4, 9, 10, 15, 16}
		for from := range int64(18) {
			part := readAll(t, OpenPartition(client, schemas.TopicPartition{Topic: topic}, from, Limits{}))
			n, _ := slices.BinarySearch(committed, from)
			if !slices.Equal(part.Offset, committed[n:]) {
				t.Errorf("from %d: %v, want %v", from, part.Offset, committed[n:])
			}
		}
	})
}

// TestOpenTransactionIsNotRead: uncommitted messages are not returned, nor any that
// follow them.
func TestOpenTransactionIsNotRead(t *testing.T) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		client := kafkatest.Client(t, address)
		kafkatest.Topics(t, client, 1, topic)
		open := kafkatest.Foreign(t, address, kgo.TransactionalID(topic))
		if err := open.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := open.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("open")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := kafkatest.Foreign(t, address).ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("behind")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		r := OpenPartition(client, schemas.TopicPartition{Topic: topic}, 0, Limits{Wait: 50 * time.Millisecond})
		if all := readAll(t, r); all.Len() != 0 {
			t.Errorf("read %q of an open transaction", values(&all))
		}
		if err := open.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
		kafkatest.Ends(t, address, topic)
		if all := readAll(t, r); !slices.Equal(values(&all), []string{"open", "behind"}) {
			t.Errorf("read %q", values(&all))
		}
	})
}

func TestCodecsKeysHeaders(t *testing.T) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		client := kafkatest.Client(t, address)
		kafkatest.Topics(t, client, 2, topic)
		codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
		start := time.Now().UnixMilli()
		n := 0
		for _, codec := range codecs {
			c := kafkatest.Foreign(t, address, kgo.ProducerBatchCompression(codec))
			var records []*kgo.Record
			for range 200 {
				records = append(records, &kgo.Record{
					Topic: topic, Partition: 1, Key: fmt.Appendf(nil, "key %d", n), Value: []byte(strings.Repeat(fmt.Sprint("value ", n), n%40)),
					Headers:   []kgo.RecordHeader{{Key: "a", Value: fmt.Appendf(nil, "%d", n)}, {Key: "a", Value: nil}, {Key: "a", Value: []byte{}}}[:n%4],
					Timestamp: time.UnixMilli(start + int64(n)),
				})
				n++
			}
			if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		all := readAll(t, OpenPartition(client, schemas.TopicPartition{Topic: topic, Number: 1}, 0, Limits{Messages: 77}))
		if all.Len() != n {
			t.Fatalf("%d messages of %d", all.Len(), n)
		}
		for i := range n {
			if string(all.Key.At(i)) != fmt.Sprintf("key %d", i) || string(all.Value.At(i)) != strings.Repeat(fmt.Sprint("value ", i), i%40) ||
				all.Time[i] != start+int64(i) || all.Offset[i] != int64(i) || len(all.Headers(i)) != i%4 {
				t.Fatalf("message %d: offset %d, time %d, key %q, headers %v", i, all.Offset[i], all.Time[i]-start, all.Key.At(i), all.Headers(i))
			}
			for h, got := range all.Headers(i) {
				if want := [][]byte{fmt.Append(nil, i), nil, {}}[h]; string(got.Value) != string(want) || (got.Value == nil) != (want == nil) {
					t.Fatalf("message %d: header %d has %#v, want %#v", i, h, got.Value, want)
				}
			}
		}
		at, err := OffsetAt(t.Context(), client, schemas.TopicPartition{Topic: topic, Number: 1}, time.UnixMilli(start+500))
		if err != nil || at != 500 {
			t.Errorf("offset %d at the time of message 500, %v", at, err)
		}
		at, err = OffsetAt(t.Context(), client, schemas.TopicPartition{Topic: topic, Number: 1}, time.UnixMilli(start+1e9))
		if err != nil || at != int64(n) {
			t.Errorf("offset %d at a time after all, %v", at, err)
		}
	})
}

func TestLostPosition(t *testing.T) {
	kafkatest.OnBrokers(t, func(t *testing.T, address, topic string) {
		client := kafkatest.Client(t, address)
		kafkatest.Topics(t, client, 1, topic)
		c := kafkatest.Foreign(t, address)
		for i := range 20 {
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		deleteBefore(t, c, topic, 12)
		var lost *LostError
		_, _, _, err := OpenPartition(client, schemas.TopicPartition{Topic: topic}, 5, Limits{}).Fetch(t.Context())
		if !errors.As(err, &lost) || lost.Start != 12 || lost.Want != 5 || !strings.Contains(err.Error(), "7 messages are lost") {
			t.Errorf("position 5 of 12 to 20: %v", err)
		}
		_, _, _, err = OpenPartition(client, schemas.TopicPartition{Topic: topic}, 21, Limits{}).Fetch(t.Context())
		if !errors.As(err, &lost) || lost.End != 20 || !strings.Contains(err.Error(), "ends at 20") {
			t.Errorf("position 21 of 12 to 20: %v", err)
		}
		if all := readAll(t, OpenPartition(client, schemas.TopicPartition{Topic: topic}, 12, Limits{})); all.Len() != 8 {
			t.Errorf("%d messages from 12 to 20", all.Len())
		}
	})
}

func deleteBefore(t *testing.T, c *kgo.Client, topic string, offset int64) {
	t.Helper()
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = 5000
	of := kmsg.NewDeleteRecordsRequestTopic()
	of.Topic = topic
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = offset
	of.Partitions = append(of.Partitions, p)
	request.Topics = append(request.Topics, of)
	r, err := request.RequestWith(t.Context(), c)
	if err != nil || r.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("delete records: %v, %+v", err, r)
	}
}

// TestPoison: a batch that expands beyond the limit is named, and SkipTo goes on
// behind it.
func TestPoison(t *testing.T) {
	address := kafkatest.Fake(t)
	client := kafkatest.Client(t, address)
	kafkatest.Topics(t, client, 1, "t")
	c := kafkatest.Foreign(t, address, kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(1<<20))
	for _, v := range []string{"before", strings.Repeat("x", 900_000), "after"} {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r := OpenPartition(client, schemas.TopicPartition{Topic: "t"}, 0, Limits{Expanded: 500_000})
	m, next, _, err := r.Fetch(t.Context())
	if err != nil || !slices.Equal(values(&m), []string{"before"}) || next != 1 {
		t.Fatalf("read %q to %d, %v", values(&m), next, err)
	}
	var poison *PoisonError
	_, _, _, err = r.Fetch(t.Context())
	if !errors.As(err, &poison) || poison.First != 1 || poison.Next != 2 || poison.Topic != "t" {
		t.Fatalf("the batch that expands: %v", err)
	}
	r.SkipTo(poison.Next)
	if all := readAll(t, r); !slices.Equal(values(&all), []string{"after"}) {
		t.Errorf("behind it: %q", values(&all))
	}
}

// TestBrokerRestart: the reader goes on where it was when the broker is back on
// its port.
func TestBrokerRestart(t *testing.T) {
	dir := t.TempDir()
	start := func(ports ...int) *kfake.Cluster {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dir), kfake.Ports(ports...), kfake.SeedTopics(1, "t"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	cluster := start(0)
	address := cluster.ListenAddrs()[0]
	put := func(v string) {
		if err := kafkatest.Foreign(t, address).ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	r := OpenPartition(kafkatest.Client(t, address), schemas.TopicPartition{Topic: "t"}, 0, Limits{Wait: 20 * time.Millisecond})
	if all := readAll(t, r); all.Len() != 1 {
		t.Fatal("one message was not read")
	}
	cluster.Close()
	if _, _, _, err := r.Fetch(t.Context()); !Recoverable(err) {
		t.Fatalf("a fetch without a broker: %v", err)
	}
	var port int
	if _, err := fmt.Sscanf(address, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	cluster = start(port)
	defer cluster.Close()
	put("two")
	if all := readAll(t, r); !slices.Equal(values(&all), []string{"two"}) {
		t.Errorf("after the restart %q", values(&all))
	}
}

func BenchmarkFetch(b *testing.B) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.SyntheticFetch(kfake.SyntheticBatch{RecordBytes: 1000}))
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(cluster.ListenAddrs()[0]), Transport: transport}
	r := OpenPartition(client, schemas.TopicPartition{Topic: "t"}, 0, Limits{})
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		m, _, _, err := r.Fetch(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		n += m.Len()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
}

// TestLongValuesAreCut: a value longer than the limit is cut, and a header has its full
// length; other values come whole.
func TestLongValuesAreCut(t *testing.T) {
	address := kafkatest.Fake(t)
	client := kafkatest.Client(t, address)
	kafkatest.Topics(t, client, 1, "long")
	producer, err := OpenProducer(t.Context(), client, "", 0, compress.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	p := schemas.TopicPartition{Topic: "long"}
	var b RecordBatch
	lengths := []int{5, 1000, 3 << 20, 1001, 0}
	for _, n := range lengths {
		b.Append(&Record{Value: bytes.Repeat([]byte("a"), n)})
	}
	if err := producer.Produce(t.Context(), p, &b, 1<<20); err != nil {
		t.Fatal(err)
	}
	m, _, _, err := OpenPartition(client, p, 0, Limits{Value: 1000}).Fetch(t.Context())
	if err != nil || m.Len() != len(lengths) {
		t.Fatal(m.Len(), err)
	}
	for i, n := range lengths {
		cut := ""
		for _, h := range m.Headers(i) {
			cut += h.Name + " " + string(h.Value)
		}
		want := ""
		if n > 1000 {
			want = fmt.Sprint(schemas.HeaderCut, " ", n-1000)
		}
		if len(m.Value.At(i)) != min(n, 1000) || cut != want {
			t.Errorf("of %d bytes %d came, with the headers %q", n, len(m.Value.At(i)), cut)
		}
	}
	if c := cap(m.Value.Data); c > 1<<20 {
		t.Errorf("the column takes %d bytes", c)
	}
}

// TestAnswerTooLong: a record batch longer than the limit is named and passed, and the
// next connection goes on behind it.
func TestAnswerTooLong(t *testing.T) {
	address := kafkatest.Fake(t)
	client := kafkatest.Client(t, address)
	kafkatest.Topics(t, client, 1, "t")
	c := kafkatest.Foreign(t, address, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(1<<20))
	for _, v := range []string{"before", strings.Repeat("x", 900_000), "after"} {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r := OpenPartition(client, schemas.TopicPartition{Topic: "t"}, 0, Limits{Bytes: 1000, Answer: 500_000})
	m, next, _, err := r.Fetch(t.Context())
	if err != nil || !slices.Equal(values(&m), []string{"before"}) || next != 1 {
		t.Fatalf("read %q to %d, %v", values(&m), next, err)
	}
	var poison *PoisonError
	if _, _, _, err = r.Fetch(t.Context()); !errors.As(err, &poison) || poison.First != 1 || poison.Next != 2 || poison.Topic != "t" || !strings.Contains(err.Error(), "max.message.bytes") {
		t.Fatalf("the batch that is too long: %v", err)
	}
	r.SkipTo(poison.Next)
	if all := readAll(t, r); !slices.Equal(values(&all), []string{"after"}) {
		t.Errorf("behind it: %q", values(&all))
	}
}

// TestAnswerCutShort: an answer whose only batch lacks its end gets nobody any further; that
// is said and tried again, not taken for the end of the topic.
func TestAnswerCutShort(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	address := cluster.ListenAddrs()[0]
	c := kafkatest.Foreign(t, address)
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("whole")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cluster.ControlKey(int16(kmsg.Fetch), func(q kmsg.Request) (kmsg.Response, error, bool) {
		answer := q.ResponseKind().(*kmsg.FetchResponse)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = "t"
		one := kmsg.NewFetchResponseTopicPartition()
		one.HighWatermark, one.LastStableOffset = 1, 1
		var b RecordBatch
		b.Append(&Record{Value: []byte("whole")})
		batch, err := b.encode(compress.None, noIdentity, false)
		if err != nil {
			t.Error(err)
		}
		one.RecordBatches = batch[4 : len(batch)-1]
		topic.Partitions = append(topic.Partitions, one)
		answer.Topics = append(answer.Topics, topic)
		return answer, nil, true
	})
	r := OpenPartition(kafkatest.Client(t, address), schemas.TopicPartition{Topic: "t"}, 0, Limits{})
	if _, _, _, err := r.Fetch(t.Context()); !Recoverable(err) || !strings.Contains(err.Error(), "of the record batch") {
		t.Errorf("the answer that is cut short: %v", err)
	}
	if all := readAll(t, r); !slices.Equal(values(&all), []string{"whole"}) {
		t.Errorf("then %q", values(&all))
	}
}
