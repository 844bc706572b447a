package ops

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/otel/trace"

	"archflow/internal/kafka/kafkatest"
)

// collector starts the real OTLP receiver of the OpenTelemetry collector and
// returns its URL and where it keeps the spans.
func collector(t *testing.T) (string, *consumertest.TracesSink) {
	t.Helper()
	address := kafkatest.FreeAddress(t)
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	settings := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{"http": map[string]any{"endpoint": address}}})
	if err := settings.Unmarshal(config); err != nil {
		t.Fatal(err)
	}
	sink := new(consumertest.TracesSink)
	r, err := factory.CreateTraces(context.Background(), receivertest.NewNopSettings(factory.Type()), config, sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + address, sink
}

// TestCandidateArrivesAtACollector sends one candidate's way, as the pipeline
// draws it, to a real collector: one trace from the publisher to both commits,
// beside the batches' own.
func TestCandidateArrivesAtACollector(t *testing.T) {
	url, sink := collector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url+"/v1/traces")
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0")
	t.Setenv("OTEL_SERVICE_NAME", "worker-7")
	ctx := context.Background()
	tel, err := Start(ctx, Options{Version: "1.2.3", Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	header := []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	producers := tel.Tracer.Producers(1, func(int) ([]byte, int64) { return header, 41 })
	info := BatchInfo{Topic: "archflow.architectures", Partition: 2, First: 41, Next: 42, Rows: 1}
	var previous trace.SpanContext
	for _, stage := range []string{"decode", "surrogate", "predict"} {
		_, span := tel.Tracer.Batch(ctx, stage, info, previous, producers)
		started := span.Start()
		previous = span.End(Result{RowsOut: 1})
		producers = tel.Tracer.Messages(stage, info, previous, producers, started, time.Now())
	}
	header = AppendTraceparent(nil, producers[0].Context)
	for _, stage := range []string{"predictions topic", "predictions"} {
		tel.Tracer.Messages(stage, info, trace.SpanContext{}, producers, time.Now(), time.Now())
	}
	if err := tel.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}

	above, service := map[string]string{}, ""
	for _, traces := range sink.AllTraces() {
		for i := range traces.ResourceSpans().Len() {
			r := traces.ResourceSpans().At(i)
			name, _ := r.Resource().Attributes().Get("service.name")
			service = name.AsString()
			for j := range r.ScopeSpans().Len() {
				spans := r.ScopeSpans().At(j).Spans()
				for k := range spans.Len() {
					s := spans.At(k)
					if s.TraceID().String() == "4bf92f3577b34da6a3ce929d0e0e4736" {
						above[s.Name()] = s.ParentSpanID().String()
						if s.Name() == "predict" && s.SpanID().String() != string(header[36:52]) {
							t.Errorf("the prediction's header %s does not continue predict %s", header, s.SpanID())
						}
					}
				}
			}
		}
	}
	if service != "worker-7" {
		t.Errorf("service %q", service)
	}
	if len(above) != 5 || above["decode"] != "00f067aa0ba902b7" || above["predictions"] != above["predictions topic"] {
		t.Errorf("the candidate's spans and their parents: %s", fmt.Sprint(above))
	}
}
