package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns telemetry that writes its log to the buffer, without any
// OTEL_* variable of the machine.
func start(t *testing.T, o Options) *Telemetry {
	t.Helper()
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		t.Setenv(name, "")
	}
	tel, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func scrape(t *testing.T, tel *Telemetry) string {
	t.Helper()
	return scrapeAs(t, tel, "application/openmetrics-text; version=1.0.0")
}

func scrapeAs(t *testing.T, tel *Telemetry, accept string) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	tel.Scrape().ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("/metrics: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestTracesAreOffWithoutAnEndpoint(t *testing.T) {
	tel := start(t, Options{Version: "test"})
	if tel.Tracer.On() {
		t.Fatal("traces are on although nothing asks for them")
	}
	ctx := context.Background()
	allocations := testing.AllocsPerRun(100, func() {
		_, span := tel.Tracer.Batch(ctx, "decode", BatchInfo{Topic: "a", Rows: 5}, trace.SpanContext{}, nil)
		span.End(Result{RowsOut: 5})
		tel.Tracer.Messages("decode", BatchInfo{}, trace.SpanContext{}, nil, time.Time{}, time.Time{})
	})
	if allocations != 0 {
		t.Errorf("a batch without tracing allocates %v times", allocations)
	}
}

func TestStartRefusesWhatItCannotRead(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"OTEL_TRACES_SAMPLER", "sometimes", "parentbased_traceidratio"},
		{"OTEL_TRACES_SAMPLER_ARG", "7", "between 0 and 1"},
		{"OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER"},
		{"OTEL_RESOURCE_ATTRIBUTES", "a", "name=value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(c.name, c.value)
			_, err := Start(context.Background(), Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s=%s: %v, want a sentence with %q", c.name, c.value, err, c.want)
			}
		})
	}
	if _, err := Start(context.Background(), Options{LogFormat: "xml"}); err == nil || !strings.Contains(err.Error(), "text or json") {
		t.Errorf("log format xml: %v", err)
	}
}

func TestDisabledSDKExportsNothing(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	tel, err := Start(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if tel.Tracer.On() || len(tel.stop) != 1 {
		t.Errorf("tracer on: %v, %d exporters; want only the metrics that are scraped", tel.Tracer.On(), len(tel.stop)-1)
	}
	if err := tel.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestLinesCarryTraceIDs(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newLogHandler(&out, true, slog.LevelInfo, nil))
	sc := sampled(7)
	log.With("a", 1).InfoContext(trace.ContextWithSpanContext(context.Background(), sc), "hello")
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["trace_id"] != sc.TraceID().String() || got["span_id"] != sc.SpanID().String() || got["a"] != 1.0 {
		t.Errorf("line %v", got)
	}
}

func TestRepeatedLinesAreSummarised(t *testing.T) {
	var out bytes.Buffer
	h := newLogHandler(&out, false, slog.LevelInfo, nil)
	log := slog.New(h)
	for i := range 100 {
		log.Warn("broker away", "try", i)
	}
	log.Info("something else")
	h.flush()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != quietBurst+2 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	if last := lines[len(lines)-1]; !strings.Contains(last, "try=99 repeated=95") {
		t.Errorf("summary %q", last)
	}
	log.Warn("broker away", "try", 100)
	if !strings.Contains(out.String(), "try=100") {
		t.Error("a line after the flush was held back")
	}
}

func sampled(n byte) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, n}, SpanID: trace.SpanID{2, n}, TraceFlags: trace.FlagsSampled, Remote: true})
}

