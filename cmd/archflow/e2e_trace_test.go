package main

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"archflow/internal/kafka/kafkatest"
)

// collector starts the OTLP receiver of the OpenTelemetry collector and returns
// its address and where it keeps the spans.
func collector(t *testing.T) (string, *consumertest.TracesSink) {
	t.Helper()
	address := kafkatest.FreeAddress(t)
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{"http": map[string]any{"endpoint": address}}}).Unmarshal(config); err != nil {
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
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + address, sink
}

// span holds the fields that the test compares.
type span struct{ name, trace, id, parent, process string }

func spansOf(sink *consumertest.TracesSink) (all []span) {
	for _, traces := range sink.AllTraces() {
		for i := range traces.ResourceSpans().Len() {
			resource := traces.ResourceSpans().At(i)
			pid, _ := resource.Resource().Attributes().Get("service.instance.id")
			for j := range resource.ScopeSpans().Len() {
				spans := resource.ScopeSpans().At(j).Spans()
				for k := range spans.Len() {
					s := spans.At(k)
					all = append(all, span{s.Name(), s.TraceID().String(), s.SpanID().String(), s.ParentSpanID().String(), pid.AsString()})
				}
			}
		}
	}
	return all
}

// TestEndToEndTrace: one candidate's way from its publisher to the table is one
// trace at a real collector, and its prediction carries it on.
func TestEndToEndTrace(t *testing.T) {
	in := install(t, kafkatest.Real(t))
	url, sink := collector(t)
	in.env = append(in.env, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
	in.ok("publish", "candidates", benchmark, "--limit", "1")
	in.ok("run", "--exit-at-end")

	predictions := kafkatest.Read(t, in.address, in.topic("predictions"))
	if len(predictions) != 1 {
		t.Fatalf("%d predictions", len(predictions))
	}
	parts := strings.Split(header(predictions[0], "traceparent"), "-")
	if len(parts) != 4 || len(parts[1]) != 32 {
		t.Fatalf("the prediction's traceparent is %q", header(predictions[0], "traceparent"))
	}
	named := map[string]span{}
	byID := map[string]span{}
	for _, s := range spansOf(sink) {
		if s.trace == parts[1] {
			named[s.name] = s
			byID[s.id] = s
		}
	}
	t.Logf("the candidate's trace: %v", named)
	publisher, ok := named["publish "+in.topic("architectures")]
	if !ok {
		t.Error("the publisher's span is not in the trace")
	}
	for _, stage := range []string{"source", "decode", "surrogate", "predict", "predictions topic", "predictions"} {
		var found *span
		for name, s := range named {
			if name == stage || strings.HasPrefix(name, stage+" "+in.prefix) {
				found = &s
			}
		}
		if found == nil {
			t.Errorf("no span of %s in the candidate's trace", stage)
			continue
		}
		above := *found
		for n := 0; above.id != publisher.id && n < 20; n++ {
			above = byID[above.parent]
		}
		if above.id != publisher.id {
			t.Errorf("%s does not descend from the publisher", stage)
		}
	}
	if _, ours := byID[parts[2]]; !ours {
		t.Errorf("the prediction's parent %s is no span of the trace", parts[2])
	}
}

// TestEndToEndExemplars: the histograms of a running archflow name traces that
// its collector has.
func TestEndToEndExemplars(t *testing.T) {
	in := install(t, "")
	page := in.listen()
	url, sink := collector(t)
	in.env = append(in.env, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
	run := in.start("run")
	run.says("msg=ready")
	in.ok("publish", "candidates", benchmark, "--limit", "100")
	exemplar := regexp.MustCompile(`(?m)^(archflow_\w+)_bucket\{.*# \{[^}]*trace_id="([0-9a-f]{32})"`)
	named := map[string]string{} // histogram -> trace
	wanted := []string{"archflow_prediction_latency_seconds", "archflow_stage_duration_seconds", "archflow_sink_commit_duration_seconds"}
	until(t, "each histogram names a trace", func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+page+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return false
		}
		for _, m := range exemplar.FindAllStringSubmatch(string(text), -1) {
			named[m[1]] = m[2]
		}
		for _, name := range wanted {
			if named[name] == "" {
				return false
			}
		}
		return true
	})
	run.signal(syscall.SIGTERM) // it sends its last spans
	if status := run.wait(patience); status != 0 {
		t.Fatalf("the run ended with status %d", status)
	}
	traces := map[string]bool{}
	for _, s := range spansOf(sink) {
		traces[s.trace] = true
	}
	for name, id := range named {
		if !traces[id] {
			t.Errorf("%s names the trace %s, which the collector does not have", name, id)
		}
	}
}
