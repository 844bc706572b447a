package sinks

import (
	"context"
	"time"

	"archflow/schemas"
)

// LabelRow is a label as it came, with the model's prediction for the architecture before
// the label was used. A nil pointer is a null.
type LabelRow struct {
	Space        string
	CandidateID  string // "" when the label named none
	Architecture string // the 32 digits, "" while it is not known
	Network      string
	Task         string
	Value        *float64 // nil when the label was withdrawn
	Goal         string   // "max" or "min"
	Failed       bool     // the training gave nothing, and Value is nil
	Seed         string   // of a repeat, "" without
	Fidelity     *float64 // of less than the full training, nil for that
	Suspect      string   // why the label looks like a mistake, "" when it does not
	Offset       int64
	Time         time.Time // Kafka's; the zero time when there is none

	Model          string // "" without a prediction
	Score          *float64
	PredictedValue *float64
	Low, High      *float64 // 90 % interval
	Percentile     *float64
	TraceID        string // 32 digits or ""
}

// LabelsTable is the trainer's record of labels.
type LabelsTable struct{ *table[labelRow] }

type labelRow struct {
	CandidateID    *string  `parquet:"candidate_id,optional,zstd"`
	Architecture   *string  `parquet:"architecture,optional,zstd"`
	Network        *string  `parquet:"network,optional,zstd"`
	Task           *string  `parquet:"task,optional,dict"`
	Value          *float64 `parquet:"value,optional"`
	Goal           *string  `parquet:"goal,optional,dict"`
	Model          *string  `parquet:"model,optional,dict"`
	Score          *float64 `parquet:"score,optional"`
	PredictedValue *float64 `parquet:"predicted_value,optional"`
	Low            *float64 `parquet:"low,optional"`
	High           *float64 `parquet:"high,optional"`
	Percentile     *float64 `parquet:"percentile,optional"`
	Topic          *string  `parquet:"topic,optional,dict"`
	Partition      *int32   `parquet:"partition,optional"`
	Offset         *int64   `parquet:"offset,optional"`
	LabelTime      *int64   `parquet:"label_time,optional,timestamp(microsecond)"`
	TraceID        *string  `parquet:"trace_id,optional,zstd"`
	Failed         *bool    `parquet:"failed,optional"`
	Seed           *string  `parquet:"seed,optional"`
	Fidelity       *float64 `parquet:"fidelity,optional"`
	Suspect        *string  `parquet:"suspect,optional"`
}

var labelColumns = []column{
	col("space", "string"), col("candidate_id", "string"), col("architecture", "string"), col("network", "string"),
	col("task", "string"), col("value", "double"), col("goal", "string"),
	col("model", "string"), col("score", "double"), col("predicted_value", "double"), col("low", "double"), col("high", "double"), col("percentile", "double"),
	col("topic", "string"), col("partition", "integer"), col("offset", "long"), col("label_time", "timestamp"), col("trace_id", "string"),
	col("failed", "boolean"), col("seed", "string"), col("fidelity", "double"), col("suspect", "string"),
}

// NewLabelsTable opens the table labels of a bucket, creating it when there is
// none. It is partitioned by space.
func NewLabelsTable(ctx context.Context, bucket Bucket, config TableConfig) (*LabelsTable, error) {
	t, err := openTable[labelRow](ctx, bucket, "labels", &config, labelColumns, []string{"space"})
	if err != nil {
		return nil, err
	}
	return &LabelsTable{t}, nil
}

// Append takes over the labels of the offsets first to next-1 of a partition;
// those that were no labels have no row. Rows below the table's position are
// dropped and a gap is refused with ErrGap, as in Sink.Write.
func (t *LabelsTable) Append(ctx context.Context, p schemas.TopicPartition, first, next int64, rows []LabelRow) error {
	return t.take(ctx, tableSpan{
		TopicPartition: p, first: first, next: next, rows: len(rows), bytes: 300 * len(rows),
		encode:  func(ctx context.Context, from int64) error { return t.encode(ctx, p, rows, since(from)) },
		release: func() {},
	})
}

// Commit makes the appended rows durable and then maintains the table.
func (t *LabelsTable) Commit(ctx context.Context) error { return t.commitAndMaintain(ctx) }

// encode adds the rows to the files whose offsets take says.
func (t *LabelsTable) encode(ctx context.Context, p schemas.TopicPartition, rows []LabelRow, take func(offset int64) bool) error {
	for i := range rows {
		r := &rows[i]
		if !take(r.Offset) {
			continue
		}
		values := []partitionValue{{"space", r.Space}}
		file, err := t.files.file(ctx, folderName(values), values)
		if err != nil {
			return err
		}
		var at *int64
		if !r.Time.IsZero() {
			at, _ = publishedAt(r.Time.UnixMilli())
		}
		row := labelRow{
			CandidateID: text([]byte(r.CandidateID)), Architecture: text([]byte(r.Architecture)), Network: text([]byte(r.Network)),
			Task: text([]byte(r.Task)), Value: number64(r.Value), Goal: text([]byte(r.Goal)), Model: text([]byte(r.Model)),
			Score: number64(r.Score), PredictedValue: number64(r.PredictedValue), Low: number64(r.Low), High: number64(r.High), Percentile: number64(r.Percentile),
			Topic: &p.Topic, Partition: &p.Number, Offset: &r.Offset, LabelTime: at, TraceID: text([]byte(r.TraceID)),
			Failed: &r.Failed, Seed: text([]byte(r.Seed)), Fidelity: number64(r.Fidelity), Suspect: text([]byte(r.Suspect)),
		}
		if err := file.put(row); err != nil {
			return err
		}
	}
	return nil
}
