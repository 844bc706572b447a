package pipeline

import (
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"archflow/ops"
	"archflow/schemas"
)

// TestLabelTraceEndsInTheModel: the trace of a label goes on to a span that names
// the model that knows it, and the fit has a span that is linked to the label's.
func TestLabelTraceEndsInTheModel(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	r := runWith(t, settings(t), func(report *ops.Telemetry) {
		report.Tracer = ops.NewTracer(provider, "g", time.Hour)
	})
	writer := r.Writer(r.Topics.Architectures)
	for i := range 40 {
		send(t, writer, chain(i))
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	writer = r.Writer(r.Topics.Labels)
	for i := range 24 {
		var headers []schemas.Header
		if i == 7 {
			headers = []schemas.Header{{Name: "traceparent", Value: []byte("00-" + traceID + "-b7ad6b7169203331-01")}}
		}
		if err := writer.Write(t.Context(), nil, fmt.Appendf(nil, `{"space":"dag","id":"c%d","task":"acc","value":%d}`, i, 50+i%7), headers); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, func() string {
		var learnt, fit *tracetest.SpanStub
		spans := exporter.GetSpans()
		for i := range spans {
			switch s := &spans[i]; {
			case s.Name == "learn" && s.SpanContext.TraceID().String() == traceID:
				learnt = s
			case s.Name == "fit dag" && len(s.Links) == 1:
				fit = s
			}
		}
		if learnt == nil || fit == nil {
			return fmt.Sprintf("%d spans, none of a fit that knows the label", len(spans))
		}
		if fit.Links[0].SpanContext.TraceID().String() != traceID || len(learnt.Links) != 1 || learnt.Links[0].SpanContext.SpanID() != fit.SpanContext.SpanID() ||
			learnt.Parent.SpanID().String() != "b7ad6b7169203331" || fit.Parent.IsValid() || fit.SpanKind != trace.SpanKindInternal {
			t.Fatalf("the spans of label and fit do not name each other: %+v and %+v", learnt, fit)
		}
		named := attribute.NewSet(learnt.Attributes...)
		if model, _ := named.Value("archflow.model"); model.AsString() != "dag/1" {
			t.Fatalf("the label's trace ends in model %q", model.AsString())
		}
		return ""
	})
}
