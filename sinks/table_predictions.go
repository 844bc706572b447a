package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"time"
	"unicode/utf8"
	"unsafe"

	"archflow/internal/finite"
	"archflow/schemas"
)

// PredictionsTableConfig configures the predictions table.
type PredictionsTableConfig struct {
	TableConfig
	Surrogates bool // fill the column surrogate
}

// PredictionsTable is the sink of answered candidates, a row each.
type PredictionsTable struct {
	*table[predictionRow]
	surrogates bool
}

// predictionRow is a row of the table predictions without the columns that it
// is partitioned by. Pointers and slices view the batch's columns.
type predictionRow struct {
	CandidateID   *string           `parquet:"candidate_id,optional,zstd"`
	Architecture  string            `parquet:"architecture,optional,zstd"`
	Network       string            `parquet:"network,optional,zstd"`
	Arch          *string           `parquet:"arch,optional,dict"`
	Ops           []string          `parquet:"ops,optional,list" parquet-element:",dict"`
	Edges         []int32           `parquet:"edges,optional,list"`
	Surrogate     []float32         `parquet:"surrogate,optional,list"`
	Embedding     []float32         `parquet:"embedding,optional,list"`
	Proxies       mapOf[float64]    `parquet:"proxies,optional"`
	Predictions   mapOf[taskAnswer] `parquet:"predictions,optional"`
	Model         *string           `parquet:"model,optional,dict"`
	Topic         string            `parquet:"topic,optional,dict"`
	Partition     *int32            `parquet:"partition,optional"`
	Offset        *int64            `parquet:"offset,optional"`
	CandidateTime *int64            `parquet:"candidate_time,optional,timestamp(microsecond)"`
	PredictedTime *int64            `parquet:"predicted_time,optional,timestamp(microsecond)"`
	TraceID       *string           `parquet:"trace_id,optional,zstd"`
	Meta          *string           `parquet:"meta,optional"`

	Attributes      []nodeAttribute       `parquet:"attributes,optional,list"`
	Hyperparameters mapOf[attributeValue] `parquet:"hyperparameters,optional"`
	Unknown         []string              `parquet:"unknown,optional,list"`
}

type taskAnswer struct {
	Score      *float64 `parquet:"score,optional"`
	Value      *float64 `parquet:"value,optional"`
	Low        *float64 `parquet:"low,optional"`
	High       *float64 `parquet:"high,optional"`
	Percentile *float64 `parquet:"percentile,optional"`
	Top        *float64 `parquet:"top,optional"`
	Labels     *int64   `parquet:"labels,optional"`
	SD         *float64 `parquet:"sd,optional"`
	Fails      *float64 `parquet:"fails,optional"`
}

var predictionColumns = []column{
	col("candidate_id", "string"), col("architecture", "string"), col("network", "string"), col("space", "string"),
	col("arch", "string"), col("ops", listColumn("string")), col("edges", listColumn("integer")),
	col("surrogate", listColumn("float")), col("embedding", listColumn("float")), col("proxies", mapColumn("double")),
	col("predictions", mapColumn(structColumn(col("score", "double"), col("value", "double"), col("low", "double"), col("high", "double"), col("percentile", "double"), col("top", "double"), col("labels", "long"), col("sd", "double"), col("fails", "double")))),
	col("model", "string"), col("topic", "string"), col("partition", "integer"), col("offset", "long"),
	col("candidate_time", "timestamp"), col("predicted_time", "timestamp"), col("trace_id", "string"), col("meta", "string"),
	col("date", "date"), attributesColumn, hyperparametersColumn, col("unknown", listColumn("string")),
}

// NewPredictionsTable opens the table predictions of a bucket, creating it when
// there is none. It is partitioned by the space and the day, in UTC, on which
// the candidate was published.
func NewPredictionsTable(ctx context.Context, bucket Bucket, config PredictionsTableConfig) (*PredictionsTable, error) {
	t, err := openTable[predictionRow](ctx, bucket, "predictions", &config.TableConfig, predictionColumns, []string{"space", "date"})
	if err != nil {
		return nil, err
	}
	return &PredictionsTable{t, config.Surrogates}, nil
}

