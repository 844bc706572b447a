package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"archflow/internal/input"
	"archflow/schemas"
)

// Rows that a table has lost, by a RESTORE or with files, are inserted below its
// positions, beside live writers, which append above them. Concurrent and repeated
// insertions leave a row once: an insertion looks at every commit since the rows were
// chosen, and leaves out those that it brought. A kill leaves at most a file that no
// commit names.

// contents says which offsets the files of a table hold.
type contents struct {
	looked map[string]bool // files that are in offsets, as paths inside the table
	held   offsetSet
	lost   []*addFile // that the log has and the bucket does not
}

// has says whether an offset is in the set.
func (s offsetSet) has(p schemas.TopicPartition, offset int64) bool {
	block := s[p][offset>>12]
	return block != nil && block[offset>>6&63]&(1<<(offset&63)) != 0
}

// look reads the offsets of the files that a state has and c does not. news says
// that there were any.
func (c *contents) look(ctx context.Context, l *deltaLog, s *deltaSnapshot) (news bool, err error) {
	if c.looked == nil {
		c.looked, c.held = map[string]bool{}, offsetSet{}
	}
	for _, file := range slices.Sorted(maps.Keys(s.files)) {
		if c.looked[file] {
			continue
		}
		body, err := l.bucket.Read(ctx, l.key(file))
		if errors.Is(err, fs.ErrNotExist) {
			c.lost = append(c.lost, s.files[file])
			c.looked[file] = true
			continue
		}
		if err != nil {
			return news, err
		}
		if _, err := doubled(body, c.held); err != nil {
			return news, fmt.Errorf("%s: %w", file, err)
		}
		c.looked[file] = true
		news = true
	}
	return news, nil
}

// Survey reads which offsets the table holds, as it is now. Files that the log has
// and that are gone are taken out of it; lost is how many.
func (t *table[R]) Survey(ctx context.Context) (lost int, err error) {
	for {
		if _, err := t.log.catchUp(ctx, ""); err != nil {
			return lost, t.log.wrap(err)
		}
		t.contents = contents{}
		if _, err := t.contents.look(ctx, t.log, t.log.state); err != nil {
			return lost, t.log.wrap(err)
		}
		if len(t.contents.lost) == 0 {
			return lost, nil
		}
		n, err := t.dropLost(ctx)
		lost += n
		if err != nil {
			return lost, t.log.wrap(err)
		}
	}
}

// dropLost takes files out of the log that the bucket does not have. One that
// another writer has removed meanwhile is none.
func (t *table[R]) dropLost(ctx context.Context) (n int, err error) {
	if _, err := t.log.catchUp(ctx, ""); err != nil {
		return 0, err
	}
	err = t.log.commit(ctx, "REPAIR", func(s *deltaSnapshot) (actions []deltaAction, err error) {
		for _, f := range t.contents.lost {
			if s.files[filePath(f.Path)] == nil {
				continue
			}
			if strings.EqualFold(s.metaData.Configuration["delta.appendOnly"], "true") {
				return nil, fmt.Errorf("%s is gone, and delta.appendOnly does not let it be taken out of the log; set delta.appendOnly to false, or restore the file from a back-up", f.Path)
			}
			actions = append(actions, deltaAction{Remove: &removeFile{
				Path: f.Path, DeletionTimestamp: t.log.now().UnixMilli(), DataChange: true, ExtendedFileMetadata: true, PartitionValues: f.PartitionValues, Size: f.Size,
			}})
		}
		n = len(actions)
		return actions, nil
	})
	return n, err
}

// Lacks says, as of the last Survey or insertion, that the table has no row of an
// offset although its position is beyond.
func (t *table[R]) Lacks(p schemas.TopicPartition, offset int64) bool {
	return offset < t.log.state.txns[t.appID(p)].Version && !t.contents.held.has(p, offset)
}

// insert commits the rows that put adds to the files, which are those that lacks selects,
// beside other writers of the table.
func (t *table[R]) insert(ctx context.Context, put func(lacks func(schemas.TopicPartition, int64) bool) error) (rows int64, err error) {
	defer t.files.discard(ctx)
	return t.insertion(ctx, func(lacks func(schemas.TopicPartition, int64) bool) ([]deltaAction, error) {
		t.files.discard(ctx)
		if err := errors.Join(put(lacks), t.files.flush()); err != nil {
			return nil, err
		}
		if err := t.files.store(ctx); err != nil {
			return nil, err
		}
		return t.files.adds, nil
	}, func() { t.files.adds = nil })
}

// insertion commits the files that build returns, of the rows that lacks says.
func (t *table[R]) insertion(ctx context.Context, build func(lacks func(schemas.TopicPartition, int64) bool) ([]deltaAction, error), done func()) (rows int64, err error) {
	if _, err := t.log.catchUp(ctx, ""); err != nil {
		return 0, t.log.wrap(err)
	}
	taken, made := offsetSet{}, []deltaAction(nil)
	chosen := false
	err = t.log.commit(ctx, "WRITE", func(s *deltaSnapshot) ([]deltaAction, error) {
		news, err := t.contents.look(ctx, t.log, s)
		if err != nil || chosen && !news {
			return made, err
		}
		taken, rows, chosen = offsetSet{}, 0, true
		made, err = build(func(p schemas.TopicPartition, offset int64) bool {
			if !t.Lacks(p, offset) || taken.add(p, offset) {
				return false
			}
			rows++
			return true
		})
		return made, err
	})
	if err != nil {
		return 0, t.log.wrap(err)
	}
	done()
	for _, a := range made {
		t.contents.looked[filePath(a.Add.Path)] = true
	}
	t.contents.held.join(taken)
	return rows, nil
}

