package sinks

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"archflow/internal/input"
	"archflow/schemas"
)

// ScoreRow is the answer of a model to a network, for one task. A nil pointer is a
// null.
type ScoreRow struct {
	Network schemas.ID
	Task    string
	Score   float64
	Value   *float64
	Low     *float64 // with High, covers 90 %
	High    *float64
	SD      *float64
}

// ScoresTable holds the scores that later models gave to networks: for each network and
// model once, a row for each task.
type ScoresTable struct {
	*table[scoreRow]
	space, model string
	looked       map[string]bool         // files that are in held
	held         map[schemas.ID]struct{} // networks that the model has scored
}

type scoreRow struct {
	Network *string  `parquet:"network,optional,zstd"`
	Task    *string  `parquet:"task,optional,dict"`
	Model   *string  `parquet:"model,optional,dict"`
	Score   *float64 `parquet:"score,optional"`
	Value   *float64 `parquet:"value,optional"`
	Low     *float64 `parquet:"low,optional"`
	High    *float64 `parquet:"high,optional"`
	SD      *float64 `parquet:"sd,optional"`
	Time    *int64   `parquet:"time,optional,timestamp(microsecond)"`
}

var scoreColumns = []column{
	col("network", "string"), col("space", "string"), col("task", "string"), col("model", "string"),
	col("score", "double"), col("value", "double"), col("low", "double"), col("high", "double"), col("sd", "double"),
	col("time", "timestamp"),
}

// NewScoresTable opens the table scores of a bucket, creating it when there is
// none. It is partitioned by space.
func NewScoresTable(ctx context.Context, bucket Bucket, config TableConfig) (*ScoresTable, error) {
	t, err := openTable[scoreRow](ctx, bucket, "scores", &config, scoreColumns, []string{"space"})
	if err != nil {
		return nil, err
	}
	return &ScoresTable{table: t}, nil
}

// Of begins with a model of a space: it looks up the scored networks.
func (t *ScoresTable) Of(ctx context.Context, space, model string) error {
	t.space, t.model, t.looked, t.held = space, model, map[string]bool{}, map[schemas.ID]struct{}{}
	if _, err := t.log.catchUp(ctx, ""); err != nil {
		return t.log.wrap(err)
	}
	_, err := t.look(ctx, t.log.state)
	return t.log.wrap(err)
}

// Holds says that the model has scored a network.
func (t *ScoresTable) Holds(network schemas.ID) bool {
	_, ok := t.held[network]
	return ok
}

// look reads the networks of the files that a state has and that were not read. news says
// that some have any of the model.
func (t *ScoresTable) look(ctx context.Context, s *deltaSnapshot) (news bool, err error) {
	folder := Folder("space", t.space) + "/"
	before := len(t.held)
	for _, file := range slices.Sorted(maps.Keys(s.files)) {
		if t.looked[file] || !strings.HasPrefix(file, folder) {
			continue
		}
		t.looked[file] = true
		if !mayHold(s.files[file], "model", t.model) {
			continue
		}
		body, err := t.log.bucket.Read(ctx, t.log.key(file))
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted meanwhile: the next state names the new file
		}
		if err == nil {
			err = t.lookInto(body)
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", file, err)
		}
	}
	return len(t.held) > before, nil
}

func (t *ScoresTable) lookInto(body []byte) (err error) {
	defer input.Damaged(&err)
	rows, err := parquet.Read[struct {
		Network string `parquet:"network,optional"`
		Model   string `parquet:"model,optional"`
	}](bytes.NewReader(body), int64(len(body)))
	for i := range rows {
		if rows[i].Model != t.model {
			continue
		}
		if id, err := schemas.ParseID(rows[i].Network); err == nil {
			t.held[id] = struct{}{}
		}
	}
	return err
}

// mayHold says whether the statistics of a file let a column of texts have a value.
func mayHold(f *addFile, column, value string) bool {
	var stats struct{ MinValues, MaxValues map[string]any }
	if json.Unmarshal([]byte(f.Stats), &stats) != nil {
		return true
	}
	smallest, ok1 := stats.MinValues[column].(string)
	largest, ok2 := stats.MaxValues[column].(string)
	return !ok1 || !ok2 || smallest <= value && value <= largest
}

// Insert adds the rows of networks that the model of Of has not scored, beside other
// writers, and returns how many networks these were.
func (t *ScoresTable) Insert(ctx context.Context, rows []ScoreRow, at time.Time) (networks int, err error) {
	if t.failed != nil {
		return 0, t.failed
	}
	defer t.files.discard(ctx)
	if _, err := t.log.catchUp(ctx, ""); err != nil {
		return 0, t.log.wrap(err)
	}
	fresh := map[schemas.ID]struct{}{}
	chosen := false
	err = t.log.commit(ctx, "WRITE", func(s *deltaSnapshot) ([]deltaAction, error) {
		news, err := t.look(ctx, s)
		if err != nil {
			return nil, err
		}
		if !chosen || news {
			chosen = true
			clear(fresh)
			t.files.discard(ctx)
			if err := t.encode(ctx, rows, fresh, at.UnixMicro()); err != nil {
				return nil, err
			}
		}
		if len(t.files.adds) == 0 {
			return nil, nil
		}
		return append(slices.Clone(t.files.adds), t.claims(s, t.files.adds)...), nil
	})
	if err != nil {
		return 0, t.end(t.log.wrap(err))
	}
	for _, a := range t.files.adds {
		t.looked[filePath(a.Add.Path)] = true
	}
	t.files.adds = nil
	maps.Copy(t.held, fresh)
	t.upkeep(ctx)
	return len(fresh), nil
}

// encode stores files of the rows whose networks are not held, and notes these.
func (t *ScoresTable) encode(ctx context.Context, rows []ScoreRow, fresh map[schemas.ID]struct{}, at int64) error {
	values := []partitionValue{{"space", t.space}}
	digits := make([]byte, 32*len(rows))
	for i := range rows {
		r := &rows[i]
		if t.Holds(r.Network) {
			continue
		}
		fresh[r.Network] = struct{}{}
		file, err := t.files.file(ctx, folderName(values), values)
		if err != nil {
			return err
		}
		hex.Encode(digits[32*i:], r.Network[:])
		err = file.put(scoreRow{
			Network: text(digits[32*i : 32*i+32]), Task: &r.Task, Model: &t.model, Score: number64(&r.Score),
			Value: number64(r.Value), Low: number64(r.Low), High: number64(r.High), SD: number64(r.SD), Time: &at,
		})
		if err != nil {
			return err
		}
	}
	if err := t.files.flush(); err != nil {
		return err
	}
	return t.files.store(ctx)
}
