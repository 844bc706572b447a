package ops

import (
	"context"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const (
	maxLinks     = 32  // links of a batch's span to its producers' spans
	followBudget = 200 // candidates that are followed one by one, each second
	keepBudget   = 50  // spans that are kept against the sampler, each second
)

// Tracer makes the spans of batches and of single candidates. The zero value
// is off: it does nothing and allocates nothing.
type Tracer struct {
	tracer trace.Tracer // nil when off
	group  string
	slow   time.Duration

	follow, keep budget
}

// NewTracer returns a tracer on provider. A stage that takes longer than slow
// for a batch is traced whatever the sampler says, if the provider's sampler is
// that of Start.
func NewTracer(provider trace.TracerProvider, group string, slow time.Duration) *Tracer {
	return &Tracer{
		tracer: provider.Tracer(scope),
		group:  group,
		slow:   slow,
		follow: budget{limit: followBudget},
		keep:   budget{limit: keepBudget},
	}
}

// On says whether spans go anywhere.
func (t *Tracer) On() bool { return t.tracer != nil }

// BatchInfo are the attributes of a batch's span. Empty fields are left out.
type BatchInfo struct {
	Operation   Operation
	Topic       string
	Partition   int32
	First, Next int64 // offsets covered: First <= offset < Next
	Rows        int
	Bytes       int    // of the values or of the files
	Model       string // such as nb201/17; several separated by commas
	To          string // topic that is written, for Send; Topic is where the messages came from
}

// destination is the topic that a span is named for.
func (b *BatchInfo) destination() string {
	if b.To != "" {
		return b.To
	}
	return b.Topic
}

// attributes are those of a span of a batch.
func (t *Tracer) attributes(stage string, b BatchInfo) []attribute.KeyValue {
	list := append(t.shared(stage, b),
		semconv.MessagingBatchMessageCount(b.Rows),
		semconv.MessagingKafkaOffset(int(b.First)),
		attribute.Int64("archflow.next_offset", b.Next),
	)
	if b.Bytes > 0 {
		list = append(list, attribute.Int("archflow.bytes", b.Bytes))
	}
	return list
}

// shared are those of the spans of a batch and of its messages.
func (t *Tracer) shared(stage string, b BatchInfo) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, 12)
	list = append(list,
		attribute.String("archflow.stage", stage),
		semconv.MessagingSystemKafka,
		semconv.MessagingOperationName(stage),
		b.Operation.attribute(),
		semconv.MessagingDestinationName(b.destination()),
	)
	if b.To != "" {
		list = append(list, attribute.String("archflow.source.topic", b.Topic), attribute.Int("archflow.source.partition", int(b.Partition)))
	} else {
		list = append(list, semconv.MessagingDestinationPartitionID(strconv.Itoa(int(b.Partition))))
	}
	if t.group != "" {
		list = append(list, semconv.MessagingConsumerGroupName(t.group))
	}
	if b.Model != "" {
		list = append(list, attribute.String("archflow.model", b.Model))
	}
	return list
}

// Operation is a stage's operation on messages, in the words of the semantic
// conventions. The zero value means Process.
type Operation string

// The operations.
const (
	Receive Operation = "receive" // from Kafka
	Process Operation = "process"
	Send    Operation = "send" // to Kafka
)

func (o Operation) attribute() attribute.KeyValue {
	if o == "" {
		o = Process
	}
	return semconv.MessagingOperationTypeKey.String(string(o))
}

func (o Operation) kind() trace.SpanKind {
	switch o {
	case Receive:
		return trace.SpanKindConsumer
	case Send:
		return trace.SpanKindProducer
	}
	return trace.SpanKindInternal
}

// Span is a stage at work on a batch. A nil Span is legal and does nothing.
type Span struct {
	t         *Tracer
	span      trace.Span
	previous  trace.SpanContext
	stage     string
	batch     BatchInfo
	producers []Producer
	start     time.Time
}

// Batch starts the span of a stage's work on a batch, under the span of the
// stage before (previous, as Span.End returned it; empty for the first), with
// links to at most 32 of the producers' spans. The context carries the span to
// log lines and exemplars. stage is one of few fixed names.
func (t *Tracer) Batch(ctx context.Context, stage string, b BatchInfo, previous trace.SpanContext, producers []Producer) (context.Context, *Span) {
	if t.tracer == nil {
		return ctx, nil
	}
	s := &Span{t: t, previous: previous, stage: stage, batch: b, producers: producers, start: time.Now()}
	ctx, s.span = t.tracer.Start(trace.ContextWithSpanContext(ctx, previous), stage+" "+b.destination(),
		trace.WithTimestamp(s.start), trace.WithSpanKind(b.Operation.kind()))
	if s.span.IsRecording() {
		s.span.SetAttributes(t.attributes(stage, b)...)
		addLinks(s.span, producers)
	}
	return ctx, s
}

func addLinks(span trace.Span, producers []Producer) {
	for _, p := range producers[:min(len(producers), maxLinks)] {
		span.AddLink(trace.Link{SpanContext: p.Context, Attributes: []attribute.KeyValue{semconv.MessagingKafkaOffset(int(p.Offset))}})
	}
}

