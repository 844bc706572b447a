package sinks_test

import (
	"context"
	"fmt"
	"os"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// A table of a folder is read back by columns; a row's type names those wanted.
func ExampleEachRow() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "archflow-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	bucket, err := sinks.OpenBucket(ctx, folder)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bucket.Close()
	table, err := sinks.NewPredictionsTable(ctx, bucket, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "archflow"}})
	if err == nil {
		err = table.Write(ctx, sinktest.Batch(schemas.TopicPartition{Topic: "architectures"}, 0, 6))
	}
	if err == nil {
		err = table.Commit(ctx)
	}
	type row struct {
		ID     string `parquet:"candidate_id,optional"`
		Offset int64  `parquet:"offset,optional"`
	}
	found := 0
	if err == nil {
		err = sinks.EachRow(ctx, bucket, "predictions", "space=nb201/", func(r *row) {
			if r.ID == fmt.Sprintf("candidate %d", r.Offset) {
				found++
			}
		})
	}
	fmt.Println(found, err)
	// Output: 5 <nil>
}
