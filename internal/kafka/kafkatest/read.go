package kafkatest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Read returns the messages that a read_committed consumer finds in a topic from its
// start to its end as of now, in the order of the offsets of each partition. The
// consumer is another library than the product's.
func Read(t testing.TB, address, topic string) []*kgo.Record {
	t.Helper()
	var out []*kgo.Record
	for _, r := range readAll(t, address, topic) {
		if !r.Attrs.IsControl() {
			out = append(out, r)
		}
	}
	return out
}

// Markers counts the transactions that were committed to a topic's partitions
// and those that were aborted there.
func Markers(t testing.TB, address, topic string) (committed, aborted int) {
	t.Helper()
	for _, r := range readAll(t, address, topic) {
		if !r.Attrs.IsControl() || len(r.Key) < 4 {
			continue
		}
		if r.Key[3] == 1 {
			committed++
		} else {
			aborted++
		}
	}
	return committed, aborted
}

// readAll reads to the end that each partition had when it was asked, however long the
// broker takes. Markers are included, so that the last offset of a partition always
// comes unless it was cut off at the front.
func readAll(t testing.TB, address, topic string) []*kgo.Record {
	t.Helper()
	return ReadFrom(t, address, topic, nil, Ends(t, address, topic))
}

// ReadFrom reads the partitions of a topic from the offsets in from, or from their
// start, to the offsets in ends, each exclusive, with a read_committed consumer. It
// returns control records too.
func ReadFrom(t testing.TB, address, topic string, from, ends map[int32]int64) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	next, begin := map[int32]int64{}, map[int32]kgo.Offset{}
	for p, start := range starts(ctx, t, address, topic) {
		if at := max(start, from[p]); at < ends[p] {
			next[p], begin[p] = at, kgo.NewOffset().At(at)
		}
	}
	if len(next) == 0 {
		return nil
	}
	client, err := kgo.NewClient(seeds(address), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: begin}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal("read ", topic, ": ", err)
	}
	defer client.Close()
	var out []*kgo.Record
	var said error
	for len(next) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read %s to %v: not there after a minute, next would be %v; the last error: %v", topic, ends, next, said)
		}
		fetches.EachError(func(_ string, _ int32, err error) { said = err })
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset < ends[r.Partition] {
				out = append(out, r)
			}
			if r.Offset+1 >= ends[r.Partition] {
				delete(next, r.Partition)
			} else if _, reading := next[r.Partition]; reading {
				next[r.Partition] = r.Offset + 1
			}
		})
	}
	return out
}
