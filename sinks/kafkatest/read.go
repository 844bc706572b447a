package kafkatest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Read returns what a read_committed consumer finds in a topic from its start
// to its end as of now, in the order of the offsets of each partition. The
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

func readAll(t testing.TB, address, topic string) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(topic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal("read ", topic, ": ", err)
	}
	defer client.Close()
	ends := Ends(t, address, topic)
	left := 0
	for _, end := range ends {
		if end > 0 {
			left++
		}
	}
	var out []*kgo.Record
	seen := map[int32]bool{}
	for left > 0 {
		// What is left may be markers that the client does not show.
		quiet, cancel := context.WithTimeout(ctx, 2*time.Second)
		fetches := client.PollFetches(quiet)
		cancel()
		if ctx.Err() == nil && errors.Is(fetches.Err0(), context.DeadlineExceeded) {
			return out
		}
		if err := fetches.Err0(); err != nil {
			t.Fatalf("read %s to %v: %v", topic, ends, err)
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				if r.Offset < ends[p.Partition] {
					out = append(out, r)
				}
			}
			last := int64(-1)
			if n := len(p.Records); n > 0 {
				last = p.Records[n-1].Offset
			}
			if !seen[p.Partition] && last+1 >= ends[p.Partition] {
				seen[p.Partition] = true
				left--
			}
		})
	}
	return out
}
