package sinks

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/trace"

	"archflow/internal/kafka"
	"archflow/schemas"
)

// Headers of dead letters, and of predictions in low-latency delivery.
const (
	headerError     = "archflow-error"
	headerClass     = "archflow-error-class"
	HeaderTopic     = "archflow-topic"
	HeaderPartition = "archflow-partition"
	HeaderOffset    = "archflow-offset"
	headerSource    = "source" // topic/partition/offset of the candidate
)

var traceparent = []byte("traceparent")

// messageWriter turns rows and dead letters into messages, in memory that it
// keeps: a record is valid until the next one is made.
type messageWriter struct {
	batch       *schemas.Batch
	candidates  schemas.Candidates
	surrogates  *schemas.Surrogates
	predictions schemas.Predictions
	source      []byte             // "topic/partition/", nil when it is not asked for
	followed    []schemas.Followed // of the rows to come; the last span is the parent of spans downstream

	value, headers, scratch []byte
	record                  kafka.Record
}

// view begins a batch.
func (w *messageWriter) view(b *schemas.Batch, surrogate, source bool) {
	w.batch = b
	w.candidates = schemas.ViewCandidates(b.Rows)
	w.predictions = schemas.ViewPredictions(b.Rows)
	w.surrogates, w.source = nil, nil
	if surrogate {
		s := schemas.ViewSurrogates(b.Rows)
		w.surrogates = &s
	}
	if source {
		w.source = fmt.Appendf(nil, "%s/%d/", b.Topic, b.Number)
	}
	w.followed = b.Followed
}

// spanOf returns the last span of a candidate's own trace, if it is followed.
// Rows come in the order of their offsets.
func (w *messageWriter) spanOf(offset int64) (span trace.SpanID, ok bool) {
	for len(w.followed) > 0 && w.followed[0].Offset < offset {
		w.followed = w.followed[1:]
	}
	if len(w.followed) == 0 || w.followed[0].Offset != offset {
		return span, false
	}
	return w.followed[0].Context.SpanID(), true
}

// prediction is the answer to row row: the candidate's key, and its headers
// with the trace continued.
func (w *messageWriter) prediction(row int) *kafka.Record {
	c := &w.candidates
	w.value = schemas.AppendPrediction(w.value[:0], c, w.surrogates, &w.predictions, row, w.batch.TopicPartition)
	w.headers = w.headers[:0]
	span, continued := w.spanOf(c.Offset[row])
	n := 0
	for h := int(c.HeaderStart[row]); h < int(c.HeaderStart[row+1]); h++ {
		name, value := c.HeaderNames.At(h), c.HeaderValue(h)
		if continued && len(value) == 55 && bytes.Equal(name, traceparent) {
			w.scratch = append(w.scratch[:0], value...)
			hex.Encode(w.scratch[36:52], span[:])
			value = w.scratch
		}
		w.headers = kafka.AppendHeader(w.headers, name, value)
		n++
	}
	if w.source != nil {
		w.scratch = strconv.AppendInt(append(w.scratch[:0], w.source...), c.Offset[row], 10)
		w.headers = kafka.AppendHeader(w.headers, []byte(headerSource), w.scratch)
		n++
	}
	w.record = kafka.Record{Key: c.Key.At(row), Value: w.value, Headers: w.headers, HeaderCount: n}
	return &w.record
}

// oversized is the dead letter of a row whose prediction the topic does not take. The
// candidate's own value is no longer there; its place is in the headers.
func (w *messageWriter) oversized(row, size int, to kafka.Output) schemas.DeadLetter {
	c := &w.candidates
	return schemas.DeadLetter{
		TopicPartition: w.batch.TopicPartition, Offset: c.Offset[row], Time: c.Time[row], Key: c.Key.At(row),
		Class: schemas.ClassTooLarge,
		Reason: fmt.Sprintf("%s/%d offset %d: the prediction with the candidate's id and headers takes %d bytes and topic %s allows %d; shorten the id and the headers, or raise max.message.bytes of the topic",
			w.batch.Topic, w.batch.Number, c.Offset[row], size, to.Topic, to.Limit),
	}
}

// deadLetter returns the message of a dead letter: everything as it came, and the reason.
func (w *messageWriter) deadLetter(d *schemas.DeadLetter) *kafka.Record {
	w.headers = w.headers[:0]
	for _, h := range d.Headers {
		w.headers = kafka.AppendHeader(w.headers, []byte(h.Name), h.Value)
	}
	for _, h := range []struct{ name, value string }{
		{headerError, d.Reason},
		{headerClass, d.Class},
		{HeaderTopic, d.Topic},
		{HeaderPartition, strconv.Itoa(int(d.Number))},
		{HeaderOffset, strconv.FormatInt(d.Offset, 10)},
	} {
		w.headers = kafka.AppendHeader(w.headers, []byte(h.name), []byte(h.value))
	}
	w.record = kafka.Record{Key: d.Key, Value: d.Value, Headers: w.headers, HeaderCount: len(d.Headers) + 5}
	return &w.record
}

// ReadDeadLetter reads message i, written by deadLetter, about the message at an offset
// of a partition. Its time is that of the dead letter.
func ReadDeadLetter(m *schemas.Messages, i int, p schemas.TopicPartition, offset int64) schemas.DeadLetter {
	d := schemas.DeadLetter{
		TopicPartition: p, Offset: offset, Time: m.Time[i], Value: bytes.Clone(m.Value.At(i)),
		Class: string(m.Header(i, headerClass)), Reason: string(m.Header(i, headerError)),
	}
	if key := m.Key.At(i); len(key) > 0 {
		d.Key = bytes.Clone(key)
	}
	if _, null := slices.BinarySearch(m.Null, m.Offset[i]); null {
		d.Value = nil
	} else if d.Value == nil {
		d.Value = []byte{}
	}
	d.Headers = m.Headers(i)
	d.Headers = d.Headers[:max(0, len(d.Headers)-5)] // those that deadLetter has added
	return d
}

// cut is deadLetter without its headers if they are long, and with as much of key and
// value as a message of limit bytes can hold.
func (w *messageWriter) cut(d *schemas.DeadLetter, limit int) *kafka.Record {
	const overhead = 1024 // of the batch and the record
	short := *d
	if len(w.deadLetter(d).Headers) > limit/2 {
		short.Headers = nil
	}
	if len(short.Key) > limit/8 {
		short.Key = short.Key[:limit/8]
	}
	if len(short.Reason) > limit/8 {
		short.Reason = short.Reason[:limit/8]
	}
	w.deadLetter(&short)
	room := max(0, limit-overhead-len(w.headers)-len(short.Key))
	if missing := len(d.Value) - room; missing > 0 {
		short.Value = d.Value[:room]
		short.Headers = append(short.Headers[:len(short.Headers):len(short.Headers)], schemas.Header{Name: schemas.HeaderCut, Value: strconv.AppendInt(nil, int64(missing), 10)})
	}
	return w.deadLetter(&short)
}