func TestTraceparent(t *testing.T) {
	want := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	sc, ok := ParseTraceparent([]byte(want))
	if !ok || !sc.IsSampled() || !sc.IsRemote() || sc.TraceID().String() != want[3:35] {
		t.Fatalf("%v %v", sc, ok)
	}
	if got := string(AppendTraceparent(nil, sc)); got != want {
		t.Errorf("written back as %s", got)
	}
	if _, ok := ParseTraceparent([]byte("01-" + want[3:] + "-more")); !ok {
		t.Error("a later version with more fields was refused")
	}
	for _, broken := range []string{"", "00", want[:54], want + "-more", "ff" + want[2:], "00-" + strings.Repeat("0", 32) + want[35:], "00-" + strings.ToUpper(want[3:]), strings.ReplaceAll(want, "-", "_"), "zz" + want[2:]} {
		if sc, ok := ParseTraceparent([]byte(broken)); ok {
			t.Errorf("%q was read as %v", broken, sc)
		}
	}
	for flags := range 256 {
		h := []byte(want[:53] + fmt.Sprintf("%02x", flags))
		sc, ok := ParseTraceparent(h)
		if !ok || sc.IsSampled() != (flags&1 == 1) || maybeSampled(h) != sc.IsSampled() {
			t.Errorf("flags %02x: sampled %v, at a glance %v", flags, sc.IsSampled(), maybeSampled(h))
		}
	}
	if n := testing.AllocsPerRun(10, func() { ParseTraceparent([]byte(want)) }); n > 1 { // the conversion
		t.Errorf("%v allocations", n)
	}
}

func recorder(t *testing.T, sampler sdktrace.Sampler) (*Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(keeping{sampler}), sdktrace.WithSyncer(exporter))
	return NewTracer(provider, "group", time.Hour), exporter
}

func TestBatchSpansFollowEachOther(t *testing.T) {
	tracer, exporter := recorder(t, sdktrace.AlwaysSample())
	var producers []Producer
	for i := range 50 {
		producers = append(producers, Producer{i, int64(100 + i), sampled(byte(i))})
	}
	info := BatchInfo{Topic: "archflow.architectures", Partition: 3, First: 100, Next: 150, Rows: 50}
	_, first := tracer.Batch(context.Background(), "decode", info, trace.SpanContext{}, producers)
	sc := first.End(Result{RowsOut: 49, Rejects: 1})
	_, second := tracer.Batch(context.Background(), "surrogate", info, sc, nil)
	second.End(Result{RowsOut: 49, Err: errors.New("no")})

	spans := exporter.GetSpans()
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	if spans[1].Parent.SpanID() != spans[0].SpanContext.SpanID() {
		t.Error("the second stage is not below the first")
	}
	if len(spans[0].Links) != maxLinks {
		t.Errorf("%d links, want %d", len(spans[0].Links), maxLinks)
	}
	if spans[0].Name != "decode archflow.architectures" {
		t.Errorf("name %q", spans[0].Name)
	}
	has := map[string]string{}
	for _, a := range spans[0].Attributes {
		has[string(a.Key)] = a.Value.String()
	}
	for k, v := range map[string]string{"messaging.system": "kafka", "messaging.destination.partition.id": "3", "messaging.batch.message_count": "50", "messaging.consumer.group.name": "group", "archflow.rejects": "1"} {
		if has[k] != v {
			t.Errorf("%s is %q, want %q", k, has[k], v)
		}
	}
	if spans[1].Status.Description != "no" {
		t.Errorf("status %v", spans[1].Status)
	}
}

func TestSlowAndRefusedAreKept(t *testing.T) {
	tracer, exporter := recorder(t, sdktrace.ParentBased(sdktrace.NeverSample()))
	info := BatchInfo{Topic: "a", Rows: 2}
	_, span := tracer.Batch(context.Background(), "decode", info, trace.SpanContext{}, nil)
	span.End(Result{RowsOut: 2})
	if n := len(exporter.GetSpans()); n != 0 {
		t.Fatalf("%d spans of an ordinary batch", n)
	}
	_, span = tracer.Batch(context.Background(), "decode", info, trace.SpanContext{}, nil)
	span.End(Result{RowsOut: 1, Rejects: 1})
	tracer.slow = 0
	_, span = tracer.Batch(context.Background(), "predict", info, trace.SpanContext{}, nil)
	span.End(Result{RowsOut: 1})
	tracer.DeadLetter(info, 17, []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), "cycle", "a cycle")
	var reasons []string
	for _, s := range exporter.GetSpans() {
		for _, a := range s.Attributes {
			if a.Key == keepKey {
				reasons = append(reasons, a.Value.AsString())
			}
		}
	}
	if got := strings.Join(reasons, ", "); got != "dead letters, slow, dead letter" {
		t.Errorf("kept: %s", got)
	}
	if last := exporter.GetSpans()[2]; last.SpanContext.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Error("the dead letter is not in its publisher's trace")
	}
	for range 1000 {
		tracer.DeadLetter(info, 1, nil, "cycle", "a cycle")
	}
	if n := len(exporter.GetSpans()); n > 3*keepBudget {
		t.Errorf("%d spans were kept within a moment", n)
	}
}

