// Package sinktest is the conformance suite that every sink passes.
package sinktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
)

// Place is durable storage that outlives the sinks on it: a folder of tables, a
// topic of a broker.
type Place struct {
	// Open starts a sink on the output of earlier ones. Where a sink can, opening fences
	// off those before it.
	Open func(ctx context.Context) (sinks.Sink, error)

	// Read returns the rows that a reader of the output sees now, repeats included, in
	// any order.
	Read func(t testing.TB) []Row

	// Fail lets the n-th operation on the storage from now on fail (n from 1) and every
	// one after it, as if it were gone, until it is called with 0. Whether the failing
	// operation itself took effect is the place's choice.
	Fail func(n int)

	// Rejects says that the sink keeps dead letters and not rows.
	Rejects bool

	// Repeats says that the sink may write rows again after a failure, as one
	// that promises at least once.
	Repeats bool
}

// Row is compared by the suite: a message and its output.
type Row struct {
	schemas.TopicPartition
	Offset  int64
	Content string // Architecture(partition, offset), from the row itself or the dead letter's key
}

// partitions are the ones the suite writes to.
var partitions = []schemas.TopicPartition{{Topic: "one", Number: 0}, {Topic: "one", Number: 1}, {Topic: "two", Number: 0}}

// Run tests the sinks of the places that newPlace makes, a fresh one each time.
func Run(t *testing.T, newPlace func(t *testing.T) *Place) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *Place)
	}{
		{"a new sink has no position", testNew},
		{"a commit is visible, with its position, also after opening again", testCommit},
		{"uncommitted rows are given up", testGivenUp},
		{"rows below the position are dropped", testReplay},
		{"a gap is refused", testGap},
		{"batches without rows move the position", testNoRows},
		{"two sinks of a group write every row once", testTwo},
		{"a failure at any operation loses nothing and doubles nothing", func(t *testing.T, p *Place) { testFailures(t, newPlace) }},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newPlace(t)) })
	}
}

func testNew(t *testing.T, place *Place) {
	s := place.open(t)
	wantPositions(t, s, nil)
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal("commit of nothing:", err)
	}
	if rows, bytes := s.Pending(); rows != 0 || bytes != 0 {
		t.Errorf("pending %d rows, %d bytes in a new sink", rows, bytes)
	}
	wantRows(t, place, nil)
	if s.Name() == "" {
		t.Error("the sink has no name")
	}
}

func testCommit(t *testing.T, place *Place) {
	s := place.open(t)
	write(t, s, partitions[0], 0, 10)
	write(t, s, partitions[1], 100, 120) // retention removed the messages before
	if rows, bytes := s.Pending(); rows == 0 || bytes == 0 {
		t.Errorf("pending %d rows, %d bytes after two batches", rows, bytes)
	}
	commit(t, s)
	if rows, bytes := s.Pending(); rows != 0 || bytes != 0 {
		t.Errorf("pending %d rows, %d bytes after a commit", rows, bytes)
	}
	write(t, s, partitions[0], 10, 20)
	write(t, s, partitions[0], 20, 21)
	write(t, s, partitions[2], 0, 8)
	commit(t, s)
	want := map[schemas.TopicPartition]int64{partitions[0]: 21, partitions[1]: 120, partitions[2]: 8}
	wantPositions(t, s, want)
	rows := slices.Concat(span(partitions[0], 0, 21), span(partitions[1], 100, 120), span(partitions[2], 0, 8))
	wantRows(t, place, rows)
	closeSink(t, s)
	s = place.open(t)
	wantPositions(t, s, want)
	wantRows(t, place, rows)
}

func testGivenUp(t *testing.T, place *Place) {
	s := place.open(t)
	write(t, s, partitions[0], 0, 12)
	commit(t, s)
	write(t, s, partitions[0], 12, 40)
	write(t, s, partitions[1], 0, 40)
	closeSink(t, s)
	s = place.open(t)
	wantPositions(t, s, map[schemas.TopicPartition]int64{partitions[0]: 12})
	wantRows(t, place, span(partitions[0], 0, 12))
	write(t, s, partitions[0], 12, 20)
	commit(t, s)
	wantRows(t, place, span(partitions[0], 0, 20))
}

func testReplay(t *testing.T, place *Place) {
	s := place.open(t)
	write(t, s, partitions[0], 0, 33)
	commit(t, s)
	write(t, s, partitions[0], 0, 20) // nothing new
	write(t, s, partitions[0], 20, 50)
	write(t, s, partitions[0], 30, 60) // overlaps the pending rows
	commit(t, s)
	wantRows(t, place, span(partitions[0], 0, 60))
	closeSink(t, s)
	s = place.open(t)
	for first := int64(0); first < 77; first += 11 {
		write(t, s, partitions[0], first, first+11)
	}
	commit(t, s)
	wantRows(t, place, span(partitions[0], 0, 77))
	wantPositions(t, s, map[schemas.TopicPartition]int64{partitions[0]: 77})
}

