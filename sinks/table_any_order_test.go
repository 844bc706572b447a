//go:build unix

package sinks_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// TestWritersCompactorsAnyOrder: three writers of a group, compactors that heed no claim,
// and another program work on one table in any order, each inside the steps of the
// others, at any operation on the disk; they die there, and the machine with them. Every
// row below the table's positions is there once, and nothing that was acknowledged is
// missing.
func TestWritersCompactorsAnyOrder(t *testing.T) {
	total := &anyOrder{}
	for seed := range uint64(3) {
		w := &anyOrder{t: t, random: rand.New(rand.NewPCG(seed, 15)), memory: sinks.NewMemory(), acked: map[schemas.TopicPartition]int64{}}
		if seed < 2 {
			w.disk = sinktest.NewDisk(t)
			defer w.disk.Close()
		}
		w.run(220)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		total.conflicts = add(total.conflicts, w.conflicts)
		total.deaths += w.deaths
		total.crashes += w.crashes
	}
	t.Logf("%d deaths, %d crashes, conflicts %v", total.deaths, total.crashes, total.conflicts)
	if total.deaths < 25 || total.crashes < 2 || total.conflicts["compaction"] < 5 || total.conflicts["commit"] < 50 {
		t.Errorf("too little happened: %d deaths, %d crashes, conflicts %v", total.deaths, total.crashes, total.conflicts)
	}
}

func add(into, more map[string]int) map[string]int {
	if into == nil {
		into = map[string]int{}
	}
	for k, v := range more {
		into[k] += v
	}
	return into
}

// anyOrder is the world of one run.
type anyOrder struct {
	t       *testing.T
	random  *rand.Rand
	disk    *sinktest.Disk // the machine can crash; memory when nil
	memory  sinks.Bucket
	writers []*orderWriter
	depth   int
	quiet   bool // no more deaths, and nobody works inside another's step
	acked   map[schemas.TopicPartition]int64

	conflicts       map[string]int
	deaths, crashes int
}

// orderWriter is one process with its own view of the bucket.
type orderWriter struct {
	sinks.Bucket
	world *anyOrder
	table *sinks.LabelsTable
	next  map[schemas.TopicPartition]int64
	busy  bool // a step of it is under way
	dead  bool
}

var errDied = errors.New("injected: this process has died")

func orderPartitions() []schemas.TopicPartition {
	return []schemas.TopicPartition{{Topic: "l"}, {Topic: "l", Number: 1}}
}

func (w *anyOrder) run(steps int) {
	w.conflicts = map[string]int{}
	w.boot()
	for range steps {
		if w.disk != nil && w.random.IntN(50) == 0 {
			w.crashes++
			for _, p := range w.writers {
				_ = p.Close()
			}
			w.disk.Crash()
			w.boot()
			continue
		}
		w.step()
	}
	w.quiet = true
	for _, p := range w.writers {
		if p.dead {
			_ = p.Close()
			*p = *w.process()
		}
		if p.table == nil {
			p.start()
		}
		p.commit()
	}
	w.check()
	for _, p := range w.writers {
		_ = p.Close()
	}
}

func (w *anyOrder) boot() {
	w.writers = nil
	for range 3 {
		w.writers = append(w.writers, w.process())
	}
}

func (w *anyOrder) process() *orderWriter {
	return &orderWriter{Bucket: w.open(), world: w}
}

