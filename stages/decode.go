package stages

import (
	"context"
	"slices"

	"archflow/schemas"
)

// Decode turns messages into candidates. What cannot be read becomes a dead
// letter; every other row keeps its order.
type Decode struct {
	decoder *schemas.Decoder
	room    schemas.Room // that the last batch took
}

// NewDecode returns a stage that accepts what limits allow.
func NewDecode(limits schemas.Limits) *Decode {
	return &Decode{decoder: schemas.NewDecoder(limits)}
}

// Process replaces Messages by Candidates.
func (d *Decode) Process(_ context.Context, b *schemas.Batch) error {
	in := schemas.ViewMessages(b.Rows)
	out := d.room.For(in.Len(), len(in.Value.Data))
	for i := range in.Len() {
		if refused := d.decoder.Candidate(&out, in.Value.At(i)); refused != nil {
			b.Rejects = append(b.Rejects, reject(b, &in, i, refused))
			continue
		}
		out.AppendFrom(&in.Envelope, i)
	}
	if out.Len() > 0 {
		d.room = out.Room(len(in.Value.Data))
	}
	replace(b, out.Record())
	return nil
}

// reject makes a dead letter of message i.
func reject(b *schemas.Batch, in *schemas.Messages, i int, why *schemas.Rejection) schemas.DeadLetter {
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
		Partition: b.Partition,
		Offset:    in.Offset[i],
		Time:      in.Time[i],
		Key:       key,
		Value:     value,
		Headers:   in.Headers(i),
		Class:     why.Class,
		Reason:    why.Reason,
	}
	d.Shorten()
	return d
}
