package schemas

import (
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"go.opentelemetry.io/otel/trace"
)

// Partition names one partition of a topic.
type TopicPartition struct {
	Topic  string
	Number int32
}

// Batch is what moves between stages: consecutive messages of one partition as
// an Arrow record, what was refused of them, and the positions they cover.
//
// Whoever receives a batch owns one reference of Rows and releases it or hands
// it on.
type Batch struct {
	TopicPartition
	First, Next int64        // offsets covered: First <= offset < Next; gaps are legal
	End         int64        // the partition's end when the batch was fetched, for lag
	Rows        arrow.Record // schema by the stage, see records.go
	Null        []int64      // offsets of messages without a value, tombstones
	Rejects     []DeadLetter
	Skipped     bool              // the messages are lost, unreadable or given up: there are no rows
	Registry    int64             // version of the model registry that answers, or NewestRegistry
	Trace       trace.SpanContext // span of the last stage
	Followed    []Followed        // rows whose publisher's trace is sampled
	Held        Held              // of the source's budget of memory
}

// Held is what a budget of memory holds for a batch. Whoever drops what a batch
// carries gives it back.
type Held struct {
	Bytes int
	Of    interface{ Release(bytes int) }
}

// Keep gives back all but so many bytes.
func (h *Held) Keep(bytes int) {
	if h.Bytes > bytes {
		h.Of.Release(h.Bytes - bytes)
		h.Bytes = bytes
	}
}

// RejectBytes is the size of what was refused.
func (b *Batch) RejectBytes() (n int) {
	for i := range b.Rejects {
		n += len(b.Rejects[i].Key) + len(b.Rejects[i].Value)
	}
	return n
}

// NewestRegistry asks for the newest version of the model registry. Version 0 is
// that of a registry without models, which answers too: with reasons.
const NewestRegistry = -1

// Followed is a candidate whose own trace is continued through every stage.
type Followed struct {
	Row     int // in the batch as fetched
	Offset  int64
	Context trace.SpanContext // of the candidate's last span
}

// DeadLetter is a message that could not be used, whole, and why.
type DeadLetter struct {
	TopicPartition
	Offset  int64
	Time    int64 // milliseconds since 1970
	Key     []byte
	Value   []byte // nil: the message has none
	Headers []Header
	Class   string // from the closed list in rejection.go
	Reason  string // a sentence: what, where, the cure
}

// MaxLetter bounds the bytes of a dead letter. What no candidate can be and no
// topic takes by default is not carried on whole: tables need many times its size
// to write it.
const MaxDeadLetter = 8 << 20

// HeaderCut says how many bytes of a dead letter's value are missing.
const HeaderCut = "archflow-cut"

// Shorten cuts what is beyond MaxLetter and lets go of its memory.
func (d *DeadLetter) Shorten() {
	headers := 0
	for _, h := range d.Headers {
		headers += len(h.Name) + len(h.Value)
	}
	if headers > MaxDeadLetter {
		d.Headers = nil
	}
	if len(d.Key) > MaxDeadLetter {
		d.Key = slices.Clone(d.Key[:MaxDeadLetter])
	}
	if missing := len(d.Value) - MaxDeadLetter; missing > 0 {
		d.Value = slices.Clone(d.Value[:MaxDeadLetter])
		if n := len(d.Headers); n > 0 && d.Headers[n-1].Name == HeaderCut { // the source has cut it before
			before, _ := strconv.Atoi(string(d.Headers[n-1].Value))
			missing, d.Headers = missing+before, d.Headers[:n-1]
		}
		d.Headers = append(slices.Clip(d.Headers), Header{Name: HeaderCut, Value: strconv.AppendInt(nil, int64(missing), 10)})
	}
}
