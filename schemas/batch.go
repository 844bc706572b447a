package schemas

import (
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"go.opentelemetry.io/otel/trace"
)

// TopicPartition names one partition of a topic.
type TopicPartition struct {
	Topic  string
	Number int32
}

// Batch moves between stages: consecutive messages of one partition as an Arrow record,
// the refused ones as dead letters, and the positions they cover.
//
// The receiver of a batch owns one reference of Rows and releases it or hands it on.
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

// Held is a batch's share of a memory budget. The stage that drops the data of a batch
// returns it.
type Held struct {
	Bytes int
	Of    interface{ Release(bytes int) }
}

// Keep returns all but the given bytes to the budget.
func (h *Held) Keep(bytes int) {
	if h.Bytes > bytes {
		h.Of.Release(h.Bytes - bytes)
		h.Bytes = bytes
	}
}

// RejectBytes is the size of the dead letters.
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
	Reason  string // a sentence: the fault, its place, the cure
}

// MaxDeadLetter bounds the bytes of a dead letter. A longer message is larger than any
// candidate and than any topic's default limit, and is cut: tables need many times its
// size to write it.
const MaxDeadLetter = 8 << 20

// HeaderCut is the number of bytes missing from a dead letter's value.
const HeaderCut = "archflow-cut"

// Shorten cuts the letter to MaxDeadLetter and frees the rest.
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
