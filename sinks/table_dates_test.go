package sinks_test

import (
	"testing"
	"time"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// TestManyDates: candidates of 1,000 days in one commit, as a backfill of years
// publishes them, are all in the table.
func TestManyDates(t *testing.T) {
	const days = 1000
	b := openBucket(t, t.TempDir())
	s, err := sinks.NewPredictionsTable(t.Context(), b, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "g"}})
	if err != nil {
		t.Fatal(err)
	}
	p := schemas.TopicPartition{Topic: "one"}
	began := time.Now()
	batch := sinktest.Batch(p, 0, days)
	rows := int(batch.Rows.NumRows())
	times := schemas.ViewCandidates(batch.Rows).Time
	for i := range times { // the test owns the record
		times[i] = int64(i) * 86_400_000
	}
	if err := s.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for pending := 1; pending > 0; pending, _ = s.Pending() {
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d rows of as many days in %v", rows, time.Since(began))
	if got := len(readTable[struct{}](t, b, "predictions")); got != rows {
		t.Errorf("%d rows, want %d", got, rows)
	}
}
