package ops

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// FitInfo are the attributes of a fit's span. Empty fields are left out.
type FitInfo struct {
	Space    string
	Model    string // that answers after it, such as nb201/17
	Decision string // promoted or kept
	Start    time.Time
}

// Fit records a fit that ends now: a span with links to at most 32 of the labels
// that it has looked at, and in the trace of each label a span "learn" that names
// the model that knows it.
func (t *Tracer) Fit(ctx context.Context, f FitInfo, labels []Producer) {
	if t.tracer == nil {
		return
	}
	attributes := []attribute.KeyValue{
		attribute.String("archflow.space", f.Space), attribute.String("archflow.decision", f.Decision), attribute.Int("archflow.labels", len(labels)),
	}
	if f.Model != "" {
		attributes = append(attributes, attribute.String("archflow.model", f.Model))
	}
	_, fit := t.tracer.Start(ctx, "fit "+f.Space, trace.WithTimestamp(f.Start), trace.WithNewRoot(), trace.WithAttributes(attributes...))
	addLinks(fit, labels)
	fit.End()
	for _, p := range labels {
		_, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, p.Context), "learn", trace.WithTimestamp(f.Start),
			trace.WithLinks(trace.Link{SpanContext: fit.SpanContext()}), trace.WithAttributes(attributes...), trace.WithAttributes(semconv.MessagingKafkaOffset(int(p.Offset))))
		span.End()
	}
}