// Write takes a batch of the predict stage.
func (t *PredictionsTable) Write(ctx context.Context, b *schemas.Batch) error {
	s := tableSpan{
		TopicPartition: b.TopicPartition, first: b.First, next: b.Next,
		encode:  func(context.Context, int64) error { return nil },
		release: func() {},
	}
	if b.Rows != nil {
		s.rows, s.bytes = int(b.Rows.NumRows()), schemas.RecordBytes(b.Rows)
		s.encode = func(ctx context.Context, from int64) error { return t.encode(ctx, b, since(from)) }
		s.release = b.Rows.Release
	}
	return t.take(ctx, s)
}

// Commit makes the written rows durable and then maintains the table.
func (t *PredictionsTable) Commit(ctx context.Context) error { return t.commitAndMaintain(ctx) }

// encode adds the rows of a batch to the files whose offsets take says.
func (t *PredictionsTable) encode(ctx context.Context, b *schemas.Batch, take func(offset int64) bool) error {
	c, y := schemas.ViewCandidates(b.Rows), schemas.ViewPredictions(b.Rows)
	var surrogates schemas.Surrogates
	if t.surrogates {
		surrogates = schemas.ViewSurrogates(b.Rows)
	}
	var file *dataFile[predictionRow]
	space, day := "", int64(math.MinInt64)
	number := b.Number
	// One allocation each for values that no column of the batch can lend.
	n := c.Len()
	times := make([]int64, n)
	ops := make([]string, len(c.Graphs.Ops))
	proxies := make([]entry[float64], 0, len(c.ProxyName))
	answers := make([]entry[taskAnswer], 0, len(y.Task))
	ids := make([]byte, 64*n)
	for i := range n {
		if !take(c.Offset[i]) {
			continue
		}
		at, today := publishedAt(c.Time[i])
		if name := c.NameOf(i, c.Space[i]); file == nil || name != space || today != day {
			space, day = name, today
			values := []partitionValue{{"space", space}, {"date", dateText(day)}}
			var err error
			if file, err = t.files.file(ctx, folderName(values), values); err != nil {
				return err
			}
		}
		row := predictionRow{
			CandidateID:   idText(c.ID.At(i)),
			Architecture:  hexText(ids[64*i:], c.Architecture[i]),
			Network:       hexText(ids[64*i+32:], c.Network[i]),
			Arch:          text(c.Arch.At(i)),
			Meta:          text(c.Meta.At(i)),
			Topic:         b.Topic,
			Partition:     &number,
			Offset:        &c.Offset[i],
			PredictedTime: &y.Time[i],
			TraceID:       traceID(c.Header(i, "traceparent")),
		}
		if at != nil {
			times[i] = *at
			row.CandidateTime = &times[i]
		}
		start, end := c.Graphs.NodeStart[i], c.Graphs.NodeStart[i+1]
		for k := start; k < end; k++ {
			ops[k] = c.NameOf(i, c.Graphs.Ops[k])
		}
		row.Ops = ops[start:end]
		row.Edges = c.Graphs.Edges[c.Graphs.EdgeStart[i]:c.Graphs.EdgeStart[i+1]]
		if t.surrogates {
			row.Surrogate = surrogates.Values[surrogates.Start[i]:surrogates.Start[i+1]]
		}
		if e := y.Embedding[y.EmbeddingStart[i]:y.EmbeddingStart[i+1]]; len(e) > 0 {
			row.Embedding = e
		}
		if m := y.Model[i]; m != schemas.NoSymbol {
			name := schemas.Name(m)
			row.Model = &name
		}
		first := len(proxies)
		for p := c.ProxyStart[i]; p < c.ProxyStart[i+1]; p++ {
			proxies = setEntry(proxies, first, c.NameOf(i, c.ProxyName[p]), c.ProxyValue[p])
		}
		row.Proxies.Entries = proxies[first:]
		row.Attributes, row.Hyperparameters.Entries = attributesOf(&c.Graphs, i)
		for k := y.UnknownStart[i]; k < y.UnknownStart[i+1]; k++ {
			row.Unknown = append(row.Unknown, string(y.Unknown.At(int(k))))
		}
		first = len(answers)
		for k := y.TaskStart[i]; k < y.TaskStart[i+1]; k++ {
			if !finite.Is(y.Score[k]) {
				continue // no answer for this task
			}
			answers = setEntry(answers, first, schemas.Name(y.Task[k]), taskAnswer{
				&y.Score[k], number64(&y.Value[k]), number64(&y.Low[k]), number64(&y.High[k]), number64(&y.Percentile[k]), number64(&y.Top[k]),
				count64(y.Labels[k]), number64(&y.SD[k]), number64(&y.Fails[k])})
		}
		row.Predictions.Entries = answers[first:]
		if err := file.put(row); err != nil {
			return err
		}
	}
	return nil
}

