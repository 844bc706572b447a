package stages

import (
	"context"
	"slices"

	"archflow/schemas"
)

// Decode turns messages into candidates. A message that cannot be read becomes a dead
// letter; every other row keeps its order.
type Decode struct {
	decoder  *schemas.Decoder
	hint     schemas.CapacityHint // that the last batch took
	review   schemas.Review
	done     []bool              // by space: looked at
	reviewed int                 // candidates, of all spaces
	warn     func(notice string) // nil where nobody listens
}

// reviewedCandidates is the number of candidates of a space that are checked for oddities
// that are not refused.
const reviewedCandidates = 100

// Warn makes the stage report oddities of the first candidates, and members that nothing
// reads.
func (d *Decode) Warn(f func(notice string)) *Decode {
	d.warn = f
	return d
}

// NewDecode returns a stage with these limits.
func NewDecode(limits schemas.Limits) *Decode {
	return &Decode{decoder: schemas.NewDecoder(limits)}
}

// Process replaces Messages by Candidates.
func (d *Decode) Process(_ context.Context, b *schemas.Batch) error {
	in := schemas.ViewMessages(b.Rows)
	out := d.hint.For(in.Len(), len(in.Value.Data))
	for i := range in.Len() {
		if refused := d.decoder.Candidate(&out, in.Value.At(i)); refused != nil {
			b.Rejects = append(b.Rejects, Reject(b, &in, i, refused))
			continue
		}
		out.AppendFrom(&in.Envelope, i)
	}
	if d.warn != nil {
		d.notice(b.Topic, &out)
	}
	if out.Len() > 0 {
		d.hint = out.CapacityHint(len(in.Value.Data))
	}
	replace(b, out.Record())
	return nil
}

func (d *Decode) notice(topic string, c *schemas.Candidates) {
	for _, notice := range d.decoder.Notices() {
		d.warn(inTopic(topic, notice))
	}
	const spaces = 256
	for i := range c.Len() {
		if d.reviewed >= spaces*reviewedCandidates {
			return
		}
		if c.Space[i] < 0 || len(d.done) <= int(c.Space[i]) {
			if c.Space[i] < 0 {
				continue
			}
			d.done = append(d.done, make([]bool, int(c.Space[i])+1-len(d.done))...)
		}
		if d.done[c.Space[i]] {
			continue
		}
		d.reviewed++
		switch s := d.review.Candidate(c, i); s.Candidates {
		case 1: // a space may stay small
			if notice := s.NameNotice(); notice != "" {
				d.warn(notice)
			}
		case reviewedCandidates:
			d.done[c.Space[i]] = true
			for _, notice := range s.Notices() {
				d.warn(notice)
			}
		}
	}
}

// inTopic says in which topic the messages are that a notice is about.
func inTopic(topic, notice string) string {
	if topic == "" {
		return notice // a request has none
	}
	return "topic " + topic + ": " + notice
}

// Reject makes a dead letter of message i of a batch.
func Reject(b *schemas.Batch, in *schemas.Messages, i int, why *schemas.Rejection) schemas.DeadLetter {
	value := in.Value.At(i)
	if _, null := slices.BinarySearch(b.Null, in.Offset[i]); null {
		value = nil
	} else if value == nil {
		value = []byte{} // an empty column has no bytes to point into
	}
	key := in.Key.At(i)
	if len(key) == 0 {
		key = nil // in the topic and in the table
	}
	d := schemas.DeadLetter{
		TopicPartition: b.TopicPartition,
		Offset:         in.Offset[i],
		Time:           in.Time[i],
		Key:            key,
		Value:          value,
		Headers:        in.Headers(i),
		Class:          why.Class,
		Reason:         why.Reason,
	}
	d.Shorten()
	return d
}
