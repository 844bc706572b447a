package pipeline

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/stages"
)

// refusalKind is a kind of message, or of a gap, that cannot be used.
type refusalKind struct {
	class string
	put   func(w *world, topic string, after int64) // on partition 0 of a topic that has messages up to after
}

var refusedInEveryRole = []refusalKind{
	{schemas.ClassJSON, func(w *world, topic string, _ int64) { w.publish(topic, 0, `{"space":`) }},
	{schemas.ClassEmpty, func(w *world, topic string, _ int64) { w.tombstone(topic) }},
	{schemas.ClassUnreadable, func(w *world, topic string, _ int64) { w.unreadable(topic) }},
	{schemas.ClassLost, func(w *world, topic string, after int64) {
		w.publish(topic, 0, "deleted before it is read", "and this")
		if err := w.cluster.DeleteRecords(topic, 0, after+2); err != nil {
			w.t.Fatal(err)
		}
	}},
}

// tombstone publishes a message without a value.
func (w *world) tombstone(topic string) {
	w.t.Helper()
	r, err := w.client.Produce(w.t.Context(), &kafkago.ProduceRequest{Topic: topic, RequiredAcks: kafkago.RequireAll,
		Records: kafkago.NewRecordReader(kafkago.Record{Key: kafkago.NewBytes([]byte("k")), Time: time.Now()})})
	if err := errors.Join(err, r.Error); err != nil {
		w.t.Fatal(err)
	}
}

// unreadable publishes a record batch whose records say that they are compressed
// and are not.
func (w *world) unreadable(topic string) {
	w.t.Helper()
	const zstd = 4
	be := binary.BigEndian
	b := make([]byte, 61, 80)
	b = append(b, "these are no records"...)
	be.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	be.PutUint16(b[21:], zstd)
	be.PutUint64(b[27:], uint64(time.Now().UnixMilli()))
	be.PutUint64(b[35:], uint64(time.Now().UnixMilli()))
	for i := 43; i < 57; i++ {
		b[i] = 0xff // no producer
	}
	be.PutUint32(b[57:], 1)
	be.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	r, err := w.client.RawProduce(w.t.Context(), &kafkago.RawProduceRequest{Topic: topic, RequiredAcks: kafkago.RequireAll,
		RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(append(be.AppendUint32(nil, uint32(len(b))), b...))}})
	if err := errors.Join(err, r.Error); err != nil {
		w.t.Fatal(err)
	}
}

// TestEveryRefusalInEveryRole: each kind of refusal, of a message or of the source,
// passes through the line of the worker, both lines of the trainer and the trainer's
// replay of its journal. It leaves one dead letter in the topic and in the table, and
// the messages around it are used.
func TestEveryRefusalInEveryRole(t *testing.T) {
	config := learning(t)
	config.SkipLost = true
	inBubble(t, func(t *testing.T) {
		for _, kind := range refusedInEveryRole {
			t.Log(kind.class)
			refusedInAllRoles(t, config, kind)
		}
	})
}

func refusedInAllRoles(t *testing.T, config *Config, kind refusalKind) {
	w := newWorld(t, config)
	defer w.close()
	const good = 6
	around := func(from int) {
		for i := from; i < from+good; i++ {
			w.publish(w.topics.Architectures, 0, chain(i))
			w.publish(w.topics.Labels, 0, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, i, i*5%7))
		}
	}
	around(0)
	w.toTheEnd(t)
	for _, topic := range []string{w.topics.Architectures, w.topics.Labels} {
		kind.put(w, topic, good)
	}
	around(good)
	w.toTheEnd(t)
	want := w.newestState(t)
	if n := len(want.Spaces); n != 1 || want.Spaces[0].Buffered != 2*good || len(want.Spaces[0].Tasks[0].Labels) != 2*good {
		t.Errorf("the trainer has learnt %+v", want.Spaces)
	}
	w.forgetNewest(t)
	w.toTheEnd(t)
	got := w.newestState(t)
	if !slices.Equal(must(encodeCheckpoint(got)), must(encodeCheckpoint(want))) {
		t.Error("the replay of the journal ends with another state")
	}
	deadLetters, tables := map[string]int{}, w.bucket("tables")
	defer tables.Close()
	m := w.committed(w.topics.DeadLetters, 0)
	for i := range m.Len() {
		deadLetters[string(m.Header(i, "archflow-topic"))+" "+string(m.Header(i, "archflow-error-class"))]++
	}
	for _, r := range rows[struct {
		Topic string `parquet:"topic,optional"`
		Class string `parquet:"error_class,optional"`
	}](t, tables, "dead_letters") {
		deadLetters[r.Topic+" "+r.Class] += 10
	}
	for _, topic := range []string{w.topics.Architectures, w.topics.Labels} {
		if deadLetters[topic+" "+kind.class] != 11 || len(deadLetters) != 2 {
			t.Errorf("dead letters %v, want one of %s in topic and table", deadLetters, topic)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// toTheEnd runs one session of a worker and one of a trainer.
func (w *world) toTheEnd(t *testing.T) {
	t.Helper()
	for group, session := range map[string]func(*Process, context.Context, kafka.Assignment) error{"g": (*Process).answer, "g-trainer": (*Process).learn} {
		_, err := w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			p.ends = w.ends()
			a := kafka.Assignment{Member: kafka.Member{Group: group, Generation: -1}, Partitions: p.candidatePartitions()}
			if group != "g" {
				a.Partitions = []schemas.TopicPartition{{Topic: w.topics.Labels}}
			}
			return session(p, stop, a)
		})
		if err != nil {
			t.Errorf("session of %s: %v", group, err)
		}
	}
}

