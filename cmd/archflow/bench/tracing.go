package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"

	"archflow/internal/progress"
	"archflow/ops"
	"archflow/pipeline"
	"archflow/schemas"
)

// tracedShare is of the candidates whose publisher's trace is sampled, and of
// the batches that are.
const tracedShare = .01

// tracing measures how much more processor time a worker takes for the stream
// when 1 % of it is traced. What receives the spans reads and forgets them in
// this process, so that its reading counts too.
func (b *bench) tracing(ctx context.Context) (*Figure, error) {
	s, err := b.streamed(ctx)
	if err != nil {
		return nil, err
	}
	if processorTime() == 0 {
		return nil, skipped("this system does not tell the processor time of a process")
	}
	var received atomic.Int64
	spans := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body) // one that ends early is sent again
		received.Add(n)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer spans.Close()
	// A topic of its own, because every candidate carries a traceparent.
	plain := *s
	plain.config.Data, plain.waits = filepath.Join(s.data, "traced"), 0
	b.status.Say(fmt.Sprintf("  %s candidates with a traceparent are published", progress.Thousands(int64(b.Stream))))
	if err := plain.publishTraced(ctx, b.Stream, b.config.Seed); err != nil {
		return nil, err
	}
	busy := func(exporter string) turn {
		return func(ctx context.Context) (float64, error) {
			restore := environment(map[string]string{
				"OTEL_TRACES_EXPORTER": exporter, "OTEL_EXPORTER_OTLP_ENDPOINT": spans.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
				"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
				"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": fmt.Sprint(tracedShare),
			})
			defer restore()
			before := processorTime()
			report, err := ops.Start(ctx, ops.Options{Version: b.version, Group: "bench", LogFormat: b.config.LogFormat, LogOutput: b.err, LogLevel: slog.LevelWarn})
			if err != nil {
				return 0, err
			}
			c, one := plain.next(pipeline.RoleWorker), plain
			one.report = report
			_, err = one.answer(ctx, &c)
			// The last spans are sent now, so that they count in this turn.
			err = errors.Join(err, report.Shutdown(context.WithoutCancel(ctx)))
			took := processorTime() - before
			return float64(took.Microseconds()) / float64(b.Stream), errors.Join(err, os.RemoveAll(c.Table))
		}
	}
	v, err := b.turns(ctx, busy("none"), busy("otlp"), busy("none"))
	if err != nil {
		return nil, err
	}
	if received.Load() == 0 {
		return nil, errors.New("no span arrived: nothing was traced")
	}
	more, noise := make([]float64, len(v[0])), make([]float64, len(v[0]))
	for i, with := range v[1] {
		more[i] = 100 * (2*with/(v[0][i]+v[2][i]) - 1)
		noise[i] = 100 * (v[2][i]/v[0][i] - 1)
	}
	b.note("tracing", "processor time of end_to_end with 1 %% of the candidates and batches traced over OTLP, more than the mean of the turns before and after it without; every candidate carries a traceparent in all; %.1f µs a candidate without, %.1f µs with; %.0f KB of spans a turn, the receiver of them included; the turns without differ among themselves by %.2g %% (quartiles %.2g apart)",
		median(append(v[0], v[2]...)), median(v[1]), float64(received.Load())/1000/float64(b.Runs+1), median(noise), quartiles(noise))
	return &Figure{Unit: "% more processor time", Value: rounded(median(more)), Spread: rounded(quartiles(more))}, nil
}

// environment sets variables and returns what puts them back.
func environment(set map[string]string) (restore func()) {
	before := map[string]string{}
	for name, value := range set {
		if old, had := os.LookupEnv(name); had {
			before[name] = old
		}
		_ = os.Setenv(name, value) // names and values here are legal
	}
	return func() {
		for name := range set {
			if old, had := before[name]; had {
				_ = os.Setenv(name, old)
			} else {
				_ = os.Unsetenv(name)
			}
		}
	}
}

// publishTraced publishes n candidates, each in a trace of its own of which
// tracedShare are sampled.
func (s *stream) publishTraced(ctx context.Context, n int, seed uint64) error {
	kafka, err := pipeline.Dial(ctx, &s.config, s.report.Log)
	if err != nil {
		return err
	}
	defer kafka.Close()
	random := rand.New(rand.NewPCG(seed, 3))
	fill := func(id []byte) {
		for i := range id {
			id[i] = byte(random.Uint32())
		}
	}
	w := kafka.Writer(kafka.Topics.Architectures)
	for i := range n {
		var c trace.SpanContextConfig
		fill(c.TraceID[:])
		fill(c.SpanID[:])
		if random.Float64() < tracedShare {
			c.TraceFlags = trace.FlagsSampled
		}
		headers := []schemas.Header{{Name: "traceparent", Value: ops.AppendTraceparent(nil, trace.NewSpanContext(c))}}
		if err := w.Write(ctx, fmt.Append(nil, i), s.table.lines[i%len(s.table.lines)], headers); err != nil {
			return err
		}
	}
	s.waits = int64(n)
	return w.Close(ctx)
}
