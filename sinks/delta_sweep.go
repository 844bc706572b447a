package sinks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// sweepEvery is for how long the table is left alone between two sweeps.
const sweepEvery = 6 * time.Hour

// sweep deletes what nobody needs any more: data files that are not in the
// table and older than the retention, be it that they were removed or that
// their writer died before its commit; and commits and checkpoints before the
// last checkpoint of that age.
func (l *deltaLog) sweep(ctx context.Context) error {
	before := l.now().Add(-retention)
	var failed error
	for o, err := range l.bucket.List(ctx, l.table+"/", "") {
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		file := strings.TrimPrefix(o.Key, l.table+"/")
		if o.Modified.After(before) || strings.HasPrefix(file, logFolder) || !strings.HasSuffix(file, ".parquet") || l.needed(file, before) {
			continue
		}
		failed = errors.Join(failed, l.bucket.Delete(ctx, o.Key))
	}
	return errors.Join(failed, l.sweepLog(ctx, before))
}

// needed says whether a file belongs to the table or was removed so recently
// that somebody may still read it.
func (l *deltaLog) needed(file string, before time.Time) bool {
	if l.state.files[file] != nil {
		return true
	}
	removed := l.state.removed[file]
	return removed != nil && removed.DeletionTimestamp >= before.UnixMilli()
}

// sweepLog deletes from the oldest on, so that the log has no gap at any time.
// It keeps a checkpoint of at least the retention's age, from which a reader of
// an old version may have begun, and everything after it.
func (l *deltaLog) sweepLog(ctx context.Context, before time.Time) error {
	var keep, version int64
	var old []Object
	for o, err := range l.bucket.List(ctx, l.key(logFolder), "") {
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		m := logName.FindStringSubmatch(o.Key)
		if m == nil || o.Modified.After(before) {
			continue
		}
		old = append(old, o)
		if m[2] == "checkpoint.parquet" {
			if _, err := fmt.Sscanf(m[1], "%d", &version); err != nil {
				return fmt.Errorf("sweep: %s: %w", o.Key, err)
			}
			keep = version
		}
	}
	for _, o := range old {
		m := logName.FindStringSubmatch(o.Key)
		if _, err := fmt.Sscanf(m[1], "%d", &version); err != nil {
			return fmt.Errorf("sweep: %s: %w", o.Key, err)
		}
		if version >= keep {
			break
		}
		if err := l.bucket.Delete(ctx, o.Key); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}
