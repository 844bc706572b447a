package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"archflow/schemas"

	"pgregory.net/rapid"
)

func openTestLog(t testing.TB, b Bucket, now func() time.Time) *deltaLog {
	t.Helper()
	l, err := openDelta(context.Background(), b, "t", newMetaData([]column{col("x", "long"), col("s", "string")}, []string{"s"}, now()), now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// addAction returns the action of a file that need not exist.
func addAction(name string) deltaAction {
	value := "a b"
	return deltaAction{Add: &addFile{Path: name, PartitionValues: map[string]*string{"s": &value}, Size: 7, ModificationTime: 3, DataChange: true, Stats: `{"numRecords":1}`}}
}

func constantly(actions ...deltaAction) func(*deltaSnapshot) ([]deltaAction, error) {
	return func(*deltaSnapshot) ([]deltaAction, error) { return actions, nil }
}

// A log that is opened has the state of its writer, with any part of it in a checkpoint.
func TestLogOpenedAgainIsTheSame(t *testing.T) {
	ctx := t.Context()
	b := openTest(t, t.TempDir())
	l := openTestLog(t, b, time.Now)
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 3*checkpointEvery + 20 {
		at := time.Now().UnixMilli()
		actions := []deltaAction{addAction(fmt.Sprintf("s=a%%2520b/%d.parquet", i)), {Txn: &deltaTxn{AppID: fmt.Sprint("g/t/", i%3), Version: int64(i), LastUpdated: &at}}}
		if i > 5 && random.IntN(3) > 0 {
			path := slices.Sorted(maps.Keys(l.state.files))[random.IntN(len(l.state.files))]
			actions = append(actions, deltaAction{Remove: &removeFile{Path: l.state.files[path].Path, DeletionTimestamp: at, Size: 7, ExtendedFileMetadata: true, PartitionValues: l.state.files[path].PartitionValues}})
		}
		if err := l.commit(ctx, "WRITE", constantly(actions...)); err != nil {
			t.Fatal(err)
		}
		if err := l.checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
	}
	same := func(how string) {
		t.Helper()
		again := openTestLog(t, b, time.Now)
		for _, s := range []*deltaSnapshot{l.state, again.state} {
			for _, f := range s.files {
				f.DataChange = false // a checkpoint says so of every file
			}
		}
		if !reflect.DeepEqual(again.state, l.state) {
			t.Errorf("%s: %d files, %d removed, %v; want %d, %d, %v", how, len(again.state.files), len(again.state.removed), again.state.txns, len(l.state.files), len(l.state.removed), l.state.txns)
		}
	}
	same("from the last checkpoint")
	if err := b.Write(ctx, "t/_delta_log/_last_checkpoint", []byte(`{"version":999999,"size":1}`)); err != nil {
		t.Fatal(err)
	}
	same("from a hint that is wrong")
	for v := range int64(2 * checkpointEvery) {
		if err := b.Delete(ctx, "t/"+commitKey(v)); err != nil {
			t.Fatal(err)
		}
	}
	same("without the first commits")
	if err := b.Delete(ctx, "t/"+commitKey(3*checkpointEvery+10)); err != nil {
		t.Fatal(err)
	}
	if _, err := openDelta(ctx, b, "t", l.state.metaData, time.Now); err == nil {
		t.Error("a log with a gap was opened")
	}
}

func TestLogRaces(t *testing.T) {
	ctx := t.Context()
	b := openTest(t, t.TempDir())
	one, two := openTestLog(t, b, time.Now), openTestLog(t, b, time.Now)
	if err := one.commit(ctx, "WRITE", constantly(addAction("1"))); err != nil {
		t.Fatal(err)
	}
	asked := 0
	err := two.commit(ctx, "WRITE", func(s *deltaSnapshot) ([]deltaAction, error) {
		asked++
		return []deltaAction{addAction("2")}, nil
	})
	if err != nil || asked != 2 || two.state.version != 2 || len(two.state.files) != 2 {
		t.Errorf("the loser of a race asked %d times and is at %d with %d files: %v", asked, two.state.version, len(two.state.files), err)
	}
	changed := one.state.metaData
	changed.Description = new(string)
	if err := two.commit(ctx, "SET", constantly(deltaAction{MetaData: &changed})); err != nil {
		t.Fatal(err)
	}
	if err := one.commit(ctx, "WRITE", constantly(addAction("3"))); err != nil || one.state.metaData.Description == nil {
		t.Errorf("a commit after a description: %v", err)
	}
	if err := two.commit(ctx, "WRITE", constantly(addAction("4"))); err != nil {
		t.Fatal(err)
	}
	other := newMetaData([]column{col("x", "string"), col("s", "string")}, []string{"s"}, time.Now())
	if err := two.commit(ctx, "SET", constantly(deltaAction{MetaData: &other})); err != nil {
		t.Fatal(err)
	}
	if err := one.commit(ctx, "WRITE", constantly(addAction("5"))); !errors.Is(err, errSchema) {
		t.Errorf("a commit over a column of another type: %v", err)
	}
	raised := deltaAction{Protocol: &deltaProtocol{MinReaderVersion: 3, MinWriterVersion: 7}}
	if err := two.commit(ctx, "SET", constantly(raised)); err != nil {
		t.Fatal(err)
	}
	if _, err := openDelta(ctx, b, "t", changed, time.Now); err == nil {
		t.Error("a table of protocol 3/7 was opened")
	}
}

func TestLogOfAnotherTable(t *testing.T) {
	b := openTest(t, t.TempDir())
	openTestLog(t, b, time.Now)
	for _, other := range []metaData{
		newMetaData([]column{col("x", "string"), col("s", "string")}, []string{"s"}, time.Now()),
		newMetaData([]column{col("x", "long"), col("y", "long"), col("s", "string")}, []string{"s"}, time.Now()),
		newMetaData([]column{col("x", "long"), col("s", "string")}, nil, time.Now()),
	} {
		if _, err := openDelta(t.Context(), b, "t", other, time.Now); err == nil {
			t.Errorf("a table with other columns was opened as %s by %v", other.SchemaString, other.PartitionColumns)
		}
	}
}

// A commit whose answer was lost is found to be there, and not made again.
func TestLogLostAnswer(t *testing.T) {
	b := openTest(t, t.TempDir())
	l := openTestLog(t, lostAnswers{b}, time.Now)
	if err := l.commit(t.Context(), "WRITE", constantly(addAction("1"))); err != nil {
		t.Fatal(err)
	}
	if l.state.version != 1 {
		t.Errorf("version %d after one commit", l.state.version)
	}
}

// lostAnswers stores and then answers that somebody else was faster, as an
// object store's client does that has sent a request again.
type lostAnswers struct{ Bucket }

func (b lostAnswers) Create(ctx context.Context, key string, data []byte) error {
	if err := b.Bucket.Create(ctx, key, data); err != nil {
		return err
	}
	return fs.ErrExist
}

// A log of which others have left the checkpoint alone goes on.
func TestLogOfACheckpointAlone(t *testing.T) {
	ctx := t.Context()
	b := openTest(t, t.TempDir())
	l := openTestLog(t, b, time.Now)
	for range checkpointEvery {
		if err := l.commit(ctx, "WRITE", constantly(addAction("1"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	sleeper := openTestLog(t, b, time.Now)
	if err := l.commit(ctx, "WRITE", constantly(addAction("2"))); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(ctx, "t/"+commitKey(checkpointEvery+1)); err != nil {
		t.Fatal(err)
	}
	for v := range int64(checkpointEvery + 1) {
		if err := b.Delete(ctx, "t/"+commitKey(v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.commit(ctx, "WRITE", constantly(addAction("3"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a commit after one that has gone: %v", err)
	}
	if err := sleeper.commit(ctx, "WRITE", constantly(addAction("3"))); err != nil || sleeper.state.version != checkpointEvery+1 {
		t.Errorf("a commit after the checkpoint: version %d, %v", sleeper.state.version, err)
	}
}

func TestLogTableRemoved(t *testing.T) {
	dir := t.TempDir()
	l := openTestLog(t, openTest(t, dir), time.Now)
	if err := os.RemoveAll(filepath.Join(dir, "t")); err != nil {
		t.Fatal(err)
	}
	if err := l.commit(t.Context(), "WRITE", constantly(addAction("1"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a commit to a table that was removed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "t")); err == nil {
		t.Error("a part of a table was made where one was removed")
	}
}

// Two writers of one group that write the same rows in any interleaving leave
// every row once, with compaction, checkpoints and restarts between.
func TestTwoWritersAnyOrder(t *testing.T) {
	type key struct {
		partition int32
		offset    int64
	}
	rapid.Check(t, func(r *rapid.T) {
		ctx := context.Background()
		b := NewMemory()
		open := func() *LabelsTable {
			s, err := NewLabelsTable(ctx, b, TableConfig{Group: "g"})
			if err != nil {
				r.Fatal(err)
			}
			return s
		}
		writers := []*LabelsTable{open(), open()}
		next := []map[int32]int64{{}, {}} // the next offset by each writer's view
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			w := rapid.IntRange(0, 1).Draw(r, "writer")
			s := writers[w]
			switch rapid.IntRange(0, 9).Draw(r, "step") {
			case 0: // dies and starts again where the table is
				_ = s.Close()
				writers[w], next[w] = open(), map[int32]int64{}
				at, err := writers[w].Positions(ctx, []schemas.TopicPartition{{Topic: "l"}, {Topic: "l", Number: 1}})
				if err != nil {
					r.Fatal(err)
				}
				for p, o := range at {
					next[w][p.Number] = o
				}
			case 1, 2, 3:
				if err := s.Commit(ctx); err != nil {
					r.Fatal(err)
				}
			default:
				p := rapid.Int32Range(0, 1).Draw(r, "partition")
				first := next[w][p]
				last := first + rapid.Int64Range(1, 20).Draw(r, "rows")
				var rows []LabelRow
				for o := first; o < last; o++ {
					if o%3 > 0 {
						rows = append(rows, LabelRow{Space: fmt.Sprint("s ", o%2), Task: "t", Offset: o})
					}
				}
				if err := s.Append(ctx, schemas.TopicPartition{Topic: "l", Number: p}, first, last, rows); err != nil {
					r.Fatal(err)
				}
				next[w][p] = last
			}
		}
		for _, s := range writers {
			if err := s.Commit(ctx); err != nil {
				r.Fatal(err)
			}
		}
		rows := readLabels(r, b)
		count := map[key]int{}
		for _, row := range rows {
			count[key{*row.Partition, *row.Offset}]++
		}
		// Rows that died with a writer may be missing above the position, never below.
		at, err := open().Positions(ctx, []schemas.TopicPartition{{Topic: "l"}, {Topic: "l", Number: 1}})
		if err != nil {
			r.Fatal(err)
		}
		want := map[key]int{}
		for p, next := range at {
			for o := int64(0); o < next; o++ {
				if o%3 > 0 {
					want[key{p.Number, o}] = 1
				}
			}
		}
		if !maps.Equal(count, want) {
			r.Fatalf("positions %v: rows %v, want %v", at, count, want)
		}
	})
}

// A writer whose position the table no longer has commits nothing.
func TestFenced(t *testing.T) {
	ctx := t.Context()
	b := openTest(t, t.TempDir())
	p := schemas.TopicPartition{Topic: "l"}
	s, err := NewLabelsTable(ctx, b, TableConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	appendLabels(t, s, 0, 10)
	if err := s.Append(ctx, p, 10, 20, []LabelRow{{Space: "s", Offset: 11}}); err != nil {
		t.Fatal(err)
	}
	other := openOther(t, b)
	back := deltaAction{Txn: &deltaTxn{AppID: "g/l/0", Version: 5}} // as a restore of an old version does
	if err := other.commit(ctx, "RESTORE", constantly(back)); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx); !errors.Is(err, ErrFenced) {
		t.Errorf("commit over a table that went back: %v", err)
	}
	if err := s.Commit(ctx); !errors.Is(err, ErrFenced) {
		t.Errorf("a fenced sink goes on: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantLabels(t, b, 10)
}
