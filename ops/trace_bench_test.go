package ops

import (
	"context"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// nowhere is an exporter that costs nothing.
type nowhere struct{}

func (nowhere) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (nowhere) Shutdown(context.Context) error                             { return nil }

// BenchmarkFollowed is the cost of one span of one candidate that is followed.
func BenchmarkFollowed(b *testing.B) {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(keeping{sdktrace.ParentBased(sdktrace.TraceIDRatioBased(.01))}), sdktrace.WithBatcher(nowhere{}))
	defer provider.Shutdown(context.Background())
	tracer := NewTracer(provider, "group", time.Second)
	batch := BatchInfo{Topic: "archflow.architectures", Partition: 3, First: 1000, Next: 2000, Rows: 1000, Model: "nb201/17"}
	var producers []Producer
	for i := range 10 {
		producers = append(producers, Producer{i, int64(1000 + i), sampled(byte(i + 1))})
	}
	now := time.Now()
	b.ReportAllocs()
	for range b.N / len(producers) {
		tracer.Messages("decode", batch, trace.SpanContext{}, producers, now, now)
	}
}
