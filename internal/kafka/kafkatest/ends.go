package kafkatest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Ends returns the offset after the last that a read_committed consumer may
// read, for each partition of a topic, once no transaction is open any more.
func Ends(t testing.TB, address, topic string) map[int32]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := kgo.NewClient(seeds(address))
	if err != nil {
		t.Fatal("ends of ", topic, ": ", err)
	}
	defer client.Close()
	for {
		stable, all := listOffsets(ctx, t, client, topic, latest, committed), listOffsets(ctx, t, client, topic, latest, uncommitted)
		open := false
		for p := range all {
			open = open || stable[p] != all[p]
		}
		if !open {
			return stable
		}
		select {
		case <-ctx.Done():
			t.Fatalf("topic %s: a transaction stays open: stable %v of %v", topic, stable, all)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stable returns the offset after the last that a read_committed consumer may
// read now, for each partition of a topic.
func Stable(t testing.TB, address, topic string) map[int32]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return offsetsOf(ctx, t, address, topic, latest)
}

// starts returns the first offset that each partition of a topic still has.
func starts(ctx context.Context, t testing.TB, address, topic string) map[int32]int64 {
	t.Helper()
	return offsetsOf(ctx, t, address, topic, earliest)
}

func offsetsOf(ctx context.Context, t testing.TB, address, topic string, at int64) map[int32]int64 {
	t.Helper()
	client, err := kgo.NewClient(seeds(address))
	if err != nil {
		t.Fatal("offsets of ", topic, ": ", err)
	}
	defer client.Close()
	return listOffsets(ctx, t, client, topic, at, committed)
}

// seeds names the brokers of an address, which may be several with commas.
func seeds(address string) kgo.Opt { return kgo.SeedBrokers(strings.Split(address, ",")...) }

// The special times of a request for offsets, and its isolation levels.
const (
	latest, earliest       int64 = -1, -2
	uncommitted, committed int8  = 0, 1
)

// listOffsets asks until it is answered or ctx ends: a leader may be on its way.
func listOffsets(ctx context.Context, t testing.TB, client *kgo.Client, topic string, when int64, isolation int8) map[int32]int64 {
	t.Helper()
	for {
		out, err := askOffsets(ctx, client, topic, when, isolation)
		if err == nil {
			return out
		}
		select {
		case <-ctx.Done():
			t.Fatalf("ends of %s: %v", topic, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func askOffsets(ctx context.Context, client *kgo.Client, topic string, when int64, isolation int8) (map[int32]int64, error) {
	meta := kmsg.NewPtrMetadataRequest()
	want := kmsg.NewMetadataRequestTopic()
	want.Topic = kmsg.StringPtr(topic)
	meta.Topics = append(meta.Topics, want)
	m, err := meta.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	if len(m.Topics) != 1 {
		return nil, fmt.Errorf("metadata of %d topics", len(m.Topics))
	}
	if err := kerr.ErrorForCode(m.Topics[0].ErrorCode); err != nil {
		return nil, err
	}
	list := kmsg.NewPtrListOffsetsRequest()
	list.ReplicaID, list.IsolationLevel = -1, isolation
	of := kmsg.NewListOffsetsRequestTopic()
	of.Topic = topic
	for _, p := range m.Topics[0].Partitions {
		at := kmsg.NewListOffsetsRequestTopicPartition()
		at.Partition, at.Timestamp = p.Partition, when
		of.Partitions = append(of.Partitions, at)
	}
	list.Topics = append(list.Topics, of)
	r, err := list.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	if len(r.Topics) != 1 {
		return nil, fmt.Errorf("offsets of %d topics", len(r.Topics))
	}
	out := map[int32]int64{}
	for _, p := range r.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return nil, fmt.Errorf("partition %d: %w", p.Partition, err)
		}
		out[p.Partition] = p.Offset
	}
	return out, nil
}