// setEntry adds an entry to the map that begins at first. A key that comes
// twice would make the file unreadable to some; the last value stays.
func setEntry[V any](entries []entry[V], first int, key string, value V) []entry[V] {
	for i := first; i < len(entries); i++ {
		if entries[i].Key == key {
			entries[i].Value = value
			return entries
		}
	}
	return append(entries, entry[V]{key, value})
}

// number64 returns nil for a number that is not finite.
func number64(v *float64) *float64 {
	if v == nil || !finite.Is(*v) {
		return nil
	}
	return v
}

// publishedAt turns Kafka's milliseconds into microseconds, nil without a time,
// and the day since 1970 that the row belongs to. Publishers choose the time
// freely, and readers know years of four digits.
func publishedAt(milliseconds int64) (micros *int64, day int64) {
	const last = 253_402_300_799_999 // the end of 9999
	if milliseconds < 0 {
		return nil, 0
	}
	milliseconds = min(milliseconds, last)
	at := 1000 * milliseconds
	return &at, milliseconds / 86_400_000
}

func dateText(day int64) string {
	return time.Unix(86_400*day, 0).UTC().Format(time.DateOnly)
}

// text returns a view of b as a string, a mended copy when it is not UTF-8, nil
// when it is empty.
func text(b []byte) *string {
	if len(b) == 0 {
		return nil
	}
	if !utf8.Valid(b) {
		b = bytes.ToValidUTF8(b, []byte("\ufffd"))
	}
	s := unsafe.String(unsafe.SliceData(b), len(b))
	return &s
}

// idText returns the id of a candidate: a JSON string without its quotes, any
// other JSON as its text.
func idText(id []byte) *string {
	if len(id) < 2 || id[0] != '"' {
		return text(id)
	}
	if inside := id[1 : len(id)-1]; bytes.IndexByte(inside, '\\') < 0 {
		if len(inside) == 0 {
			return new(string)
		}
		return text(inside)
	}
	var s string
	if json.Unmarshal(id, &s) != nil {
		return text(id)
	}
	return &s
}

const hexDigits = "0123456789abcdef"

// hexText writes the 32 digits of id to dst and returns them as a string.
func hexText(dst []byte, id schemas.ID) string {
	for i, b := range id {
		dst[2*i], dst[2*i+1] = hexDigits[b>>4], hexDigits[b&15]
	}
	return unsafe.String(&dst[0], 32)
}

// traceID returns the trace of a W3C traceparent header, nil when it is not
// one.
func traceID(header []byte) *string {
	const zeros = "00000000000000000000000000000000"
	if len(header) < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-' {
		return nil
	}
	id := header[3:35]
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return nil
		}
	}
	if string(id) == zeros {
		return nil
	}
	return text(id)
}

// count64 returns a count that a column of numbers holds, nil for NaN.
func count64(v float64) *int64 {
	if !finite.Is(v) {
		return nil
	}
	n := int64(v)
	return &n
}
