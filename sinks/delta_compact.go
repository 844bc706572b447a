package sinks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/bits"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

const (
	compactFiles = 16       // small files of about one size in a folder that are made one
	maxMerged    = 64 << 20 // bytes of a data file; see targetSize
	smallGroup   = 8 << 10  // row groups of fewer rows are written anew and not copied
	smallestTier = 4 << 10  // files below eight times this are of one size; each next size goes 16 times as far

	quietFolder = 24 * time.Hour // without a new file, after which all of a folder's files are merged
)

// errOvertaken says that another writer has removed a file which was to be
// merged.
var errOvertaken = errors.New("another writer has removed a file that was to be merged")

// targetSize returns the size that a merge gives a data file; a file of half of it is no
// longer small. A merge holds the file that it writes, so under a limit on memory the
// target is a share of it.
func targetSize() int64 { return min(max(debug.SetMemoryLimit(-1)/20, 8<<20), maxMerged) }

// compactable returns the small files that have gathered in each folder of the
// table, as groups that are to become one file each. Files are merged with
// others of about their size, so that a row is written again only a few times
// in its life; in a folder that is quiet, all of them.
func (l *deltaLog) compactable(files map[string]*addFile, more []deltaAction) (groups [][]*addFile) {
	type place struct {
		folder string
		tier   int // -1 for all
	}
	gathered := map[place][]*addFile{}
	newest := map[string]int64{} // time of a folder's newest file
	target := targetSize()
	put := func(file string, add *addFile) {
		folder := path.Dir(file)
		newest[folder] = max(newest[folder], add.ModificationTime)
		if add.Size < target/2 && !l.apart[file] {
			of := place{folder, bits.Len64(uint64(add.Size/smallestTier)) / 4}
			gathered[of] = append(gathered[of], add)
		}
	}
	for file, add := range files {
		put(file, add)
	}
	for _, a := range more {
		if a.Add != nil {
			put(filePath(a.Add.Path), a.Add)
		}
	}
	quiet := l.now().Add(-quietFolder).UnixMilli()
	for _, of := range slices.Collect(maps.Keys(gathered)) {
		if l.thorough || newest[of.folder] < quiet {
			all := place{of.folder, -1}
			gathered[all] = append(gathered[all], gathered[of]...)
			delete(gathered, of)
		}
	}
	places := slices.SortedFunc(maps.Keys(gathered), func(a, b place) int {
		return cmp.Or(strings.Compare(a.folder, b.folder), cmp.Compare(a.tier, b.tier))
	})
	for _, of := range places {
		if group := gathered[of]; len(group) >= compactFiles || of.tier < 0 && len(group) > 1 {
			groups = append(groups, oldest(group))
		}
	}
	return groups
}

// oldest returns the oldest files of a folder that fit into one.
func oldest(files []*addFile) []*addFile {
	slices.SortFunc(files, func(a, b *addFile) int {
		return cmp.Or(cmp.Compare(a.ModificationTime, b.ModificationTime), strings.Compare(a.Path, b.Path))
	})
	size, target := int64(0), targetSize()
	for i, f := range files {
		if size += f.Size; size > target {
			return files[:i]
		}
	}
	return files
}

// compact merges the compactable files, in the order of the folders. It plans on the
// current state; a concurrent change by another writer ends the merge that it concerns,
// quietly, because it has made the merge unnecessary.
func (l *deltaLog) compact(ctx context.Context) error {
	for _, group := range l.compactable(l.state.files, nil) {
		err := l.merge(ctx, group)
		switch {
		case errors.Is(err, errOvertaken):
			l.conflict("compaction")
		case err != nil:
			return err
		}
	}
	return nil
}

// has says whether the files are all part of the table.
func (s *deltaSnapshot) has(files []*addFile) bool {
	for _, f := range files {
		if s.files[filePath(f.Path)] == nil {
			return false
		}
	}
	return true
}

// merge replaces files of one folder by one with the same rows; errOvertaken
// when another writer has removed one of them.
func (l *deltaLog) merge(ctx context.Context, files []*addFile) error {
	merged, old, others, err := l.gather(ctx, files)
	for err == nil && len(old) < 2 && len(others) > 1 {
		// One that is alone with its columns must not keep the others apart.
		merged, old, others, err = l.gather(ctx, others)
	}
	if err != nil {
		return err
	}
	if len(old) < 2 {
		for _, f := range files {
			l.apart[filePath(f.Path)] = true
		}
		return nil
	}
	body, err := merged.close()
	if err != nil {
		return fmt.Errorf("compaction: %w", err)
	}
	add, err := storeFile(ctx, l, path.Dir(filePath(old[0].Path)), old[0].PartitionValues, body)
	if err != nil {
		return fmt.Errorf("compaction: %w", err)
	}
	add.DataChange = false
	now := l.now().UnixMilli()
	actions := []deltaAction{{Add: add}}
	for _, f := range old {
		actions = append(actions, deltaAction{Remove: &removeFile{
			Path: f.Path, DeletionTimestamp: now, ExtendedFileMetadata: true, PartitionValues: f.PartitionValues, Size: f.Size,
		}})
	}
	overtaken := false
	err = l.commit(ctx, "OPTIMIZE", func(s *deltaSnapshot) ([]deltaAction, error) {
		if overtaken = !s.has(old); overtaken {
			return nil, nil
		}
		claim := l.claim(s, claimCompaction, 0)
		return append(slices.Clone(actions), deltaAction{Txn: claim}), nil
	})
	if overtaken {
		return errors.Join(errOvertaken, err, l.bucket.Delete(ctx, l.key(filePath(add.Path))))
	}
	return err
}

// gather appends to one file those that have the columns of the first, old, and
// leaves the others.
func (l *deltaLog) gather(ctx context.Context, files []*addFile) (merged *merger, old, others []*addFile, err error) {
	if !l.state.has(files) {
		return nil, nil, nil, errOvertaken
	}
	merged = &merger{}
	for _, f := range files {
		body, err := l.bucket.Read(ctx, l.key(filePath(f.Path)))
		if errors.Is(err, fs.ErrNotExist) {
			// It may have been removed and then deleted while we were planning.
			if _, e := l.catchUp(ctx, ""); e != nil {
				return nil, nil, nil, e
			}
			if !l.state.has(files) {
				return nil, nil, nil, errOvertaken
			}
		}
		if err != nil {
			return nil, nil, nil, fmt.Errorf("compaction: %w", err)
		}
		taken, err := merged.add(body)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("compaction of %s: %w", f.Path, err)
		}
		if taken {
			old = append(old, f)
		} else {
			others = append(others, f)
		}
	}
	return merged, old, others, nil
}
