package kafka

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
)

// fetchedBodies returns a broker's answers to fetches of messages as other clients
// write them, one for each compression.
func fetchedBodies(f *testing.F) (bodies [][]byte) {
	f.Helper()
	address := kafkatest.Fake(f)
	client := kafkatest.Client(f, address)
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		name := fmt.Sprint("codec", i)
		kafkatest.Topics(f, client, 1, name)
		c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ProducerBatchCompression(codec))
		if err != nil {
			f.Fatal(err)
		}
		text, at := []byte(strings.Repeat("again ", 20)), time.UnixMilli(1_767_225_600_000)
		err = c.ProduceSync(f.Context(),
			&kgo.Record{Topic: name, Timestamp: at, Key: []byte("k"), Value: text, Headers: []kgo.RecordHeader{{Key: "h", Value: nil}, {Key: "", Value: []byte{}}}},
			&kgo.Record{Topic: name, Timestamp: at, Value: text}, &kgo.Record{Topic: name, Timestamp: at, Value: nil}).FirstErr()
		c.Close()
		if err != nil {
			f.Fatal(err)
		}
		m, err := client.Transport.RoundTrip(f.Context(), client.Addr, &rawFetch{of: schemas.TopicPartition{Topic: name}, limits: Limits{}.filled()})
		if err != nil {
			f.Fatal(err)
		}
		bodies = append(bodies, m.(*rawFetch).buffer)
	}
	return bodies
}

// signed returns batches whose checksums are right, which no mutation's are.
func signed(batches []byte) []byte {
	batches = slices.Clone(batches)
	for rest := batches; len(rest) >= batchHeader; {
		size := int(int32(binary.BigEndian.Uint32(rest[8:]))) + 12
		if size < batchHeader || size > len(rest) {
			break
		}
		binary.BigEndian.PutUint32(rest[17:], crc32.Checksum(rest[21:size], castagnoli))
		rest = rest[size:]
	}
	return batches
}

// FuzzRecordStream: the record batches of an answer are read or refused, and the
// messages read are in order.
func FuzzRecordStream(f *testing.F) {
	f.Add(make([]byte, 100), int64(0))
	for _, body := range fetchedBodies(f) {
		var answer rawFetch
		if err := answer.parse(body); err != nil || len(answer.records) == 0 {
			f.Fatal(err)
		}
		f.Add(answer.records, int64(1))
	}
	f.Fuzz(func(t *testing.T, batches []byte, next int64) {
		for _, b := range [][]byte{batches, signed(batches)} {
			var s recordStream
			s.reset(b, []abortedTransaction{{producer: 1, first: 1}})
			m := schemas.Messages{}
			m.HeaderStart = []int32{0}
			for range 4 {
				if _, err := s.read(t.Context(), &m, next, Limits{Expanded: 1 << 16}.filled()); err != nil {
					break
				}
			}
			n := m.Len()
			if m.Key.Len() != n || m.Value.Len() != n || len(m.HeaderStart) != n+1 || int(m.HeaderStart[n]) != m.HeaderNames.Len() || m.HeaderValues.Len() != m.HeaderNames.Len() {
				t.Fatalf("%d messages, %d keys, %d values, %d of headers", n, m.Key.Len(), m.Value.Len(), len(m.HeaderStart))
			}
			for i := range n {
				if m.Offset[i] < next {
					t.Fatalf("offset %d is below %d", m.Offset[i], next)
				}
				_ = m.Headers(i)
			}
		}
	})
}

// FuzzFetchAnswer: an answer is read or refused.
func FuzzFetchAnswer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1})
	for _, body := range fetchedBodies(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var answer rawFetch
		if err := answer.parse(body); err == nil && answer.err == nil && len(answer.records) > len(body) {
			t.Fatal("more records than bytes")
		}
	})
}