// Result is how a stage's work on a batch ended.
type Result struct {
	RowsOut, Rejects int
	Model            string // such as nb201/17, when it is known only now
	Err              error
}

// End ends the span and returns its context for the next stage. A batch that the sampler
// dropped is kept after all when it was slow, failed or had rejects, at most 50 times a
// second.
func (s *Span) End(r Result) trace.SpanContext {
	if s == nil {
		return trace.SpanContext{}
	}
	span, now := s.span, time.Now()
	if !span.IsRecording() {
		reason := ""
		switch {
		case r.Err != nil:
			reason = "error"
		case r.Rejects > 0:
			reason = "dead letters"
		case now.Sub(s.start) > s.t.slow:
			reason = "slow"
		}
		if reason == "" || !s.t.keep.take(now) {
			return span.SpanContext()
		}
		_, span = s.t.tracer.Start(trace.ContextWithSpanContext(context.Background(), s.previous), s.stage+" "+s.batch.destination(),
			trace.WithTimestamp(s.start), trace.WithSpanKind(s.batch.Operation.kind()), trace.WithAttributes(keepKey.String(reason)))
		span.SetAttributes(s.t.attributes(s.stage, s.batch)...)
		addLinks(span, s.producers)
	}
	span.SetAttributes(attribute.Int("archflow.rows_out", r.RowsOut), attribute.Int("archflow.rejects", r.Rejects))
	if r.Model != "" {
		span.SetAttributes(attribute.String("archflow.model", r.Model))
	}
	if r.Err != nil {
		span.RecordError(r.Err)
		span.SetStatus(codes.Error, r.Err.Error())
	}
	span.End(trace.WithTimestamp(now))
	return span.SpanContext()
}

// Start returns when the span started, for Messages; now when tracing is off.
func (s *Span) Start() time.Time {
	if s == nil {
		return time.Now()
	}
	return s.start
}

// Producer is a candidate whose publisher's trace is sampled: the candidate is
// followed through every stage.
type Producer struct {
	Row     int
	Offset  int64
	Context trace.SpanContext // of the publisher, or of the candidate's last stage
}

// Producers returns the candidates of a batch of n rows to follow, by their
// traceparent headers: those that are sampled, at most 200 a second. header
// returns the header of a row and its offset. Nil when tracing is off.
func (t *Tracer) Producers(n int, header func(row int) (traceparent []byte, offset int64)) []Producer {
	if t.tracer == nil {
		return nil
	}
	var list []Producer
	var now time.Time
	for i := range n {
		text, offset := header(i)
		if !maybeSampled(text) {
			continue
		}
		sc, ok := ParseTraceparent(text)
		if !ok || !sc.IsSampled() {
			continue
		}
		if now.IsZero() {
			now = time.Now()
		}
		if !t.follow.take(now) {
			break
		}
		list = append(list, Producer{i, offset, sc})
	}
	return list
}

// Messages draws a stage's work on a batch into the traces of the candidates
// that are followed: for each a span from start to end under its last one, with
// a link to the batch's span. It returns the producers with the new spans'
// contexts, for the next stage and for the headers that leave; the argument is
// not changed.
func (t *Tracer) Messages(stage string, b BatchInfo, batch trace.SpanContext, producers []Producer, start, end time.Time) []Producer {
	if t.tracer == nil || len(producers) == 0 {
		return nil
	}
	next := make([]Producer, len(producers))
	// A followed candidate costs a span in each stage, so the common attributes of its
	// spans are made once.
	shared := t.shared(stage, b)
	offset := len(shared)
	shared = append(shared, attribute.KeyValue{})
	options := []trace.SpanStartOption{trace.WithTimestamp(start), trace.WithSpanKind(b.Operation.kind())}
	if batch.IsSampled() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: batch}))
	}
	ended := trace.WithTimestamp(end)
	for i, p := range producers {
		_, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(context.Background(), p.Context), stage, options...)
		shared[offset] = semconv.MessagingKafkaOffset(int(p.Offset))
		span.SetAttributes(shared...) // which copies them
		span.End(ended)
		next[i] = Producer{p.Row, p.Offset, span.SpanContext()}
	}
	return next
}

// DeadLetter records a refused message in its publisher's trace (in its own
// when it has none), whatever the sampler says, at most 50 times a second.
func (t *Tracer) DeadLetter(b BatchInfo, offset int64, traceparent []byte, class, reason string) {
	if t.tracer == nil || !t.keep.take(time.Now()) {
		return
	}
	ctx := context.Background()
	if sc, ok := ParseTraceparent(traceparent); ok {
		ctx = trace.ContextWithRemoteSpanContext(ctx, sc)
	}
	_, span := t.tracer.Start(ctx, "dead letter", trace.WithAttributes(append(t.shared("decode", b), semconv.MessagingKafkaOffset(int(offset)),
		keepKey.String("dead letter"), semconv.ErrorTypeKey.String(class))...))
	span.SetStatus(codes.Error, reason)
	span.End()
}

// budget allows a bounded number of events in each second.
type budget struct {
	limit  int
	mu     sync.Mutex
	second int64
	used   int
}

func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := now.Unix(); s != b.second {
		b.second, b.used = s, 0
	}
	b.used++
	return b.used <= b.limit
}
