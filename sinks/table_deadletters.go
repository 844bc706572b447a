package sinks

import (
	"context"
	"errors"
	"strings"
	"time"

	"archflow/schemas"
)

// deadLettersInterval is the interval at which positions without a dead letter are
// committed. After a crash the messages since then are read again.
const deadLettersInterval = 15 * time.Second

// DeadLettersTable is the sink of rejected messages. Where nothing is rejected
// its positions reach the table every quarter of a minute and at Close, so that the log does
// not grow with empty commits; the first after opening is written at once.
type DeadLettersTable struct {
	*table[deadLetterRow]
	written time.Time // of the last commit
	owed    bool      // Commit has put positions off
}

// deadLetterRow has pointers to slices because parquet-go takes a nil slice that
// follows others in one call for an empty one.
type deadLetterRow struct {
	Key          *[]byte        `parquet:"key,optional"`
	Value        *[]byte        `parquet:"value,optional"`
	Headers      []letterHeader `parquet:"headers,optional,list"`
	Error        *string        `parquet:"error,optional"`
	ErrorClass   *string        `parquet:"error_class,optional,dict"`
	Topic        *string        `parquet:"topic,optional,dict"`
	Partition    *int32         `parquet:"partition,optional"`
	Offset       *int64         `parquet:"offset,optional"`
	MessageTime  *int64         `parquet:"message_time,optional,timestamp(microsecond)"`
	RecordedTime *int64         `parquet:"recorded_time,optional,timestamp(microsecond)"`
}

type letterHeader struct {
	Key   *string `parquet:"key,optional"`
	Value *[]byte `parquet:"value,optional"`
}

// optional returns a pointer to b, nil when b is nil.
func optional(b *[]byte) *[]byte {
	if *b == nil {
		return nil
	}
	return b
}

var deadLetterColumns = []column{
	col("key", "binary"), col("value", "binary"),
	col("headers", listColumn(structColumn(col("key", "string"), col("value", "binary")))),
	col("error", "string"), col("error_class", "string"), col("topic", "string"), col("partition", "integer"), col("offset", "long"),
	col("message_time", "timestamp"), col("recorded_time", "timestamp"), col("date", "date"),
}

// NewDeadLettersTable opens the table dead_letters of a bucket, creating it when
// there is none. It is partitioned by the day, in UTC, on which the message was
// published.
func NewDeadLettersTable(ctx context.Context, bucket Bucket, config TableConfig) (*DeadLettersTable, error) {
	t, err := openTable[deadLetterRow](ctx, bucket, "dead_letters", &config, deadLetterColumns, []string{"date"})
	if err != nil {
		return nil, err
	}
	return &DeadLettersTable{table: t}, nil
}

// Write takes the rejects of a batch and lets go of its rows at once.
func (t *DeadLettersTable) Write(ctx context.Context, b *schemas.Batch) error {
	if b.Rows != nil {
		b.Rows.Release()
	}
	deadLetters := b.Rejects
	s := tableSpan{
		TopicPartition: b.TopicPartition, first: b.First, next: b.Next, rows: len(deadLetters),
		encode: func(ctx context.Context, from int64) error {
			return t.encode(ctx, deadLetters, func(d *schemas.DeadLetter) bool { return d.Offset >= from })
		},
		release: func() {},
	}
	for i := range deadLetters {
		s.bytes += len(deadLetters[i].Key) + len(deadLetters[i].Value) + len(deadLetters[i].Reason) + 64
	}
	return t.take(ctx, s)
}

// Commit makes the written rows durable; positions alone may wait.
func (t *DeadLettersTable) Commit(ctx context.Context) error {
	now := t.log.now()
	if t.failed == nil && t.rows == 0 && len(t.spans) > 0 && now.Sub(t.written) < deadLettersInterval {
		t.owed = true
		t.joinEmpty()
		return nil
	}
	if err := t.commitAndMaintain(ctx); err != nil {
		return err
	}
	t.written, t.owed = now, false
	return nil
}

// joinEmpty makes one span of a partition's spans, none of which has rows.
func (t *DeadLettersTable) joinEmpty() {
	last := map[schemas.TopicPartition]int{}
	joined := t.spans[:0]
	for _, s := range t.spans {
		if i, ok := last[s.TopicPartition]; ok {
			joined[i].next = s.next
			continue
		}
		last[s.TopicPartition] = len(joined)
		s.encode = func(context.Context, int64) error { return nil }
		joined = append(joined, s)
	}
	clear(t.spans[len(joined):])
	t.spans = joined
}

// Close commits the positions that Commit has put off and gives up other uncommitted
// rows.
func (t *DeadLettersTable) Close() error {
	var err error
	if t.owed && t.failed == nil && t.rows == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = t.commit(ctx)
	}
	return errors.Join(err, t.table.Close())
}

// encode adds the dead letters that take selects to the files.
func (t *DeadLettersTable) encode(ctx context.Context, deadLetters []schemas.DeadLetter, take func(*schemas.DeadLetter) bool) error {
	recorded := t.log.now().UnixMicro()
	for i := range deadLetters {
		l := &deadLetters[i]
		if !take(l) {
			continue
		}
		at, day := publishedAt(l.Time)
		values := []partitionValue{{"date", dateText(day)}}
		file, err := t.files.file(ctx, folderName(values), values)
		if err != nil {
			return err
		}
		row := deadLetterRow{
			Key: optional(&l.Key), Value: optional(&l.Value), Error: text([]byte(l.Reason)), ErrorClass: text([]byte(l.Class)),
			Topic: &l.Topic, Partition: &l.Number, Offset: &l.Offset, MessageTime: at, RecordedTime: &recorded,
		}
		for k := range l.Headers {
			name := strings.ToValidUTF8(l.Headers[k].Name, "\ufffd")
			row.Headers = append(row.Headers, letterHeader{&name, optional(&l.Headers[k].Value)})
		}
		if err := file.put(row); err != nil {
			return err
		}
	}
	return nil
}