func TestOneCandidateIsFollowed(t *testing.T) {
	tracer, exporter := recorder(t, sdktrace.ParentBased(sdktrace.NeverSample()))
	headers := []string{"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-00"}
	producers := tracer.Producers(3, func(i int) ([]byte, int64) { return []byte(headers[i]), int64(10 + i) })
	if len(producers) != 1 || producers[0].Row != 1 || producers[0].Offset != 11 {
		t.Fatalf("%+v", producers)
	}
	info := BatchInfo{Topic: "a", First: 10, Next: 13, Rows: 3}
	at := time.Now()
	for _, stage := range []string{"decode", "surrogate", "predict"} {
		producers = tracer.Messages(stage, info, trace.SpanContext{}, producers, at, at.Add(time.Millisecond))
	}
	for _, sink := range []string{"predictions", "table"} {
		tracer.Messages(sink, info, trace.SpanContext{}, producers, at, at.Add(time.Millisecond))
	}
	above := map[string]string{}
	names := map[trace.SpanID]string{}
	for _, s := range exporter.GetSpans() {
		names[s.SpanContext.SpanID()] = s.Name
		above[s.Name] = names[s.Parent.SpanID()]
		if s.SpanContext.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" {
			t.Errorf("%s is in another trace", s.Name)
		}
	}
	want := map[string]string{"decode": "", "surrogate": "decode", "predict": "surrogate", "predictions": "predict", "table": "predict"}
	for stage, parent := range want {
		if got, ok := above[stage]; !ok || got != parent {
			t.Errorf("%s is below %q, want %q", stage, got, parent)
		}
	}
}

// BenchmarkTracing measures the cost of tracing for a batch of 512 of which 1 % are
// sampled: once at the source, and then in each stage.
func BenchmarkTracing(b *testing.B) {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(keeping{sdktrace.ParentBased(sdktrace.TraceIDRatioBased(.01))}), sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	defer func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	header := []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
	kept := []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	read := func(i int) ([]byte, int64) {
		if i%100 == 0 {
			return kept, int64(i)
		}
		return header, int64(i)
	}
	tracer := NewTracer(provider, "g", time.Hour)
	tracer.follow.limit = 1 << 30
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tracer.Producers(512, read)
		}
	})
	for name, tracer := range map[string]*Tracer{"stage": tracer, "off": {}} {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			info := BatchInfo{Topic: "a", Rows: 512, Next: 512}
			producers := tracer.Producers(512, read)
			b.ReportAllocs()
			for b.Loop() {
				_, span := tracer.Batch(ctx, "decode", info, trace.SpanContext{}, producers)
				sc := span.End(Result{RowsOut: 512})
				tracer.Messages("decode", info, sc, producers, time.Time{}, time.Time{})
			}
		})
	}
}

// TestUndefinedNumbersInLines: a line of JSON shows null for a number that JSON
// does not have, and keeps the rest.
func TestUndefinedNumbersInLines(t *testing.T) {
	var out bytes.Buffer
	slog.New(newLogHandler(&out, true, slog.LevelInfo, nil)).Info("fit", "tau", math.NaN(), "most", math.Inf(1), "labels", 3)
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["tau"] != nil || got["most"] != nil || got["labels"] != 3.0 {
		t.Errorf("%v: %s", err, out.Bytes())
	}
}

// TestCanceledOperationsAreNotLogged: an operation that ended because its context had is not logged.
func TestCanceledOperationsAreNotLogged(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newLogHandler(&out, false, slog.LevelInfo, nil))
	ctx, cancel := context.WithCancel(context.Background())
	log.WarnContext(ctx, "running", "error", fmt.Errorf("list: %w", context.Canceled))
	cancel()
	log.WarnContext(ctx, "at the stop", "error", fmt.Errorf("list: %w", context.Canceled))
	log.WarnContext(ctx, "a fault at the stop", "error", errors.New("disk full"))
	if got := out.String(); !strings.Contains(got, "running") || strings.Contains(got, `"at the stop"`) || !strings.Contains(got, "a fault") {
		t.Errorf("%s", got)
	}
}
