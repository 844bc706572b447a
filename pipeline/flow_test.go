package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/ops"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

func quiet(t *testing.T) *ops.Telemetry {
	t.Helper()
	report, err := ops.Start(t.Context(), ops.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = report.Shutdown(context.Background()) })
	return report
}

// numbered returns a batch of one message, whose offset is n.
func numbered(n int64) *schemas.Batch {
	var m schemas.Messages
	m.Append(n, 0, nil, nil)
	m.Value.Append([]byte("x"))
	return &schemas.Batch{TopicPartition: schemas.TopicPartition{Topic: "t"}, First: n, Next: n + 1, Rows: m.Record()}
}

func count(n int64) func(context.Context, func(*schemas.Batch) error) error {
	return func(_ context.Context, emit func(*schemas.Batch) error) error {
		for i := range n {
			if err := emit(numbered(i)); err != nil {
				return err
			}
		}
		return nil
	}
}

// stageFunc is a stage that is one function.
type stageFunc func(*schemas.Batch) error

func (f stageFunc) Process(_ context.Context, b *schemas.Batch) error { return f(b) }

// ledger is a sink that records the committed batches.
type ledger struct {
	mu        sync.Mutex
	pending   []int64
	committed []int64
	fail      error
}

func (l *ledger) Name() string { return "ledger" }
func (l *ledger) Positions(context.Context, []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error) {
	return nil, nil
}

func (l *ledger) Write(_ context.Context, b *schemas.Batch) error {
	defer b.Rows.Release()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, b.First)
	return nil
}

func (l *ledger) Commit(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.committed = append(l.committed, l.pending...)
	l.pending = nil
	return nil
}

func (l *ledger) Pending() (rows, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending), len(l.pending)
}
func (l *ledger) Close() error { return nil }

var _ sinks.Sink = (*ledger)(nil)

// TestFlowKeepsOrder: batches that take different times in several goroutines
// leave in the order in which they came, and all that came is committed when
// the source has ended.
func TestFlowKeepsOrder(t *testing.T) {
	for _, workers := range []int{1, 8} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			report := quiet(t)
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			const n = 400
			slow := func() stages.Stage {
				return stageFunc(func(b *schemas.Batch) error {
					time.Sleep(time.Duration(b.First*7919%5) * 100 * time.Microsecond)
					return nil
				})
			}
			var ended []int64
			sink := &ledger{}
			f := newFlow(t.Context(), report)
			f.source(count(n)).through("slow", workers, slow).through("slow again", workers, slow).
				into(sink, commitPolicy{Rows: 7, Every: time.Hour}, committing{}).
				end(func(b *schemas.Batch) {
					sink.mu.Lock()
					defer sink.mu.Unlock()
					if !slices.Contains(sink.committed, b.First) {
						t.Errorf("batch %d was passed on before it was committed", b.First)
					}
					ended = append(ended, b.First)
				})
			if err := f.wait(); err != nil {
				t.Fatal(err)
			}
			for _, got := range [][]int64{sink.committed, ended} {
				if len(got) != n || !slices.IsSorted(got) {
					t.Errorf("%d of %d, in order: %v", len(got), n, slices.IsSorted(got))
				}
			}
		})
	}
}

// TestFlowPushesBack: while a stage stalls, the source is held up after a bounded number
// of batches.
func TestFlowPushesBack(t *testing.T) {
	report := quiet(t)
	synctest.Test(t, func(t *testing.T) {
		var emitted atomic.Int64
		gate := make(chan struct{})
		f := newFlow(t.Context(), report)
		f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
			return count(1000)(ctx, func(b *schemas.Batch) error {
				err := emit(b)
				emitted.Add(1)
				return err
			})
		}).
			through("gate", 2, func() stages.Stage { return stageFunc(func(*schemas.Batch) error { <-gate; return nil }) }).
			end(func(*schemas.Batch) {})
		const limit = queue + 2
		synctest.Wait() // everything waits: the queue is full
		if n := emitted.Load(); n != limit {
			t.Errorf("%d batches went in while nothing came out, want %d", n, limit)
		}
		close(gate)
		if err := f.wait(); err != nil {
			t.Fatal(err)
		}
		if n := emitted.Load(); n != 1000 {
			t.Errorf("%d batches in the end", n)
		}
	})
}