func testGap(t *testing.T, place *Place) {
	s := place.open(t)
	write(t, s, partitions[0], 0, 10)
	if err := s.Write(t.Context(), Batch(partitions[0], 11, 20)); !errors.Is(err, sinks.ErrGap) {
		t.Fatalf("a batch from 11 on a position of 10: %v", err)
	}
	write(t, s, partitions[0], 10, 20) // the sink has not failed with ErrGap
	commit(t, s)
	if err := s.Write(t.Context(), Batch(partitions[0], 30, 40)); !errors.Is(err, sinks.ErrGap) {
		t.Fatalf("a batch from 30 on a position of 20: %v", err)
	}
	closeSink(t, s)
	s = place.open(t)
	if err := s.Write(t.Context(), Batch(partitions[0], 21, 40)); !errors.Is(err, sinks.ErrGap) {
		t.Fatalf("a batch from 21 on a stored position of 20: %v", err)
	}
	wantRows(t, place, span(partitions[0], 0, 20))
}

// testNoRows covers offsets that hold nothing for the sink. A sink may put such
// a position off, so the test ends with something for every sink.
func testNoRows(t *testing.T, place *Place) {
	s := place.open(t)
	write(t, s, partitions[0], 0, 3)
	write(t, s, partitions[0], 3, 4)
	commit(t, s)
	for o := int64(4); o < 11; o++ {
		write(t, s, partitions[0], o, o+1)
		commit(t, s)
	}
	wantRows(t, place, span(partitions[0], 0, 11))
	wantPositions(t, s, map[schemas.TopicPartition]int64{partitions[0]: 11})
}

// testTwo lets a second sink come while the first is alive, as after a
// rebalance, and both go on until they are refused.
func testTwo(t *testing.T, place *Place) {
	ctx := t.Context()
	random := rand.New(rand.NewPCG(1, 2))
	a, b := place.open(t), place.open(t)
	const end = 400
	for range 10_000 {
		s := &a
		if random.IntN(2) == 0 {
			s = &b
		}
		p := partitions[random.IntN(2)]
		at, err := (*s).Positions(ctx, partitions)
		if err == nil && at[partitions[0]] >= end && at[partitions[1]] >= end {
			break
		}
		if err == nil {
			first := max(0, at[p]-int64(random.IntN(5)))
			err = (*s).Write(ctx, Batch(p, first, min(end, first+1+int64(random.IntN(40)))))
		}
		if err == nil && random.IntN(3) == 0 {
			err = (*s).Commit(ctx)
		}
		if errors.Is(err, sinks.ErrGap) {
			t.Fatal("a gap in contiguous batches:", err)
		}
		if err != nil { // fenced: a process that starts again
			_ = (*s).Close()
			*s = place.open(t)
		}
	}
	_, _ = a.Commit(ctx), b.Commit(ctx) // either may be refused by now
	closeSink(t, a)
	closeSink(t, b)
	finish(t, place, partitions[:2], end)
	if !place.Repeats {
		wantRows(t, place, slices.Concat(span(partitions[0], 0, end), span(partitions[1], 0, end)))
	}
}

// testFailures runs the same work with a failure at the first, second, third
// operation on the storage and so on, until the work ends without meeting it.
func testFailures(t *testing.T, newPlace func(*testing.T) *Place) {
	const end = 20
	for n := 1; ; n++ {
		place := newPlace(t)
		place.Fail(n)
		err := work(t.Context(), place, partitions[:2], end)
		place.Fail(0)
		if err != nil {
			finish(t, place, partitions[:2], end)
		}
		wantAll(t, place, partitions[:2], end, fmt.Sprintf("failure at operation %d (%v)", n, err))
		if t.Failed() {
			return
		}
		if err == nil {
			if n == 1 {
				t.Fatal("the place injects no failure")
			}
			t.Logf("%d failures injected", n-1)
			return
		}
		if n > 2000 {
			t.Fatalf("still failing after %d operations: %v", n, err)
		}
	}
}

// work brings the partitions to end from wherever the sink is, committing every
// few batches.
func work(ctx context.Context, place *Place, of []schemas.TopicPartition, end int64) (err error) {
	s, err := place.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	at, err := s.Positions(ctx, of)
	if err != nil {
		return err
	}
	for first := int64(0); first < end; first += 10 {
		for _, p := range of {
			if first+10 <= at[p] {
				continue
			}
			if err := s.Write(ctx, Batch(p, first, first+10)); err != nil {
				return err
			}
		}
		if err := s.Commit(ctx); err != nil {
			return err
		}
	}
	return nil
}

// finish does the rest of the work, and begins again, as a session does, after
// faults that pass: a broker under load may take long to end the transaction
// that a failure left, or carry out a request of the sink that failed only now,
// which fences off the one after it, once.
func finish(t *testing.T, place *Place, of []schemas.TopicPartition, end int64) {
	t.Helper()
	err := work(t.Context(), place, of, end)
	for again := 0; err != nil && (sinks.Recoverable(err) && again < 3 && (again == 0 || !errors.Is(err, sinks.ErrFenced))); again++ {
		t.Log("starting once more:", err)
		err = work(t.Context(), place, of, end)
	}
	if err != nil {
		t.Fatal("starting again after the failure:", err)
	}
}

func (p *Place) open(t *testing.T) sinks.Sink {
	t.Helper()
	s, err := p.Open(t.Context())
	if err != nil {
		t.Fatal("open:", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t *testing.T, s sinks.Sink, p schemas.TopicPartition, first, next int64) {
	t.Helper()
	if err := s.Write(t.Context(), Batch(p, first, next)); err != nil {
		t.Fatalf("write of %v %d..%d: %v", p, first, next, err)
	}
}

func commit(t *testing.T, s sinks.Sink) {
	t.Helper()
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal("commit:", err)
	}
}

func closeSink(t *testing.T, s sinks.Sink) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal("close:", err)
	}
}
