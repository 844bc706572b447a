package sinks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// vacuumEvery is the interval between two vacuums of a table.
const vacuumEvery = 6 * time.Hour

// vacuum deletes unneeded files: data files that were removed from the table longer ago
// than its properties say, those whose writer died before its commit; and commits and
// checkpoints before the last checkpoint of the age that the properties say.
func (l *deltaLog) vacuum(ctx context.Context) (files, commits int, err error) {
	if _, err := l.catchUp(ctx, ""); err != nil {
		return 0, 0, err
	}
	var failed error
	for o, err := range l.bucket.List(ctx, l.table+"/", "") {
		if err != nil {
			return files, 0, fmt.Errorf("vacuum: %w", err)
		}
		file := strings.TrimPrefix(o.Key, l.table+"/")
		if strings.HasPrefix(file, logFolder) || !strings.HasSuffix(file, ".parquet") || l.needed(file, o.Modified) {
			continue
		}
		if err := l.bucket.Delete(ctx, o.Key); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		files++
	}
	if l.state.metaData.Configuration[logCleanup] != "false" {
		commits, err = l.cleanLog(ctx, l.now().Add(-l.state.metaData.duration(logRetention, retention)))
	}
	return files, commits, errors.Join(failed, err)
}

// needed says whether a file belongs to the table, was removed so recently that
// somebody may still read it, or is so new that its commit may be under way.
func (l *deltaLog) needed(file string, modified time.Time) bool {
	if l.state.files[file] != nil {
		return true
	}
	keep := l.state.metaData.duration(fileRetention, retention)
	if removed := l.state.removed[file]; removed != nil {
		return removed.DeletionTimestamp >= l.now().Add(-keep).UnixMilli()
	}
	return modified.After(l.now().Add(-max(keep, retention) - l.state.youth()))
}

// cleanLog deletes from the oldest on, so that the log has no gap at any time. It keeps a
// checkpoint of at least the retention's age, from which a reader of an old version may
// have begun, and everything after it.
func (l *deltaLog) cleanLog(ctx context.Context, before time.Time) (deleted int, err error) {
	var keep, version int64
	var old []Object
	for o, err := range l.bucket.List(ctx, l.key(logFolder), "") {
		if err != nil {
			return deleted, fmt.Errorf("clean-up of the log: %w", err)
		}
		m := logName.FindStringSubmatch(o.Key)
		if m == nil || o.Modified.After(before) {
			continue
		}
		old = append(old, o)
		if m[2] == "checkpoint.parquet" {
			if _, err := fmt.Sscanf(m[1], "%d", &version); err != nil {
				return deleted, fmt.Errorf("clean-up of the log: %s: %w", o.Key, err)
			}
			keep = version
		}
	}
	for _, o := range old {
		m := logName.FindStringSubmatch(o.Key)
		if _, err := fmt.Sscanf(m[1], "%d", &version); err != nil {
			return deleted, fmt.Errorf("clean-up of the log: %s: %w", o.Key, err)
		}
		if version >= keep {
			break
		}
		if err := l.bucket.Delete(ctx, o.Key); err != nil {
			return deleted, fmt.Errorf("clean-up of the log: %w", err)
		}
		deleted++
	}
	return deleted, nil
}
