package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Upkeep selects the work of Maintain beyond that of a run.
type Upkeep struct {
	Rewrite bool             // write files anew that some readers cannot read, or that have rows twice
	Check   bool             // read every file and count rows that are there twice
	Now     func() time.Time // time.Now when nil
}

// Maintained is the result of Maintain for a table.
type Maintained struct {
	Table     string `json:"table"`
	Files     int    `json:"files"` // that the table has now
	Bytes     int64  `json:"bytes"`
	Rewritten int    `json:"rewritten"`
	Doubled   int    `json:"doubled"`  // rows found twice; gone when files were written anew
	Merged    int    `json:"merged"`   // files that are part of others now
	Stated    int    `json:"stated"`   // files that have got full statistics
	Vacuumed  int    `json:"vacuumed"` // data files deleted
	Cleaned   int    `json:"cleaned"`  // commits and checkpoints deleted
}

// Maintain does the maintenance of the Delta table in a folder of the bucket, regardless
// of claims: files are repaired where that is asked for, get full statistics and are
// merged, the log gets a checkpoint, and unneeded files are deleted, as the table's
// properties say. Other writers may be at work. fs.ErrNotExist when there is no table.
func Maintain(ctx context.Context, bucket Bucket, table string, upkeep Upkeep) (Maintained, error) {
	done := Maintained{Table: table}
	l, err := openExisting(ctx, bucket, table, upkeep.Now)
	if err != nil {
		return done, err
	}
	if upkeep.Rewrite {
		if done.Rewritten, err = l.rewrite(ctx); err != nil {
			return done, l.wrap(err)
		}
	}
	if upkeep.Check || upkeep.Rewrite {
		if done.Doubled, err = l.doubles(ctx, upkeep.Rewrite); err != nil {
			return done, l.wrap(err)
		}
	}
	if l.poor, err = l.poorlyStated(); err != nil {
		return done, l.wrap(err)
	}
	done.Stated = len(l.poor)
	l.thorough = true
	for len(l.poor) > 0 {
		if err := l.restat(ctx); err != nil {
			return done, l.wrap(err)
		}
	}
	for {
		before := len(l.state.files)
		if err := l.compact(ctx); err != nil {
			return done, l.wrap(err)
		}
		if len(l.state.files) >= before {
			break
		}
		done.Merged += before - len(l.state.files)
	}
	done.Vacuumed, done.Cleaned, err = l.vacuum(ctx)
	if err == nil && l.state.version > l.checkpointed {
		l.due = true
		err = l.checkpoint(ctx)
	}
	done.Files = len(l.state.files)
	for _, f := range l.state.files {
		done.Bytes += f.Size
	}
	return done, l.wrap(err)
}

// openExisting opens a table as it is.
func openExisting(ctx context.Context, bucket Bucket, table string, now func() time.Time) (*deltaLog, error) {
	if now == nil {
		now = time.Now
	}
	l := &deltaLog{bucket: bucket, table: table, now: now, claims: map[string]int64{}, apart: map[string]bool{}, conflict: func(string) {}, notice: func(string) {}}
	if err := l.load(ctx); err != nil {
		return nil, l.wrap(err)
	}
	if l.state.version < 0 {
		return nil, l.wrap(fmt.Errorf("no log: %w", fs.ErrNotExist))
	}
	l.ours = l.state.metaData
	return l, l.wrap(l.state.check())
}

// rewrite replaces the files that do not name their columns by ones that do.
// Their pages are taken as they are.
func (l *deltaLog) rewrite(ctx context.Context) (files int, err error) {
	for _, file := range slices.Sorted(maps.Keys(l.state.files)) {
		have := l.state.files[file]
		if have == nil {
			continue // removed while we were at work
		}
		body, err := l.bucket.Read(ctx, l.key(file))
		if errors.Is(err, fs.ErrNotExist) {
			if err := l.replaced(ctx, have); err != nil {
				return files, err
			}
			continue
		}
		if err != nil {
			return files, err
		}
		footer, _, err := readFooter(body)
		if err != nil {
			return files, fmt.Errorf("%s: %w", file, err)
		}
		if named(footer) || !strings.HasPrefix(footer.CreatedBy, createdBy) {
			continue
		}
		replaced, err := l.replace(ctx, have, body)
		if err != nil {
			return files, fmt.Errorf("%s: %w", file, err)
		}
		if replaced {
			files++
		}
	}
	return files, nil
}

// replaced fails when the table still lists a data file that is gone: its rows are lost,
// unless another writer has removed the file meanwhile.
func (l *deltaLog) replaced(ctx context.Context, gone *addFile) error {
	if _, err := l.catchUp(ctx, ""); err != nil {
		return err
	}
	file := filePath(gone.Path)
	if l.state.files[file] == nil {
		return nil
	}
	cure := "put it back"
	if slices.Contains([]string{"predictions", "labels", "dead_letters"}, l.table) { // rows of messages
		cure += ", or restore its rows with archflow maintain --refill"
	}
	return fmt.Errorf("data file %s is gone, but the table still lists it; %s", file, cure)
}

// replace stores a data file under a new name in place of one in the table; false when another writer has removed that.
func (l *deltaLog) replace(ctx context.Context, have *addFile, body []byte) (bool, error) {
	body, err := finishFile(body)
	if err != nil {
		return false, err
	}
	add, err := storeFile(ctx, l, path.Dir(filePath(have.Path)), have.PartitionValues, body)
	if err != nil {
		return false, err
	}
	add.DataChange = false
	add.ModificationTime = have.ModificationTime // its place among the others
	remove := &removeFile{
		Path: have.Path, DeletionTimestamp: l.now().UnixMilli(), ExtendedFileMetadata: true, PartitionValues: have.PartitionValues, Size: have.Size,
	}
	overtaken := false
	err = l.commit(ctx, "REPAIR", func(s *deltaSnapshot) ([]deltaAction, error) {
		if overtaken = s.files[filePath(have.Path)] == nil; overtaken {
			return nil, nil
		}
		return []deltaAction{{Add: add}, {Remove: remove}, {Txn: l.claim(s, claimCompaction, 0)}}, nil
	})
	if overtaken {
		return false, errors.Join(err, l.bucket.Delete(ctx, l.key(filePath(add.Path))))
	}
	return err == nil, err
}