// TestFlowFails: the first error, wherever it is, ends every goroutine, and later
// batches are not committed.
func TestFlowFails(t *testing.T) {
	fault := errors.New("the fault")
	for _, c := range []struct {
		name  string
		stage func(*schemas.Batch) error
		read  error
		sink  error
		most  int64 // committed at the most
	}{
		{name: "in a stage", most: 50, stage: func(b *schemas.Batch) error {
			if b.First == 50 {
				return fault
			}
			return nil
		}},
		{name: "in the source", read: fault, most: 100},
		{name: "in a sink", sink: fault},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := quiet(t)
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			sink := &ledger{fail: c.sink}
			f := newFlow(t.Context(), report)
			f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
				return errors.Join(count(100)(ctx, emit), c.read)
			}).
				through("stage", 8, func() stages.Stage {
					if c.stage == nil {
						return stageFunc(func(*schemas.Batch) error { return nil })
					}
					return stageFunc(c.stage)
				}).
				into(sink, commitPolicy{Rows: 1, Every: time.Hour}, committing{}).
				end(func(*schemas.Batch) {})
			if err := f.wait(); !errors.Is(err, fault) {
				t.Errorf("%v, want the fault", err)
			}
			for i, first := range sink.committed {
				if first != int64(i) || first >= c.most {
					t.Errorf("committed %v", sink.committed)
					break
				}
			}
		})
	}
}

// TestCommitPolicy: a quiet stream is committed at once when the policy is
// eager, and otherwise by number and by time.
func TestCommitPolicy(t *testing.T) {
	for _, c := range []struct {
		policy commitPolicy
		sent   int64
		want   int
	}{
		{commitPolicy{Rows: 1000, Every: time.Hour, Eager: true}, 3, 3},
		{commitPolicy{Rows: 2, Every: time.Hour}, 5, 4},
		{commitPolicy{Rows: 1000, Every: 20 * time.Millisecond}, 3, 3},
		{commitPolicy{Rows: 1000, Every: time.Hour}, 3, 0},
	} {
		sink := &ledger{}
		ctx, cancel := context.WithCancel(t.Context())
		f := newFlow(ctx, quiet(t))
		sent := make(chan struct{})
		f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
			err := count(c.sent)(ctx, emit)
			close(sent)
			<-ctx.Done() // a stream that goes on
			return err
		}).into(sink, c.policy, committing{}).end(func(*schemas.Batch) {})
		<-sent
		state := func() (committed, pending int) {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			return len(sink.committed), len(sink.pending)
		}
		kafkatest.Eventually(t, fmt.Sprintf("%+v has committed %d of %d", c.policy, c.want, c.sent), func() bool {
			committed, pending := state()
			return committed == c.want && committed+pending == int(c.sent)
		})
		cancel()
		_ = f.wait() // ends with ctx
	}
}

// TestPressedSinksCommit: a source that waits for memory which batches hold that wait for a
// commit gets it without waiting for the commit's time.
func TestPressedSinksCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := kafka.NewBudget(10)
		f := newFlow(t.Context(), quiet(t))
		began := time.Now()
		hour := commitPolicy{Rows: 1000, Every: time.Hour, Pressed: budget.Pressed}
		first, second := &ledger{}, &ledger{}
		f.source(func(ctx context.Context, emit func(*schemas.Batch) error) error {
			for i := range int64(5) {
				if err := budget.Acquire(ctx, 8); err != nil {
					return err
				}
				b := numbered(i)
				b.Held = schemas.Held{Bytes: 8, Of: budget}
				if err := emit(b); err != nil {
					return err
				}
			}
			return nil
		}).into(first, hour, committing{}).into(second, hour, committing{stage: "second"}).end(func(*schemas.Batch) {})
		if err := f.wait(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Minute || len(second.committed) != 5 {
			t.Errorf("%d of 5 batches went through in %s", len(second.committed), took)
		}
	})
}
