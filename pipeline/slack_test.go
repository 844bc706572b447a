package pipeline

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"archflow/schemas"
)

// TestSlackHoldsRowsAndKeepsOrder has a stage that stalls until the source has emitted
// as much as the slack takes.
func TestSlackHoldsRowsAndKeepsOrder(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const n = 200
	f := newFlow(t.Context(), quiet(t))
	emitted := make(chan struct{})
	read := count(n)
	in := f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
		defer close(emitted)
		return read(ctx, emit)
	})
	var received []int64
	in.slack(10*n, 1<<30).shed(func(b *schemas.Batch) {
		<-emitted
		received = append(received, b.First)
	}).end(func(b *schemas.Batch) {
		if b.Rows.NumRows() != 0 {
			t.Errorf("offset %d still has rows behind shed", b.First)
		}
	})
	if err := f.wait(); err != nil {
		t.Fatal(err)
	}
	if len(received) != n || !slices.IsSorted(received) {
		t.Errorf("%d batches in the order %v, want %d in theirs", len(received), received, n)
	}
}

// TestSlackEnds has a flow end while batches are held.
func TestSlackEnds(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx, cancel := context.WithCancel(t.Context())
	f := newFlow(ctx, quiet(t))
	out := f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
		for i := int64(0); ; i++ {
			if err := emit(numbered(i)); err != nil {
				return err
			}
		}
	}).slack(10, 1<<30)
	<-out.batches
	cancel()
	if err := f.wait(); err == nil {
		t.Error("a flow that was cancelled ended without saying so")
	}
}

// TestSlackIsFull: rows or bytes, whichever comes first, hold up the stages before the
// slack.
func TestSlackIsFull(t *testing.T) {
	each := sizeOf(numbered(0))
	for name, bound := range map[string]size{"rows": {10 * each.rows, 1 << 30}, "bytes": {1 << 30, 10 * each.bytes}} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				f := newFlow(ctx, quiet(t))
				emitted := 0
				f.source(func(_ context.Context, emit func(*schemas.Batch) error) error {
					for ; ; emitted++ {
						if err := emit(numbered(int64(emitted))); err != nil {
							return err
						}
					}
				}).slack(bound.rows, bound.bytes)
				synctest.Wait()
				if limit := 10 + 2*queue; emitted != limit {
					t.Errorf("%d batches were taken, want %d: 10 held and the queues", emitted, limit)
				}
				cancel()
				if err := f.wait(); err == nil {
					t.Error("a flow that was cancelled ended without saying so")
				}
			})
		})
	}
}
