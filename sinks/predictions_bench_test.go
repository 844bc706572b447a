package sinks_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// BenchmarkPredictions writes batches of 1000 messages and commits every ten,
// to a broker in the process that throws the records away and to Apache Kafka.
func BenchmarkPredictions(b *testing.B) {
	for _, delivery := range []string{"exactly-once", "low-latency"} {
		for _, codec := range []string{"none", "lz4", "zstd", "kafka"} {
			b.Run(delivery+" "+codec, func(b *testing.B) {
				var client *kafka.Client
				if codec == "kafka" {
					codec = "lz4"
					client = kafkatest.Client(b, kafkatest.Real(b))
					kafkatest.Topics(b, client, 4, "p", "d", "a")
				} else {
					client = kafkatest.Client(b, kafkatest.Fake(b, kfake.BlackholeProduce(), kfake.SeedTopics(4, "p", "d", "a")))
				}
				s, err := sinks.OpenPredictions(b.Context(), client, sinks.DeliveryConfig{
					Predictions: "p", DeadLetters: "d", Compression: codec, LowLatency: delivery == "low-latency", Member: kafka.Member{Group: "g", Generation: -1}, TransactionalID: b.Name(),
				})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				at := schemas.TopicPartition{Topic: "a"}
				batch := sinktest.Batch(at, 0, 1000)
				rows := int(batch.Rows.NumRows()) + len(batch.Rejects)
				offsets := schemas.ViewCandidates(batch.Rows).Offset
				n := 0
				b.ReportAllocs()
				for b.Loop() {
					batch.Rows.Retain()
					if err := s.Write(b.Context(), batch); err != nil {
						b.Fatal(err)
					}
					n += rows
					batch.First, batch.Next = batch.Next, batch.Next+1000
					for i := range offsets { // the test owns the record
						offsets[i] += 1000
					}
					for i := range batch.Rejects {
						batch.Rejects[i].Offset += 1000
					}
					if n%(10*rows) == 0 {
						if err := s.Commit(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	for _, size := range []int{200, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			client := kafkatest.Client(b, kafkatest.Fake(b, kfake.BlackholeProduce(), kfake.SeedTopics(4, "p")))
			w := kafka.OpenWriter(client, "p")
			value := make([]byte, size)
			for i := range value {
				value[i] = "0123456789abcdef"[i*i%13]
			}
			keys := make([][]byte, 64)
			for i := range keys {
				keys[i] = fmt.Appendf(nil, "key %d", i)
			}
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				for range 1000 {
					if err := w.Write(b.Context(), keys[n%64], value, nil); err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			if err := w.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
