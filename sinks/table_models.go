package sinks

import (
	"context"
	"maps"
	"slices"
	"time"

	"archflow/schemas"
)

// ModelRow is a model that was promoted. Fields that an earlier version did not write are
// nil.
type ModelRow struct {
	Space    string
	Model    string           // such as "nb201/17"
	Version  int64            // the 17 of it
	Registry int64            // version of the model registry in which it came
	Learnt   map[string]int64 // TOPIC/PARTITION of labels -> next offset: labels below are in it, or left out for a reason that a decision gives
	Tasks    map[string]ModelTask
	Student  *bool  // only the student is new, which answers for networks that are not remembered; labels and learnt are those of the model before
	Settings string // of learning, "" where they are not known
	Time     time.Time
}

// ModelTask is the decision about a task of a model.
type ModelTask struct {
	Labels   *int64 // how many the model was fitted to
	Decision string // of the trainer, "" where it is not known
	Why      string
	Tau      *float64 // Kendall's, on out-of-fold scores
}

// ModelsTable holds every model that was promoted, derived from the versions of the
// model registry.
type ModelsTable struct{ *table[modelRow] }

type modelRow struct {
	Model    *string          `parquet:"model,optional"`
	Version  *int64           `parquet:"version,optional"`
	Registry *int64           `parquet:"registry,optional"`
	Tasks    mapOf[modelTask] `parquet:"tasks,optional"`
	Learnt   mapOf[int64]     `parquet:"learnt,optional"`
	Student  *bool            `parquet:"student,optional"`
	Settings *string          `parquet:"configuration,optional,dict"`
	Time     *int64           `parquet:"time,optional,timestamp(microsecond)"`
}

type modelTask struct {
	Labels   *int64   `parquet:"labels,optional"`
	Decision *string  `parquet:"decision,optional"`
	Why      *string  `parquet:"why,optional"`
	Tau      *float64 `parquet:"tau,optional"`
}

var modelColumns = []column{
	col("model", "string"), col("space", "string"), col("version", "long"), col("registry", "long"),
	col("tasks", mapColumn(structColumn(col("labels", "long"), col("decision", "string"), col("why", "string"), col("tau", "double")))),
	col("learnt", mapColumn("long")), col("student", "boolean"), col("configuration", "string"), col("time", "timestamp"),
}

// Registry is the partition of the model registry: its offsets are versions.
var Registry = schemas.TopicPartition{Topic: "registry"}

// NewModelsTable opens the table models of a bucket, creating it when there is
// none. It is partitioned by space.
func NewModelsTable(ctx context.Context, bucket Bucket, config TableConfig) (*ModelsTable, error) {
	t, err := openTable[modelRow](ctx, bucket, "models", &config, modelColumns, []string{"space"})
	if err != nil {
		return nil, err
	}
	return &ModelsTable{t}, nil
}

// Append takes over the models of the versions first to next-1 of the registry.
func (t *ModelsTable) Append(ctx context.Context, first, next int64, rows []ModelRow) error {
	return t.take(ctx, tableSpan{
		TopicPartition: Registry, first: first, next: next, rows: len(rows), bytes: 1000 * len(rows),
		encode:  func(ctx context.Context, from int64) error { return t.encode(ctx, rows, from) },
		release: func() {},
	})
}

// Commit makes the appended rows durable and then maintains the table.
func (t *ModelsTable) Commit(ctx context.Context) error { return t.commitAndMaintain(ctx) }

func (t *ModelsTable) encode(ctx context.Context, rows []ModelRow, from int64) error {
	for i := range rows {
		r := &rows[i]
		if r.Registry < from {
			continue
		}
		values := []partitionValue{{"space", r.Space}}
		file, err := t.files.file(ctx, folderName(values), values)
		if err != nil {
			return err
		}
		at, _ := publishedAt(r.Time.UnixMilli())
		row := modelRow{Model: &r.Model, Version: &r.Version, Registry: &r.Registry, Student: r.Student, Settings: text([]byte(r.Settings)), Time: at}
		for _, place := range slices.Sorted(maps.Keys(r.Learnt)) {
			row.Learnt.Entries = append(row.Learnt.Entries, entry[int64]{place, r.Learnt[place]})
		}
		for _, name := range slices.Sorted(maps.Keys(r.Tasks)) {
			task := r.Tasks[name]
			row.Tasks.Entries = append(row.Tasks.Entries, entry[modelTask]{name, modelTask{task.Labels, text([]byte(task.Decision)), text([]byte(task.Why)), number64(task.Tau)}})
		}
		if err := file.put(row); err != nil {
			return err
		}
	}
	return nil
}
