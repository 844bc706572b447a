package sinks

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"path"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

const (
	compactFiles = 16        // small files of about one size in a folder that are made one
	targetSize   = 64 << 20  // of a data file; half of it is no longer small
	smallGroup   = 8 << 10   // row groups of fewer rows are written anew and not copied
	smallestTier = 128 << 10 // files up to here count as of one size
)

// compact makes one file of many small ones in each folder where they have
// gathered. Files are merged with others of about their size, so that a row is
// written again only a few times in its life.
func (l *deltaLog) compact(ctx context.Context) error {
	groups := map[string][]string{}
	for file, add := range l.state.files {
		if add.Size < targetSize/2 {
			tier := bits.Len64(uint64(add.Size/smallestTier)) / 4
			key := fmt.Sprintf("%s %d", path.Dir(file), tier)
			groups[key] = append(groups[key], file)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		if group := groups[key]; len(group) >= compactFiles {
			if err := l.merge(ctx, l.mergeable(group)); err != nil {
				return err
			}
		}
	}
	return nil
}

// mergeable returns the oldest files of a folder that fit into one.
func (l *deltaLog) mergeable(files []string) []string {
	slices.SortFunc(files, func(a, b string) int {
		return cmp.Or(cmp.Compare(l.state.files[a].ModificationTime, l.state.files[b].ModificationTime), strings.Compare(a, b))
	})
	size := int64(0)
	for i, f := range files {
		if size += l.state.files[f].Size; size > targetSize {
			return files[:i]
		}
	}
	return files
}

// merge replaces files by one with the same rows. A commit of another writer
// that removes one of them ends the attempt.
func (l *deltaLog) merge(ctx context.Context, files []string) error {
	merged, old, others, err := l.gather(ctx, files)
	for err == nil && len(old) < 2 && len(others) > 1 {
		// One that is alone with its columns must not keep the others apart.
		merged, old, others, err = l.gather(ctx, others)
	}
	if err != nil || len(old) < 2 {
		return err
	}
	body, err := merged.close()
	if err != nil {
		return fmt.Errorf("compaction: %w", err)
	}
	name := newFile(path.Dir(files[0]))
	if err := checkFile(body); err != nil {
		return fmt.Errorf("compaction: %s is not stored: %w", name, err)
	}
	if err := l.bucket.Write(ctx, l.key(name), body); err != nil {
		return err
	}
	now := l.now().UnixMilli()
	actions := []deltaAction{{Add: &addFile{
		Path: actionPath(name), PartitionValues: old[0].PartitionValues, Size: int64(len(body)), ModificationTime: now, Stats: mergeStats(old),
	}}}
	for _, f := range old {
		actions = append(actions, deltaAction{Remove: &removeFile{
			Path: f.Path, DeletionTimestamp: now, ExtendedFileMetadata: true, PartitionValues: f.PartitionValues, Size: f.Size,
		}})
	}
	overtaken := false
	err = l.commit(ctx, "OPTIMIZE", func(s *deltaSnapshot) ([]deltaAction, error) {
		for _, f := range old {
			if overtaken = s.files[filePath(f.Path)] == nil; overtaken {
				return nil, nil
			}
		}
		return actions, nil
	})
	if overtaken {
		err = errors.Join(err, l.bucket.Delete(ctx, l.key(name)))
	}
	return err
}

// gather appends to one file those that have the columns of the first, old, and
// leaves the others.
func (l *deltaLog) gather(ctx context.Context, files []string) (merged *merger, old []*addFile, others []string, err error) {
	merged = &merger{}
	for _, f := range files {
		body, err := l.bucket.Read(ctx, l.key(f))
		if err != nil {
			return nil, nil, nil, fmt.Errorf("compaction: %w", err)
		}
		taken, err := merged.add(body)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("compaction of %s: %w", f, err)
		}
		if taken {
			old = append(old, l.state.files[f])
		} else {
			others = append(others, f)
		}
	}
	return merged, old, others, nil
}

// merger appends Parquet files of one schema to one file in memory.
type merger struct {
	schema *parquet.Schema
	body   bytes.Buffer
	writer *parquet.GenericWriter[any]
	rows   int64 // in the row group that is being gathered
}

// add appends a file, or leaves it alone when another program wrote it in a
// form of its own. Row groups that are large enough are copied as they are.
func (m *merger) add(body []byte) (taken bool, err error) {
	defer Damaged(&err)
	file, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return false, err
	}
	if m.writer == nil {
		m.schema = file.Schema()
		m.writer = parquet.NewGenericWriter[any](&m.body, writerOptions(m.schema)...)
	} else if !parquet.EqualNodes(m.schema, file.Schema()) {
		return false, nil
	}
	for _, group := range file.RowGroups() {
		if group.NumRows() >= smallGroup {
			if err := m.endGroup(); err != nil {
				return false, err
			}
			if _, err := m.writer.WriteRowGroup(group); err != nil {
				return false, err
			}
			continue
		}
		rows := group.Rows()
		n, err := parquet.CopyRows(m.writer, rows)
		if err = errors.Join(err, rows.Close()); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		m.rows += n
	}
	return true, nil
}

func (m *merger) endGroup() error {
	if m.rows == 0 {
		return nil
	}
	m.rows = 0
	return m.writer.Flush()
}

func (m *merger) close() ([]byte, error) {
	if err := m.writer.Close(); err != nil {
		return nil, err
	}
	return m.body.Bytes(), nil
}

// fileStats is the form of the statistics in the log.
type fileStats struct {
	NumRecords int64            `json:"numRecords"`
	MinValues  map[string]any   `json:"minValues,omitempty"`
	MaxValues  map[string]any   `json:"maxValues,omitempty"`
	NullCount  map[string]int64 `json:"nullCount,omitempty"`
}

// mergeStats returns the statistics of the files' rows together: of a column
// only when all files have them.
func mergeStats(files []*addFile) string {
	var all fileStats
	for i, f := range files {
		var s fileStats
		decoder := json.NewDecoder(strings.NewReader(f.Stats))
		decoder.UseNumber()
		if decoder.Decode(&s) != nil {
			return ""
		}
		if i == 0 {
			all = s
			continue
		}
		all.NumRecords += s.NumRecords
		mergeBounds(all.MinValues, s.MinValues, -1)
		mergeBounds(all.MaxValues, s.MaxValues, +1)
		for name := range all.NullCount {
			if n, ok := s.NullCount[name]; ok {
				all.NullCount[name] += n
			} else {
				delete(all.NullCount, name)
			}
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		return ""
	}
	return string(body)
}

// mergeBounds widens the bounds into one direction: numbers, and texts in the
// order of their bytes, which times in one form have too.
func mergeBounds(into, more map[string]any, direction int) {
	for name, have := range into {
		other, ok := more[name]
		if !ok {
			delete(into, name)
			continue
		}
		switch compareBounds(other, have) {
		case unordered:
			delete(into, name)
		case direction:
			into[name] = other
		}
	}
}

const unordered = 2

func compareBounds(a, b any) int {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		x, errX := a.Int64()
		y, errY := b.Int64()
		if !ok || errX != nil || errY != nil {
			return unordered
		}
		return cmp.Compare(x, y)
	case string:
		b, ok := b.(string)
		if !ok {
			return unordered
		}
		return strings.Compare(a, b)
	}
	return unordered
}
