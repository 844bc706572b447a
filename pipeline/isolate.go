package pipeline

import (
	"time"

	"archflow/schemas"
)

// isolate cuts b so that every suspected message is in a batch of its own. Condemned
// messages become dead letters.
func (s *source) isolate(b *schemas.Batch) []*schemas.Batch {
	if !s.suspects.among(b.TopicPartition) {
		return []*schemas.Batch{b}
	}
	defer b.Rows.Release()
	m := schemas.ViewMessages(b.Rows)
	at, row := b.First, 0
	var parts []*schemas.Batch
	cut := func(next int64, last int) *schemas.Batch {
		part := *b
		part.First, part.Next = at, next
		part.Rows = copied(&m, row, last)
		part.Rejects = rejectsOf(b, at, next)
		parts = append(parts, &part)
		at, row = next, last
		return &part
	}
	for i := range m.Len() {
		alone, why := s.suspects.verdict(b.TopicPartition, m.Offset[i])
		if !alone {
			continue
		}
		if i > row {
			cut(m.Offset[i-1]+1, i)
		}
		part := cut(m.Offset[i]+1, i+1)
		if why != "" {
			s.condemn(part, &m, i, why)
		}
	}
	if at < b.Next {
		cut(b.Next, m.Len())
	}
	return parts
}

// condemn makes a dead letter of the one message of b, row i of m.
func (s *source) condemn(b *schemas.Batch, m *schemas.Messages, i int, why string) {
	b.Rows.Release()
	b.Rows, b.Skipped = copied(m, i, i), true
	if !s.records {
		return
	}
	s.report.Metrics.DeadLetters(schemas.ClassInternal, 1)
	b.Rejects = append(b.Rejects, schemas.DeadLetter{
		TopicPartition: b.TopicPartition, Offset: m.Offset[i], Time: m.Time[i], Key: m.Key.At(i), Value: m.Value.At(i), Headers: m.Headers(i),
		Class: schemas.ClassInternal, Reason: why + "; the message may be in order: report it, and send it again with archflow replay dead-letters after an upgrade",
	})
	b.Rejects[len(b.Rejects)-1].Shorten()
}

// lossOf marks b as skipped and reports the loss, from offset on, as one dead letter.
func (s *source) lossOf(b *schemas.Batch, offset int64, class string, why error) {
	b.Skipped = true
	if !s.records {
		return
	}
	b.Rejects = append(b.Rejects, schemas.DeadLetter{TopicPartition: b.TopicPartition, Offset: offset, Time: time.Now().UnixMilli(), Class: class, Reason: why.Error()})
	s.report.Metrics.DeadLetters(class, 1)
}