// join adds the offsets of another set.
func (s offsetSet) join(more offsetSet) {
	for p, blocks := range more {
		if s[p] == nil {
			s[p] = map[int64]*[64]uint64{}
		}
		for at, block := range blocks {
			if have := s[p][at]; have != nil {
				for i := range have {
					have[i] |= block[i]
				}
				continue
			}
			s[p][at] = block
		}
	}
}

// Reclaim gives the table the rows that it lacks from files which were removed from it
// and are not deleted yet: bit for bit the former rows.
func (t *table[R]) Reclaim(ctx context.Context) (rows int64, err error) {
	removed := slices.SortedFunc(maps.Values(t.log.state.removed), func(a, b *removeFile) int {
		return strings.Compare(a.Path, b.Path)
	})
	for _, f := range removed {
		body, err := t.log.bucket.Read(ctx, t.log.key(filePath(f.Path)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return rows, t.log.wrap(err)
		}
		n, err := t.reclaim(ctx, f, body)
		rows += n
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// reclaim gives the table the rows of a file that it lacks.
func (t *table[R]) reclaim(ctx context.Context, f *removeFile, body []byte) (int64, error) {
	origins, err := originsOf(body)
	if err != nil {
		return 0, t.log.wrap(fmt.Errorf("%s, which was removed: %w", f.Path, err))
	}
	folder := path.Dir(filePath(f.Path))
	values := f.PartitionValues
	if len(values) < len(t.log.state.metaData.PartitionColumns) {
		values = valuesOf(folder)
	}
	var add *addFile
	giveUp := func() {
		if add != nil {
			_ = t.log.bucket.Delete(ctx, t.log.key(filePath(add.Path))) // the next vacuum deletes it otherwise
			add = nil
		}
	}
	rows, err := t.insertion(ctx, func(lacks func(schemas.TopicPartition, int64) bool) ([]deltaAction, error) {
		giveUp()
		var drop []int64
		for i, o := range origins {
			if !lacks(schemas.TopicPartition{Topic: o.Topic, Number: o.Partition}, o.Offset) {
				drop = append(drop, int64(i))
			}
		}
		if len(drop) == len(origins) {
			return nil, nil
		}
		part, err := without(body, drop)
		if err == nil {
			part, err = finishFile(part)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, which was removed: %w", f.Path, err)
		}
		if add, err = storeFile(ctx, t.log, folder, values, part); err != nil {
			return nil, err
		}
		return []deltaAction{{Add: add}}, nil
	}, func() { add = nil })
	giveUp()
	return rows, err
}

// originsOf returns the sources of a file's rows.
func originsOf(body []byte) (origins []rowOrigin, err error) {
	defer input.Damaged(&err)
	return parquet.Read[rowOrigin](bytes.NewReader(body), int64(len(body)))
}

// valuesOf reads the values of a folder's name, which folderName wrote.
func valuesOf(folder string) map[string]*string {
	values := map[string]*string{}
	for part := range strings.SplitSeq(folder, "/") {
		column, value, _ := strings.Cut(part, "=")
		text := filePath(value)
		if values[column] = &text; value == "__HIVE_DEFAULT_PARTITION__" {
			values[column] = nil
		}
	}
	return values
}

// Insert gives the table the rows of a batch of the predict stage that it lacks,
// and releases the batch.
func (t *PredictionsTable) Insert(ctx context.Context, b *schemas.Batch) (rows int64, err error) {
	defer b.Rows.Release()
	return t.insert(ctx, func(lacks func(schemas.TopicPartition, int64) bool) error {
		return t.encode(ctx, b, func(offset int64) bool { return lacks(b.TopicPartition, offset) })
	})
}

// Insert gives the table the labels of a partition that it lacks.
func (t *LabelsTable) Insert(ctx context.Context, p schemas.TopicPartition, labels []LabelRow) (rows int64, err error) {
	return t.insert(ctx, func(lacks func(schemas.TopicPartition, int64) bool) error {
		return t.encode(ctx, p, labels, func(offset int64) bool { return lacks(p, offset) })
	})
}

// Insert gives the table the dead letters that it lacks.
func (t *DeadLettersTable) Insert(ctx context.Context, deadLetters []schemas.DeadLetter) (rows int64, err error) {
	return t.insert(ctx, func(lacks func(schemas.TopicPartition, int64) bool) error {
		return t.encode(ctx, deadLetters, func(d *schemas.DeadLetter) bool { return lacks(d.TopicPartition, d.Offset) })
	})
}

// since takes the offsets from one on.
func since(from int64) func(offset int64) bool {
	return func(offset int64) bool { return offset >= from }
}

// Holds says, as of the last Survey or insertion, that the table has a row of an
// offset.
func (t *table[R]) Holds(p schemas.TopicPartition, offset int64) bool {
	return t.contents.held.has(p, offset)
}
