package main

import (
	"bytes"
	"testing"

	"github.com/segmentio/kafka-go/compress"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
)

// TestEndToEndBombs lets a worker of 1 GiB find batches of 4 kB that each unpack to
// 120 MB, two in each partition, among candidates. It lives, answers the
// candidates, and each bomb is a dead letter. The tables, which would hold what a bomb took
// until their next commit, do not keep the next bomb waiting for that.
func TestEndToEndBombs(t *testing.T) {
	const limit, partitions, bombs, each = 1 << 30, 4, 8, 30
	address := kafkatest.Fake(t)
	in := install(t, address)
	in.env = append(in.env, "GOMEMLIMIT=870MiB") // 85 % of it, as in a container
	in.set("TABLE_INTERVAL", "1h")
	client := kafkatest.Client(t, address)
	kafkatest.Topics(t, client, partitions, in.topic("architectures"))
	bomb := bytes.Repeat([]byte("a"), 120<<20)
	good := rows(t)
	producer, err := kafka.OpenProducer(t.Context(), client, "", 0, compress.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	put := func(partition int32, values ...[]byte) {
		t.Helper()
		var b kafka.RecordBatch
		for _, v := range values {
			b.Append(&kafka.Record{Value: v})
		}
		if err := producer.Produce(t.Context(), schemas.TopicPartition{Topic: in.topic("architectures"), Number: partition}, &b, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	for i := range bombs {
		put(int32(i%partitions), good[i*each:(i+1)*each]...)
		put(int32(i%partitions), bomb)
	}
	run := in.start("run", "--role", "worker", "--exit-at-end")
	own := resident(run)
	status := run.wait(5 * patience)
	t.Logf("limit %d MiB: at most %d MiB", limit>>20, own()>>20)
	if status != 0 {
		t.Fatalf("status %d: %s", status, lastLines(run.err.String(), 5))
	}
	if peak := own(); peak > limit {
		t.Errorf("the process took %d MiB", peak>>20)
	}
	answers := len(kafkatest.Read(t, address, in.topic("predictions")))
	letters := len(kafkatest.Read(t, address, in.topic("dead-letters")))
	if answers != bombs*each || letters != bombs {
		t.Errorf("%d answers and %d dead letters; want %d and %d", answers, letters, bombs*each, bombs)
	}
}
