package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"archflow/schemas"

	"github.com/parquet-go/parquet-go"
)

// fataler is a test of any kind.
type fataler interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

func readLabels(t fataler, b Bucket) []labelRow {
	files, err := TableFiles(context.Background(), b, "labels")
	if err != nil {
		t.Fatal(err)
	}
	var rows []labelRow
	for _, f := range files {
		body, err := b.Read(context.Background(), "labels/"+f)
		if err != nil {
			t.Fatal(err)
		}
		part, err := parquet.Read[labelRow](bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		rows = append(rows, part...)
	}
	return rows
}

// appendLabels commits labels of the offsets, a commit each.
func appendLabels(t *testing.T, s *LabelsTable, first, next int64) {
	t.Helper()
	for o := first; o < next; o++ {
		v := float64(o)
		row := LabelRow{Space: fmt.Sprint("s/", o%2), Task: "t", Value: &v, Offset: o, Time: time.UnixMilli(1_700_000_000_000 + o)}
		if err := s.Append(t.Context(), schemas.TopicPartition{Topic: "l"}, o, o+1, []LabelRow{row}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func wantLabels(t *testing.T, b Bucket, n int) {
	t.Helper()
	seen := map[int64]bool{}
	for _, r := range readLabels(t, b) {
		if seen[*r.Offset] || *r.Value != float64(*r.Offset) || *r.LabelTime != 1000*(1_700_000_000_000+*r.Offset) {
			t.Errorf("row of offset %d twice or wrong: %v at %d", *r.Offset, *r.Value, *r.LabelTime)
		}
		seen[*r.Offset] = true
	}
	if len(seen) != n {
		t.Errorf("%d rows, want %d", len(seen), n)
	}
}

func TestCompaction(t *testing.T) {
	b := openTest(t, t.TempDir())
	s, err := NewLabelsTable(t.Context(), b, TableConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	appendLabels(t, s, 0, 4*compactFiles+3)
	wantLabels(t, b, 4*compactFiles+3)
	if files := len(s.log.state.files); files >= 2*compactFiles {
		t.Errorf("%d files are left after compaction", files)
	}
	for path, f := range s.log.state.files {
		if !strings.HasPrefix(path, "space=s%2F") || !strings.HasPrefix(f.Path, "space=s%252F") {
			t.Errorf("file %s is written as %s", path, f.Path)
		}
		if !strings.Contains(f.Stats, `"label_time":"2023-11-14T22:13:20.`) {
			t.Errorf("statistics %s", f.Stats)
		}
	}
}

// Large row groups are copied, small ones become one.
func TestCompactionOfRowGroups(t *testing.T) {
	file := func(first, n int) []byte {
		var body bytes.Buffer
		w := parquet.NewGenericWriter[labelRow](&body, writerOptions()...)
		rows := make([]labelRow, n)
		for i := range rows {
			o := int64(first + i)
			rows[i].Offset = &o
		}
		if _, err := w.Write(rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return body.Bytes()
	}
	var m merger
	first := 0
	for _, n := range []int{10, 20, smallGroup, 30, 40, 2 * smallGroup, 5} {
		if taken, err := m.add(file(first, n)); err != nil || !taken {
			t.Fatal(taken, err)
		}
		first += n
	}
	var other bytes.Buffer
	if err := parquet.Write(&other, []struct{ X int }{{1}}); err != nil {
		t.Fatal(err)
	}
	if taken, err := m.add(other.Bytes()); err != nil || taken {
		t.Errorf("a file of other columns: taken %v, %v", taken, err)
	}
	body, err := m.close()
	if err != nil {
		t.Fatal(err)
	}
	merged, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for _, g := range merged.RowGroups() {
		sizes = append(sizes, g.NumRows())
	}
	if fmt.Sprint(sizes) != fmt.Sprint([]int64{30, smallGroup, 70, 2 * smallGroup, 5}) {
		t.Errorf("row groups of %v", sizes)
	}
	rows, err := parquet.Read[labelRow](bytes.NewReader(body), int64(len(body)))
	if err != nil || len(rows) != first {
		t.Fatal(len(rows), err)
	}
	for i, r := range rows {
		if *r.Offset != int64(i) {
			t.Fatalf("row %d has offset %d", i, *r.Offset)
		}
	}
}

// Compaction that meets a removal by another writer gives way.
func TestCompactionOvertaken(t *testing.T) {
	ctx := t.Context()
	b := openTest(t, t.TempDir())
	s, err := NewLabelsTable(ctx, b, TableConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	appendLabels(t, s, 0, 10)
	other := openOther(t, b)
	var files []*addFile
	for f, add := range s.log.state.files {
		if strings.HasPrefix(f, "space=s%2F0/") {
			files = append(files, add)
		}
	}
	if err := other.merge(ctx, files); err != nil {
		t.Fatal(err)
	}
	version := other.state.version
	if err := s.log.merge(ctx, files); !errors.Is(err, errOvertaken) {
		t.Fatalf("a merge of files that are gone: %v", err)
	}
	if s.log.state.version != version {
		t.Errorf("the overtaken compaction was committed as %d", s.log.state.version)
	}
	wantLabels(t, b, 10)
}

func openOther(t *testing.T, b Bucket) *deltaLog {
	t.Helper()
	s, err := NewLabelsTable(t.Context(), b, TableConfig{Group: "h"})
	if err != nil {
		t.Fatal(err)
	}
	return s.log
}

func TestSweep(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	b := openTest(t, dir)
	now := time.Now()
	s, err := NewLabelsTable(ctx, b, TableConfig{Group: "g", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	appendLabels(t, s, 0, 2*checkpointEvery+30)
	for _, orphan := range []string{"labels/space=s%2F0/part-orphan.parquet", "labels/notes.txt"} {
		if err := b.Write(ctx, orphan, nil); err != nil {
			t.Fatal(err)
		}
	}
	count := func(pattern string) int {
		names, err := filepath.Glob(filepath.Join(dir, "labels", pattern))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	files, commits := count("space=*/*.parquet"), count("_delta_log/*.json")
	if _, _, err := s.log.vacuum(ctx); err != nil {
		t.Fatal(err)
	}
	if count("space=*/*.parquet") != files || count("_delta_log/*.json") != commits {
		t.Error("a sweep took files that somebody may be about to commit or to read")
	}
	now = now.Add(retention + retention/8 + time.Hour)
	appendLabels(t, s, 2*checkpointEvery+30, 2*checkpointEvery+31) // vacuums as well
	// One of the folders was quiet, so that this commit has merged it, too.
	if got, want := count("space=*/*.parquet"), len(s.log.state.files)+len(s.log.state.removed); got != want {
		t.Errorf("%d data files are left, %d belong to the table or have just been removed", got, want)
	}
	if count("notes.txt") != 1 {
		t.Error("a file that is none of the table's was swept")
	}
	if got := count("_delta_log/*.json"); got >= commits || count("_delta_log/*.checkpoint.parquet") != 1 {
		t.Errorf("%d of %d commits and %d checkpoints are left", got, commits, count("_delta_log/*.checkpoint.parquet"))
	}
	wantLabels(t, b, 2*checkpointEvery+31)
	again := openOther(t, b)
	if len(again.state.files) != len(s.log.state.files) || again.state.txns["g/l/0"].Version != 2*checkpointEvery+31 {
		t.Errorf("opened again: %d files, %v", len(again.state.files), again.state.txns)
	}
	if _, err := os.Stat(filepath.Join(dir, "labels", "_delta_log", "_last_checkpoint")); err != nil {
		t.Error(err)
	}
}

// TestCheckpointsOfABusyDay: a checkpoint carries the files of the table and not the
// files that merging has removed within minutes of their writing, which are most of a
// busy day's; those files are kept for the retention all the same.
func TestCheckpointsOfABusyDay(t *testing.T) {
	ctx := t.Context()
	b := NewMemory()
	now := time.Now()
	s, err := NewLabelsTable(ctx, b, TableConfig{Group: "g", Now: func() time.Time { now = now.Add(5 * time.Second / 4); return now }})
	if err != nil {
		t.Fatal(err)
	}
	const commits = 4*checkpointEvery + 1
	appendLabels(t, s, 0, commits)
	body, err := b.Read(ctx, fmt.Sprintf("labels/"+logFolder+"%020d.checkpoint.parquet", s.log.checkpointed))
	if err != nil {
		t.Fatal(err)
	}
	actions, err := decodeCheckpoint(body)
	if err != nil {
		t.Fatal(err)
	}
	var files, removed int
	for _, a := range actions {
		if a.Add != nil {
			files++
		}
		if a.Remove != nil {
			removed++
		}
	}
	if files > 2*2*compactFiles || removed > 0 {
		t.Errorf("the checkpoint of %d commits has %d files and %d removals", s.log.checkpointed, files, removed)
	}
	gone, err := s.log.removals(ctx)
	if err != nil || len(gone) < commits/2 {
		t.Fatalf("%d files were removed, %v", len(gone), err)
	}
	again := openOther(t, b)
	for _, f := range gone {
		if !again.needed(f, now.Add(-retention)) || again.needed(f, now.Add(-2*retention)) {
			t.Fatalf("%s is kept for too short or too long a time", f)
		}
	}
}

// TestQuietFolder: the files of a folder that gets no more are merged, however
// few, and a table in which there is nothing left to merge claims no upkeep.
func TestQuietFolder(t *testing.T) {
	b := NewMemory()
	now := time.Now()
	s, err := NewLabelsTable(t.Context(), b, TableConfig{Group: "g", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	appendLabels(t, s, 0, 6)
	if len(s.log.state.files) != 6 {
		t.Fatalf("%d files", len(s.log.state.files))
	}
	now = now.Add(quietFolder + time.Minute)
	appendLabels(t, s, 6, 7) // into one of the folders, which is no longer quiet
	if len(s.log.state.files) != 5 {
		t.Errorf("%d files, want one of a folder and four of the other", len(s.log.state.files))
	}
	now = now.Add(2 * quietFolder)
	appendLabels(t, s, 7, 9)
	now = now.Add(2 * quietFolder)
	if _, err := Maintain(t.Context(), b, "labels", Upkeep{Now: func() time.Time { return now }}); err != nil {
		t.Fatal(err)
	}
	again := openOther(t, b)
	if len(again.state.files) != 2 || len(again.compactable(again.state.files, nil)) != 0 {
		t.Errorf("%d files", len(again.state.files))
	}
	wantLabels(t, b, 9)
}