func (w *anyOrder) open() sinks.Bucket {
	if w.disk == nil {
		return w.memory
	}
	b, err := sinks.OpenFolder(filepath.Join(w.disk.Path(), "tables"), w.disk.Sync)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// step lets one process that is not at work do something.
func (w *anyOrder) step() {
	p := w.writers[w.random.IntN(len(w.writers))]
	if p.busy {
		return
	}
	p.busy = true
	defer func() { p.busy = false }()
	if p.dead {
		_ = p.Close()
		*p = *w.process()
		p.busy = true
	}
	if p.table == nil {
		p.start()
		return
	}
	switch k := w.random.IntN(20); {
	case k < 10:
		p.append()
	case k < 15:
		p.commit()
	case k < 17:
		p.failed("compaction", p.table.Compact(context.Background()))
	default:
		what := []string{"merge", "vacuum", "describe", "checkpoint"}[w.random.IntN(4)]
		p.failed(what, sinks.Foreign(context.Background(), p, what, func(n int) int { return w.random.IntN(max(n, 1)) }))
	}
}

// failed accepts the errors of a dead process.
func (p *orderWriter) failed(what string, err error) bool {
	if err == nil {
		return false
	}
	if !p.dead && !errors.Is(err, sinks.ErrFenced) && !errors.Is(err, sinks.ErrGap) {
		p.world.t.Errorf("%s: %v", what, err)
	}
	p.table = nil
	return true
}

func (p *orderWriter) start() {
	ctx := context.Background()
	s, err := sinks.NewLabelsTable(ctx, p, sinks.TableConfig{Group: "g", Log: slog.New(slog.DiscardHandler), Conflict: func(_, operation string) { p.world.conflicts[operation]++ }})
	if p.failed("open", err) {
		return
	}
	at, err := s.Positions(ctx, orderPartitions())
	if p.failed("positions", err) {
		return
	}
	p.table, p.next = s, at
}

func (p *orderWriter) append() {
	random := p.world.random
	partition := orderPartitions()[random.IntN(2)]
	first := p.next[partition]
	next := first + 1 + random.Int64N(6)
	var rows []sinks.LabelRow
	for o := first; o < next; o++ {
		if o%3 > 0 {
			rows = append(rows, sinks.LabelRow{Space: fmt.Sprint("s ", o%2), Task: "t", Offset: o})
		}
	}
	if !p.failed("append", p.table.Append(context.Background(), partition, first, next, rows)) {
		p.next[partition] = next
	}
	if random.IntN(2) == 0 && p.table != nil {
		p.commit()
	}
}

func (p *orderWriter) commit() {
	next := map[schemas.TopicPartition]int64{}
	for partition, o := range p.next {
		next[partition] = o
	}
	if !p.failed("commit", p.table.Commit(context.Background())) {
		for partition, o := range next {
			p.world.acked[partition] = max(p.world.acked[partition], o)
		}
	}
}

// check compares the rows of the table with its positions.
func (w *anyOrder) check() {
	b := w.open()
	defer b.Close()
	at, err := sinks.TablePositions(context.Background(), b, "labels", "g", orderPartitions())
	if err != nil {
		w.t.Fatal(err)
	}
	type row struct {
		Partition int32 `parquet:"partition,optional"`
		Offset    int64 `parquet:"offset,optional"`
	}
	count := map[row]int{}
	for _, r := range readTable[row](w.t, b, "labels") {
		count[r]++
	}
	for _, p := range orderPartitions() {
		if at[p] < w.acked[p] {
			w.t.Errorf("%v: position %d, acknowledged %d", p, at[p], w.acked[p])
		}
		for o := range at[p] {
			want := 0
			if o%3 > 0 {
				want = 1
			}
			if r := (row{p.Number, o}); count[r] != want {
				w.t.Errorf("%v offset %d is there %d times", p, o, count[r])
			} else {
				delete(count, r)
			}
		}
	}
	for r, n := range count {
		if n > 0 {
			w.t.Errorf("row %v, beyond the positions %v, is there %d times", r, at, n)
		}
	}
}

// meet is called before and after every operation of a process on its bucket:
// others work meanwhile, or it dies.
func (p *orderWriter) meet() error {
	w := p.world
	if p.dead {
		return errDied
	}
	if w.quiet {
		return nil
	}
	if w.random.IntN(600) == 0 {
		w.deaths++
		p.dead = true
		return errDied
	}
	if w.depth < 3 && w.random.IntN(8) == 0 {
		w.depth++
		w.step()
		w.depth--
	}
	return nil
}

func (p *orderWriter) around(do func() error) error {
	if err := p.meet(); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, p.meet())
}

func (p *orderWriter) Read(ctx context.Context, key string) (body []byte, err error) {
	err = p.around(func() error { body, err = p.Bucket.Read(ctx, key); return err })
	return body, err
}

func (p *orderWriter) Stat(ctx context.Context, key string) (o sinks.Object, err error) {
	err = p.around(func() error { o, err = p.Bucket.Stat(ctx, key); return err })
	return o, err
}

func (p *orderWriter) Write(ctx context.Context, key string, data []byte) error {
	return p.around(func() error { return p.Bucket.Write(ctx, key, data) })
}

func (p *orderWriter) Create(ctx context.Context, key string, data []byte) error {
	return p.around(func() error { return p.Bucket.Create(ctx, key, data) })
}

func (p *orderWriter) Delete(ctx context.Context, key string) error {
	return p.around(func() error { return p.Bucket.Delete(ctx, key) })
}

func (p *orderWriter) List(ctx context.Context, prefix, after string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		if err := p.meet(); err != nil {
			yield(sinks.Object{}, err)
			return
		}
		p.Bucket.List(ctx, prefix, after)(yield)
	}
}