// newestState returns the state of the newest checkpoint.
func (w *world) newestState(t *testing.T) *saved {
	t.Helper()
	store := w.bucket("store")
	defer store.Close()
	all := keys(t, store, checkpointFolder)
	data := must(store.Read(t.Context(), all[len(all)-1]))
	return must(decodeCheckpoint(data))
}

// forgetNewest removes the newest checkpoint.
func (w *world) forgetNewest(t *testing.T) {
	t.Helper()
	store := w.bucket("store")
	defer store.Close()
	all := keys(t, store, checkpointFolder)
	if len(all) < 2 {
		t.Fatalf("checkpoints %v", all)
	}
	if err := store.Delete(t.Context(), all[len(all)-1]); err != nil {
		t.Fatal(err)
	}
}

// TestOneMessageStopsNoProcess: a stage that panics at some messages ends
// sessions with an error that names them, and after two for each the messages are
// dead letters and all others have passed.
func TestOneMessageStopsNoProcess(t *testing.T) {
	config := learning(t)
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, config)
		defer w.close()
		var values []string
		for i := range 40 {
			values = append(values, fmt.Sprint(i))
		}
		w.publish(w.topics.Architectures, 0, values...)
		p := w.process(w.client, nil, nil)
		p.ends = w.ends()
		sink := &passedOn{}
		sessions := 0
		for ; sessions < 20; sessions++ {
			err := panicking(t, p, sink, "7", "33")
			if err == nil {
				break
			}
			if !strings.Contains(err.Error(), w.topics.Architectures+" partition 0, offsets ") {
				t.Errorf("it says: %v", err)
			}
			if !p.panicked("g", err) {
				t.Fatal("no other session: ", err)
			}
		}
		if sessions > 4 || sink.rows != 38 || len(sink.deadLetters) != 2 {
			t.Fatalf("after %d sessions %d rows, dead letters %+v", sessions, sink.rows, sink.deadLetters)
		}
		for _, d := range sink.deadLetters {
			if d.Class != schemas.ClassInternal || string(d.Value) != fmt.Sprint(d.Offset) || !strings.Contains(d.Reason, "no such number") {
				t.Errorf("%+v", d)
			}
		}
	})
}

// passedOn counts the batches that it was given.
type passedOn struct {
	ledger
	rows        int
	next        int64
	deadLetters []schemas.DeadLetter
}

func (p *passedOn) Write(_ context.Context, b *schemas.Batch) error {
	p.rows += int(b.Rows.NumRows())
	p.deadLetters = append(p.deadLetters, b.Rejects...)
	p.next = b.Next
	b.Rows.Release()
	return nil
}

// panicking runs a session from where sink is, with a stage that panics at some
// messages.
func panicking(t *testing.T, p *Process, sink *passedOn, at ...string) error {
	t.Helper()
	partition := schemas.TopicPartition{Topic: p.Topics.Architectures}
	src, err := p.source(t.Context(), stageSource, "g", map[schemas.TopicPartition]int64{partition: sink.next})
	if err != nil {
		t.Fatal(err)
	}
	src.records = true
	f := newFlow(t.Context(), p.report)
	f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
		return src.read(ctx, t.Context(), emit)
	}).
		through(stageDecode, 2, func() stages.Stage {
			return stageFunc(func(b *schemas.Batch) error {
				m := schemas.ViewMessages(b.Rows)
				for i := range m.Len() {
					if slices.Contains(at, string(m.Value.At(i))) {
						panic("no such number")
					}
				}
				return nil
			})
		}).
		into(sink, commitPolicy{Rows: 1, Every: time.Hour}, committing{}).
		end(func(*schemas.Batch) {})
	return f.wait()
}
