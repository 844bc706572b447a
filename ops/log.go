package ops

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"archflow/internal/finite"
)

// newLogHandler writes lines to out as text or json, to more when it is not
// nil, with the ids of the trace in the context, and summarises repeated ones.
func newLogHandler(out io.Writer, json bool, level slog.Leveler, more slog.Handler) *quietHandler {
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(out, options)
	if json {
		options.ReplaceAttr = finiteAttr
		h = slog.NewJSONHandler(out, options)
	}
	return &quietHandler{next: tracedHandler{h, more}, quiet: &quiet{lines: map[line]*repeats{}}}
}

// finiteAttr makes null of a number that JSON does not have.
func finiteAttr(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindFloat64 && !finite.Is(a.Value.Float64()) {
		a.Value = slog.AnyValue(nil)
	}
	return a
}

// tracedHandler adds trace_id and span_id to the local line; the bridge to
// OTLP takes them from the context by itself.
type tracedHandler struct {
	local slog.Handler
	otlp  slog.Handler // nil without OTLP logs
}

func (h tracedHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.local.Enabled(ctx, level)
}

func (h tracedHandler) Handle(ctx context.Context, r slog.Record) error {
	var err error
	if h.otlp != nil {
		err = h.otlp.Handle(ctx, r.Clone())
	}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return errors.Join(err, h.local.Handle(ctx, r))
}

func (h tracedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.local = h.local.WithAttrs(attrs)
	if h.otlp != nil {
		h.otlp = h.otlp.WithAttrs(attrs)
	}
	return h
}

func (h tracedHandler) WithGroup(name string) slog.Handler {
	h.local = h.local.WithGroup(name)
	if h.otlp != nil {
		h.otlp = h.otlp.WithGroup(name)
	}
	return h
}

const (
	quietBurst  = 5                // lines of one message that are written as they come
	quietWindow = 10 * time.Second // within this time
)

// quietHandler writes the first lines of one level and message, and one line
// with a count for those that follow within the window.
type quietHandler struct {
	next slog.Handler
	*quiet
}

type quiet struct {
	mu     sync.Mutex
	lines  map[line]*repeats
	closed bool
}

type line struct {
	level   slog.Level
	message string
}

type repeats struct {
	count int // in this window
	last  slog.Record
	next  slog.Handler
	timer *time.Timer
}

func (h *quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &quietHandler{h.next.WithAttrs(attrs), h.quiet}
}

func (h *quietHandler) WithGroup(name string) slog.Handler {
	return &quietHandler{h.next.WithGroup(name), h.quiet}
}

// Handle drops records which only report that an operation ended because its context
// had: they are expected at a stop.
func (h *quietHandler) Handle(ctx context.Context, r slog.Record) error {
	if ctx.Err() != nil && r.Level >= slog.LevelWarn && cancelled(r) {
		return nil
	}
	k := line{r.Level, r.Message}
	h.mu.Lock()
	seen := h.lines[k]
	if seen == nil {
		seen = &repeats{}
		h.lines[k] = seen
		if !h.closed {
			seen.timer = time.AfterFunc(quietWindow, func() { h.report(k) })
		}
	}
	seen.count++
	write := seen.count <= quietBurst || h.closed
	if !write {
		seen.last, seen.next = r.Clone(), h.next
	}
	h.mu.Unlock()
	if !write {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func cancelled(r slog.Record) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		found = ok && errors.Is(err, context.Canceled)
		return !found
	})
	return found
}

// report ends a window: it writes the last of the lines that were held back
// with their number.
func (q *quiet) report(k line) {
	q.mu.Lock()
	seen := q.lines[k]
	delete(q.lines, k)
	q.mu.Unlock()
	if seen == nil || seen.next == nil {
		return
	}
	seen.last.AddAttrs(slog.Int("repeated", seen.count-quietBurst))
	// The line has no caller any more who could hear of a failure.
	_ = seen.next.Handle(context.Background(), seen.last)
}

// flush writes the records held back and holds none back from then on.
func (q *quiet) flush() {
	q.mu.Lock()
	q.closed = true
	var open []line
	for k, seen := range q.lines {
		if seen.timer != nil {
			seen.timer.Stop()
		}
		open = append(open, k)
	}
	q.mu.Unlock()
	sortLines(open)
	for _, k := range open {
		q.report(k)
	}
}

func sortLines(lines []line) {
	slices.SortFunc(lines, func(a, b line) int {
		if c := cmp.Compare(a.level, b.level); c != 0 {
			return c
		}
		return strings.Compare(a.message, b.message)
	})
}
