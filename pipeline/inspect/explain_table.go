package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"archflow/schemas"
	"archflow/sinks"
)

// foundRow is a row of the predictions table.
type foundRow struct {
	at        Place
	file      string // inside the table
	space     string
	model     string
	predicted time.Time
	fill      func(*Story) // fills a story from the row
}

// rowColumns are the columns of a row that a story needs.
type rowColumns struct {
	CandidateID   string    `parquet:"candidate_id,optional"`
	Architecture  string    `parquet:"architecture,optional"`
	Network       string    `parquet:"network,optional"`
	Ops           []string  `parquet:"ops,optional,list"`
	Edges         []int32   `parquet:"edges,optional,list"`
	Surrogate     []float32 `parquet:"surrogate,optional,list"`
	Model         string    `parquet:"model,optional"`
	Topic         string    `parquet:"topic,optional"`
	Partition     int32     `parquet:"partition,optional"`
	Offset        int64     `parquet:"offset,optional"`
	CandidateTime int64     `parquet:"candidate_time,optional,timestamp(microsecond)"`
	PredictedTime int64     `parquet:"predicted_time,optional,timestamp(microsecond)"`
}

// indexed finds the candidate in the predictions table, and its refusals in that of dead
// letters; covered is the offset of each partition up to which both tables have
// everything. The first may have more than the other: such rows are found too.
func (s *storyteller) indexed(ctx context.Context) (rows []foundRow, covered map[schemas.TopicPartition]int64, err error) {
	var partitions []schemas.TopicPartition
	for number := range s.Partitions[s.Topics.Architectures] {
		partitions = append(partitions, schemas.TopicPartition{Topic: s.Topics.Architectures, Number: int32(number)})
	}
	covered, err = sinks.TablePositions(ctx, s.bucket, "predictions", s.config.Group, partitions)
	if err != nil {
		return nil, nil, err
	}
	deadLetters, err := sinks.TablePositions(ctx, s.bucket, "dead_letters", s.config.Group, partitions)
	if err != nil {
		return nil, nil, err
	}
	for p, at := range covered {
		covered[p] = min(at, deadLetters[p])
	}
	columns := []string{"candidate_id"}
	if s.byHash {
		columns = append(columns, "architecture", "network")
	}
	folder := ""
	if s.space != "" {
		folder = "space=" + s.space + "/"
	}
	err = sinks.EachFile(ctx, s.bucket, "predictions", folder, func(name string, file *parquet.File) error {
		at, err := rowsWith(file, columns, []byte(s.story.Asked))
		if err != nil || len(at) == 0 {
			return err
		}
		reader := parquet.NewGenericReader[rowColumns](file)
		defer reader.Close()
		for _, n := range at {
			row := make([]rowColumns, 1)
			if err := reader.SeekToRow(n); err != nil {
				return err
			}
			if _, err := reader.Read(row); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			r := row[0]
			if r.Topic != s.Topics.Architectures {
				continue
			}
			rows = append(rows, foundRow{
				at:   Place{r.Topic, r.Partition, r.Offset, time.UnixMicro(r.CandidateTime).UTC()},
				file: name, space: spaceOf(name), model: r.Model, predicted: time.UnixMicro(r.PredictedTime).UTC(),
				fill: func(t *Story) { r.fill(t, name) },
			})
		}
		return nil
	})
	if err != nil || s.byHash {
		return rows, covered, err
	}
	return rows, covered, s.refusals(ctx, covered)
}

// fill fills a story from a row of the table.
func (r *rowColumns) fill(t *Story, file string) {
	t.Gone = true
	t.Space, t.ID, t.Architecture, t.Network = spaceOf(file), r.CandidateID, r.Architecture, r.Network
	t.Nodes, t.Edges, t.Surrogate = len(r.Ops), len(r.Edges)/2, r.Surrogate
}

// spaceOf returns the space of a file's rows.
func spaceOf(file string) string {
	space, _, _ := strings.Cut(strings.TrimPrefix(file, "space="), "/")
	return space
}

// rowsWith returns the rows of a file in which one of the columns, which hold one
// value a row, is value.
func rowsWith(file *parquet.File, columns []string, value []byte) (list []int64, err error) {
	found := map[int64]bool{}
	values := make([]parquet.Value, 1024)
	for _, name := range columns {
		leaf, ok := file.Schema().Lookup(name)
		if !ok {
			continue
		}
		row := int64(0)
		for _, group := range file.RowGroups() {
			pages := group.ColumnChunks()[leaf.ColumnIndex].Pages()
			for {
				page, err := pages.ReadPage()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return nil, errors.Join(err, pages.Close())
				}
				for reader := page.Values(); ; {
					n, err := reader.ReadValues(values)
					for i := range n {
						if !values[i].IsNull() && bytes.Equal(values[i].ByteArray(), value) && !found[row+int64(i)] {
							found[row+int64(i)] = true
							list = append(list, row+int64(i))
						}
					}
					row += int64(n)
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						return nil, errors.Join(err, pages.Close())
					}
				}
				parquet.Release(page)
			}
			if err := pages.Close(); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// refusals takes the candidate's rows of the table of dead letters.
func (s *storyteller) refusals(ctx context.Context, covered map[schemas.TopicPartition]int64) error {
	type letter struct {
		Key         []byte `parquet:"key,optional"`
		Value       []byte `parquet:"value,optional"`
		Topic       string `parquet:"topic,optional"`
		Partition   int32  `parquet:"partition,optional"`
		Offset      int64  `parquet:"offset,optional"`
		MessageTime int64  `parquet:"message_time,optional,timestamp(microsecond)"`
	}
	asked := []byte(s.story.Asked)
	return sinks.EachRow(ctx, s.bucket, "dead_letters", "", func(r *letter) {
		p := schemas.TopicPartition{Topic: r.Topic, Number: r.Partition}
		if r.Topic != s.Topics.Architectures || r.Offset >= covered[p] || !bytes.Equal(r.Key, asked) && !bytes.Contains(r.Value, asked) {
			return
		}
		var row schemas.Candidates
		if refused := s.decoder.Candidate(&row, r.Value); refused != nil && s.means(r.Key, r.Value) {
			s.take(Place{r.Topic, r.Partition, r.Offset, time.UnixMicro(r.MessageTime).UTC()}, &row, refused, r.Value)
		}
	})
}

// commitOf returns the version of a table that brought a file, which was not
// before a time; -1 when the log no longer has it.
func commitOf(ctx context.Context, b sinks.Bucket, table, file string, after time.Time) (int64, error) {
	for object, err := range b.List(ctx, table+"/_delta_log/", "") {
		if err != nil {
			return -1, err
		}
		name, isCommit := strings.CutSuffix(strings.TrimPrefix(object.Key, table+"/_delta_log/"), ".json")
		var version int64
		if _, err := fmt.Sscanf(name, "%d", &version); err != nil || !isCommit || object.Modified.Before(after.Add(-2*time.Second)) {
			continue
		}
		text, err := b.Read(ctx, object.Key)
		if errors.Is(err, fs.ErrNotExist) {
			continue // tidied meanwhile
		}
		if err != nil {
			return -1, err
		}
		for line := range bytes.Lines(text) {
			var action struct {
				Add *struct {
					Path string `json:"path"`
				} `json:"add"`
			}
			if json.Unmarshal(line, &action) == nil && action.Add != nil && action.Add.Path == file {
				return version, nil
			}
		}
	}
	return -1, nil
}
