package sinks_test

import (
	"log/slog"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
)

// The storage goes away at one operation after the other of a run with
// compaction and checkpoints, once for good and once for that operation alone;
// the run starts again, and all labels are there once.
func TestFailuresDuringUpkeep(t *testing.T) {
	const end = 60
	p := schemas.TopicPartition{Topic: "l"}
	quiet := slog.New(slog.DiscardHandler)
	run := func(f *faults) error {
		ctx := t.Context()
		s, err := sinks.NewLabelsTable(ctx, f, sinks.TableConfig{Group: "g", Log: quiet})
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		at, err := s.Positions(ctx, []schemas.TopicPartition{p})
		if err != nil {
			return err
		}
		for o := at[p]; o < end; o++ {
			if err := s.Append(ctx, p, o, o+1, []sinks.LabelRow{{Space: "s", Task: "t", Offset: o}}); err != nil {
				return err
			}
			if err := s.Commit(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	crashes, upkeep := 0, 0
	for n := 1; ; n += 7 {
		met := false
		for _, once := range []bool{false, true} {
			f := &faults{Bucket: sinks.NewMemory(), once: once}
			f.fail(n, n%2 == 0)
			err := run(f)
			met = met || f.fired
			if err != nil {
				crashes++
			} else if f.fired {
				upkeep++ // the run went on without the failed part
			}
			f.fail(0, false)
			if err := run(f); err != nil {
				t.Fatalf("failure at operation %d (%v), and then: %v", n, err, err)
			}
			type row struct {
				Offset int64 `parquet:"offset,optional"`
			}
			count := map[int64]int{}
			for _, r := range readTable[row](t, f.Bucket, "labels") {
				count[r.Offset]++
			}
			for o := range int64(end) {
				if count[o] != 1 {
					t.Fatalf("failure at operation %d (%v): offset %d is there %d times", n, err, o, count[o])
				}
			}
		}
		if !met {
			break
		}
	}
	if crashes < 50 || upkeep < 5 {
		t.Errorf("only %d crashes and %d failures of upkeep", crashes, upkeep)
	}
	t.Logf("%d crashes, %d failures of upkeep that the run survived", crashes, upkeep)
}
