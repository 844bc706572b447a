package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	promclient "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// scope names archflow as the source of spans, metrics and lines.
const scope = "archflow"

// spanQueue is room for the spans of some seconds in which as many candidates are
// followed as may be, each with a dozen spans; the SDK's own 2,048 would lose
// most of them while a collector is slow.
const spanQueue = 8192

// Options of Start. The zero value logs text lines from INFO up to nowhere.
type Options struct {
	Version   string        // of archflow, for the resource
	Group     string        // consumer group, for spans
	LogFormat string        // text (also when empty) or json
	LogOutput io.Writer     // where lines go; nil drops them
	LogLevel  slog.Leveler  // nil is INFO
	SlowBatch time.Duration // a stage that takes longer for a batch is always traced; 0 is 5 s
}

// Telemetry is everything that reports to the outside.
type Telemetry struct {
	Log     *slog.Logger
	Metrics *Metrics
	Tracer  *Tracer
	Taps    *Taps

	scrape http.Handler
	quiet  *quiet
	stop   []func(context.Context) error
}

// Start installs the OpenTelemetry SDK with the settings of the OTEL_* variables and
// returns the Telemetry that the pipeline reports to. Without an OTLP endpoint and
// without OTEL_TRACES_EXPORTER traces are off and cost nothing; the same holds for
// metrics and logs over OTLP. Metrics for Prometheus are always on, because they only
// cost something when they are read. OTEL_SDK_DISABLED=true turns all exporting off.
//
// The caller calls Shutdown, also after the context has ended.
func Start(ctx context.Context, o Options) (*Telemetry, error) {
	t := &Telemetry{}
	err := t.start(ctx, o)
	if err != nil {
		stopContext, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("telemetry: %w", err), t.Shutdown(stopContext))
	}
	return t, nil
}

func (t *Telemetry) start(ctx context.Context, o Options) error {
	if o.LogFormat != "" && o.LogFormat != "text" && o.LogFormat != "json" {
		return fmt.Errorf("log format %q: want text or json", o.LogFormat)
	}
	if o.LogOutput == nil {
		o.LogOutput = io.Discard
	}
	if o.LogLevel == nil {
		o.LogLevel = slog.LevelInfo
	}
	if o.SlowBatch == 0 {
		o.SlowBatch = 5 * time.Second
	}
	about, err := describe(ctx, o.Version)
	if err != nil {
		return err
	}
	if err = t.startLog(ctx, o, about); err != nil {
		return err
	}
	// A dead collector must not fill the log: the handler summarises.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		t.Log.Warn("telemetry could not be exported", "error", err)
	}))
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	if err = t.startTraces(ctx, o, about); err != nil {
		return err
	}
	return t.startMetrics(ctx, about)
}

// describe returns the resource of this process; the environment overrides the defaults.
func describe(ctx context.Context, version string) (*resource.Resource, error) {
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithAttributes(
			semconv.ServiceName("archflow"),
			semconv.ServiceVersion(version),
			semconv.ServiceInstanceID(uuid.NewString()),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES=%q: %w; want name=value,name=value", os.Getenv("OTEL_RESOURCE_ATTRIBUTES"), err)
	}
	return about, nil
}

func (t *Telemetry) startLog(ctx context.Context, o Options, about *resource.Resource) error {
	var bridge slog.Handler
	if exporting("LOGS") {
		exporter, err := autoexport.NewLogExporter(ctx)
		if err != nil {
			return fmt.Errorf("exporting logs: %w; look at OTEL_LOGS_EXPORTER and OTEL_EXPORTER_OTLP_*", err)
		}
		provider := sdklog.NewLoggerProvider(sdklog.WithResource(about), sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
		t.stop = append(t.stop, provider.Shutdown)
		bridge = otelslog.NewHandler(scope, otelslog.WithLoggerProvider(provider), otelslog.WithVersion(o.Version))
	}
	h := newLogHandler(o.LogOutput, o.LogFormat == "json", o.LogLevel, bridge)
	t.Log, t.quiet = slog.New(h), h.quiet
	return nil
}

func (t *Telemetry) startTraces(ctx context.Context, o Options, about *resource.Resource) error {
	if !exporting("TRACES") {
		t.Tracer = &Tracer{}
		return nil
	}
	sampler, err := environmentSampler()
	if err != nil {
		return err
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return fmt.Errorf("exporting traces: %w; look at OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_*", err)
	}
	var batching []sdktrace.BatchSpanProcessorOption
	if os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") == "" {
		batching = append(batching, sdktrace.WithMaxQueueSize(spanQueue))
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(about),
		sdktrace.WithSampler(keeping{sampler}),
		sdktrace.WithBatcher(exporter, batching...),
	)
	otel.SetTracerProvider(provider)
	t.stop = append(t.stop, provider.Shutdown)
	t.Tracer = NewTracer(provider, o.Group, o.SlowBatch)
	return nil
}

func (t *Telemetry) startMetrics(ctx context.Context, about *resource.Resource) error {
	registry := promclient.NewRegistry()
	scraped, err := prometheus.New(prometheus.WithRegisterer(registry), prometheus.WithoutScopeInfo())
	if err != nil {
		return fmt.Errorf("metrics for Prometheus: %w", err)
	}
	options := []metric.Option{metric.WithResource(about), metric.WithReader(scraped)}
	// OTEL_METRICS_EXPORTER=prometheus asks for what /metrics offers already.
	if exporting("METRICS") && os.Getenv("OTEL_METRICS_EXPORTER") != "prometheus" {
		pushed, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return fmt.Errorf("exporting metrics: %w; look at OTEL_METRICS_EXPORTER and OTEL_EXPORTER_OTLP_*", err)
		}
		options = append(options, metric.WithReader(pushed))
	}
	provider := metric.NewMeterProvider(options...)
	otel.SetMeterProvider(provider)
	t.stop = append(t.stop, provider.Shutdown)
	t.Metrics, err = NewMetrics(provider.Meter(scope))
	if err != nil {
		return err
	}
	t.Taps = &Taps{stages: t.Metrics.stageNames}
	if err = runtime.Start(runtime.WithMeterProvider(provider)); err != nil {
		return fmt.Errorf("metrics of the Go runtime: %w", err)
	}
	t.scrape = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorLog: slog.NewLogLogger(t.Log.Handler(), slog.LevelWarn)})
	return nil
}

// exporting says whether the environment asks to export a signal: LOGS, TRACES
// or METRICS.
func exporting(signal string) bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	switch os.Getenv("OTEL_" + signal + "_EXPORTER") {
	case "none":
		return false
	case "":
		return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
	}
	return true
}

// Scrape answers /metrics.
func (t *Telemetry) Scrape() http.Handler { return t.scrape }

// Shutdown exports the telemetry still in memory and stops. It returns an error when ctx
// ends first; the log works on.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t.quiet != nil {
		t.quiet.flush()
	}
	var all error
	for i := len(t.stop) - 1; i >= 0; i-- {
		all = errors.Join(all, t.stop[i](ctx))
	}
	t.stop = nil
	if all != nil {
		return fmt.Errorf("telemetry: the last spans, metrics or lines were not delivered: %w", all)
	}
	return nil
}
