package sinks

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"archflow/schemas"
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

// TablePositions returns how far a group has written each partition to the Delta
// table in a folder of the bucket: everything before the offset is in the table
// or was not for it. A partition that the group has not written is left out.
func TablePositions(ctx context.Context, bucket Bucket, table, group string, of []schemas.Partition) (map[schemas.Partition]int64, error) {
	l := &deltaLog{bucket: bucket, table: table, now: time.Now}
	if err := l.load(ctx); err != nil {
		return nil, l.wrap(err)
	}
	at := map[schemas.Partition]int64{}
	for _, p := range of {
		if v, ok := l.state.txns[appID(group, p)]; ok {
			at[p] = v.Version
		}
	}
	return at, nil
}
