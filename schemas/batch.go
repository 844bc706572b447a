package schemas

import (
	"github.com/apache/arrow/go/v17/arrow"
	"go.opentelemetry.io/otel/trace"
)

// Partition names one partition of a topic.
type Partition struct {
	Topic  string
	Number int32
}

// Batch is what moves between stages: consecutive messages of one partition as
// an Arrow record, what was refused of them, and the positions they cover.
//
// Whoever receives a batch owns one reference of Rows and releases it or hands
// it on.
type Batch struct {
	Partition
	First, Next int64        // offsets covered: First <= offset < Next; gaps are legal
	End         int64        // the partition's end when the batch was fetched, for lag
	Rows        arrow.Record // schema by the stage, see records.go
	Null        []int64      // offsets of messages without a value, tombstones
	Rejects     []DeadLetter
	Skipped     bool              // the messages are lost, unreadable or given up: there are no rows
	Registry    int64             // version of the model registry that answers, or NewestRegistry
	Trace       trace.SpanContext // span of the last stage
	Followed    []Followed        // rows whose publisher's trace is sampled
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
	Partition
	Offset  int64
	Time    int64 // milliseconds since 1970
	Key     []byte
	Value   []byte // nil: the message has none
	Headers []Header
	Class   string // from the closed list in rejection.go
	Reason  string // a sentence: what, where, the cure
}
