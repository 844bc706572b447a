package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"archflow/internal/input"
	"archflow/schemas"
)

// TableFiles returns the data files of the Delta table in a folder of the
// bucket as its log has them now, as paths inside the folder; fs.ErrNotExist
// when there is no table.
func TableFiles(ctx context.Context, bucket Bucket, table string) ([]string, error) {
	l, err := readLog(ctx, bucket, table)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(l.state.files)), nil
}

// readLog reads the log of a table; fs.ErrNotExist when there is none.
func readLog(ctx context.Context, bucket Bucket, table string) (*deltaLog, error) {
	l := &deltaLog{bucket: bucket, table: table, now: time.Now}
	if err := l.load(ctx); err != nil {
		return nil, l.wrap(err)
	}
	if l.state.version < 0 {
		return nil, l.wrap(fmt.Errorf("no log: %w", fs.ErrNotExist))
	}
	return l, nil
}

// TableFilesFrom is TableFiles without the files of which the statistics say that
// every value of a column of integers is less than least.
func TableFilesFrom(ctx context.Context, bucket Bucket, table, column string, smallest int64) ([]string, error) {
	l, err := readLog(ctx, bucket, table)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, file := range slices.Sorted(maps.Keys(l.state.files)) {
		var stats struct{ MaxValues map[string]json.RawMessage }
		var largest int64
		known := json.Unmarshal([]byte(l.state.files[file].Stats), &stats) == nil && json.Unmarshal(stats.MaxValues[column], &largest) == nil
		if !known || largest >= smallest {
			files = append(files, file)
		}
	}
	return files, nil
}

// ReadAnswers returns the answers by task of each row of a file of the predictions
// table, of any version.
func ReadAnswers(body []byte) (answers []map[string]*schemas.TaskPrediction, err error) {
	defer input.Damaged(&err)
	rows, err := parquet.Read[struct {
		Predictions mapOf[taskAnswer] `parquet:"predictions,optional"`
	}](bytes.NewReader(body), int64(len(body)))
	for i := range rows {
		tasks := map[string]*schemas.TaskPrediction{}
		for _, e := range rows[i].Predictions.Entries {
			if e.Value.Score == nil {
				continue
			}
			tasks[e.Key] = &schemas.TaskPrediction{
				Score: *e.Value.Score, Value: e.Value.Value, Low: e.Value.Low, High: e.Value.High, Percentile: e.Value.Percentile,
				Top: e.Value.Top, Labels: e.Value.Labels, SD: e.Value.SD, Fails: e.Value.Fails,
			}
		}
		answers = append(answers, tasks)
	}
	return answers, err
}

// TablePositions returns how far a group has written each partition to the Delta
// table in a folder of the bucket: everything before the offset is in the table
// or was not for it. A partition that the group has not written is left out.
func TablePositions(ctx context.Context, bucket Bucket, table, group string, of []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error) {
	l := &deltaLog{bucket: bucket, table: table, now: time.Now}
	if err := l.load(ctx); err != nil {
		return nil, l.wrap(err)
	}
	at := map[schemas.TopicPartition]int64{}
	for _, p := range of {
		if v, ok := l.state.txns[appID(group, p)]; ok {
			at[p] = v.Version
		}
	}
	return at, nil
}
