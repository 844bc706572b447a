package sinks_test

import (
	"math"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// TestTableOfUndefinedNumbers: where the message on the topic has null, the row
// has null, and a task without a score has no entry in either.
func TestTableOfUndefinedNumbers(t *testing.T) {
	bucket := sinks.NewMemory()
	s, err := sinks.NewPredictionsTable(t.Context(), bucket, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}, Surrogates: true})
	if err != nil {
		t.Fatal(err)
	}
	p := schemas.TopicPartition{Topic: "archflow.architectures"}
	b := sinktest.Batch(p, 0, 3) // the rows 1 and 2 have an answer
	y := schemas.ViewPredictions(b.Rows)
	y.Score[0] = math.Inf(1)
	y.Value[1], y.Low[1], y.High[1] = math.Inf(1), math.Inf(-1), math.NaN()
	if err := s.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		Score *float64 `parquet:"score,optional"`
		Value *float64 `parquet:"value,optional"`
		Low   *float64 `parquet:"low,optional"`
		High  *float64 `parquet:"high,optional"`
	}
	type row struct {
		Offset      int64             `parquet:"offset,optional"`
		Predictions map[string]answer `parquet:"predictions,optional"`
	}
	rows := readTable[row](t, bucket, "predictions")
	if len(rows) != 3 || len(rows[1].Predictions) != 0 {
		t.Fatalf("rows %+v", rows)
	}
	got := rows[2].Predictions["cifar10_test"]
	if got.Score == nil || got.Value != nil || got.Low != nil || got.High != nil {
		t.Errorf("the answer of offset 2 is %+v", got)
	}
}
