package sinks

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"
)

// TableFiles returns the data files of the Delta table in a folder of the
// bucket as its log has them now, as paths inside the folder; fs.ErrNotExist
// when there is no table.
func TableFiles(ctx context.Context, bucket Bucket, table string) ([]string, error) {
	l := &deltaLog{bucket: bucket, table: table, now: time.Now}
	if err := l.load(ctx); err != nil {
		return nil, l.wrap(err)
	}
	if l.state.version < 0 {
		return nil, l.wrap(fmt.Errorf("no log: %w", fs.ErrNotExist))
	}
	return slices.Sorted(maps.Keys(l.state.files)), nil
}
