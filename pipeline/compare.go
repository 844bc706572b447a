package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"

	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/sinks"
)

// comparedAnswers is how many of the newest answers of the topic are compared with
// the table.
const comparedAnswers = 200_000

// Comparison counts how the newest answers of the predictions topic and the rows of
// the table differ.
type Comparison struct {
	Compared int  // answers that the table's positions cover
	All      bool // the topic has no older ones
	Compact  bool // the topic forgets answers whose key comes again

	Missing   int // answers without a row
	Differing int // rows with other values
	Twice     int // answers with several rows
	Unknown   int // rows without an answer, in the range that is compared
}

// comparison is one in the making.
type comparison struct {
	*Connected
	tables  sinks.Bucket
	covered map[schemas.TopicPartition]int64    // positions of the table
	from    map[schemas.TopicPartition]int64    // where the answers that are compared begin
	answers map[schemas.TopicPartition]answered // by offset
	Comparison
}

// answered holds the published answers of a partition by offset: hashes of their
// contents, and how many rows of the table have them.
type answered map[int64]*publishedAnswer

type publishedAnswer struct {
	hashes []uint64 // several where an answer was repeated
	rows   int
}

// Compare compares the newest answers of the topic with the rows of the table of a
// group. It is nil where there is no table or no topic.
func Compare(ctx context.Context, d *Connected, tables sinks.Bucket, group string) (*Comparison, error) {
	if d.Partitions[d.Topics.Predictions] == 0 {
		return nil, nil
	}
	if _, err := sinks.TableFiles(ctx, tables, "predictions"); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	c := &comparison{Connected: d, tables: tables, from: map[schemas.TopicPartition]int64{}, answers: map[schemas.TopicPartition]answered{}}
	var sources []schemas.TopicPartition
	for number := range d.Partitions[d.Topics.Architectures] {
		sources = append(sources, schemas.TopicPartition{Topic: d.Topics.Architectures, Number: int32(number)})
	}
	var err error
	if c.covered, err = sinks.TablePositions(ctx, tables, "predictions", group, sources); err != nil {
		return nil, err
	}
	if err := c.topic(ctx); err != nil {
		return nil, err
	}
	return &c.Comparison, c.table(ctx)
}

// topic reads the newest answers.
func (c *comparison) topic(ctx context.Context) error {
	begin := map[schemas.TopicPartition]int64{}
	c.All = true
	output, err := kafka.OpenOutput(ctx, c.Client, c.Topics.Predictions)
	if err != nil {
		return err
	}
	c.Compact = output.Compacted
	share := int64(comparedAnswers / c.Partitions[c.Topics.Predictions])
	for number := range c.Partitions[c.Topics.Predictions] {
		p := schemas.TopicPartition{Topic: c.Topics.Predictions, Number: int32(number)}
		start, end, err := kafka.Ends(ctx, c.Client, p)
		if err != nil {
			return err
		}
		begin[p] = max(start, end-share)
		c.All = c.All && begin[p] == start
	}
	return c.Follow(ctx, c.Topics.Predictions, From{Start: true, Offsets: begin}, true, func(_ schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			prediction, err := schemas.ParsePrediction(m.Value.At(i))
			p := schemas.TopicPartition{Topic: prediction.Source.Topic, Number: prediction.Source.Partition}
			offset := prediction.Source.Offset
			if err != nil || p.Topic != c.Topics.Architectures || offset >= c.covered[p] {
				continue
			}
			of := c.answers[p]
			if of == nil {
				of = answered{}
				c.answers[p], c.from[p] = of, offset
			}
			c.from[p] = min(c.from[p], offset)
			if of[offset] == nil {
				of[offset] = &publishedAnswer{}
				c.Compared++
			}
			model := ""
			if prediction.Model != nil {
				model = *prediction.Model
			}
			of[offset].hashes = append(of[offset].hashes, hashOf(plainAnswerID(prediction.ID), prediction.Network, model, prediction.Tasks))
		}
		return nil
	})
}

// plainAnswerID is the id of a candidate as the table has it.
func plainAnswerID(id []byte) string {
	if string(id) == "null" {
		return ""
	}
	return schemas.PlainID(id)
}

// comparedRow lists the columns of a table row that are compared with an answer.
type comparedRow struct {
	CandidateID string `parquet:"candidate_id,optional"`
	Network     string `parquet:"network,optional"`
	Model       string `parquet:"model,optional"`
	Topic       string `parquet:"topic,optional"`
	Partition   int32  `parquet:"partition,optional"`
	Offset      int64  `parquet:"offset,optional"`
}

// table reads the rows that the answers are about, in the files that can have them.
func (c *comparison) table(ctx context.Context) error {
	first := int64(math.MaxInt64)
	for _, from := range c.from {
		first = min(first, from)
	}
	files, err := sinks.TableFilesFrom(ctx, c.tables, "predictions", "offset", first)
	if err != nil {
		return err
	}
	for _, name := range files {
		data, err := c.tables.Read(ctx, "predictions/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted meanwhile, or lost: then its rows are missing
		}
		if err == nil {
			err = sinks.ReadParquet(data, func(file *parquet.File) error { return c.file(file, data) })
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, of := range c.answers {
		for _, a := range of {
			switch {
			case a.rows == 0:
				c.Missing++
			case a.rows > 1:
				c.Twice++
			}
		}
	}
	return nil
}

func (c *comparison) file(file *parquet.File, data []byte) error {
	answers, err := sinks.ReadAnswers(data)
	if err != nil {
		return err
	}
	reader := parquet.NewGenericReader[comparedRow](file)
	defer reader.Close()
	rows := make([]comparedRow, file.NumRows())
	n, err := reader.Read(rows)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for i := range rows[:n] {
		r := &rows[i]
		p := schemas.TopicPartition{Topic: r.Topic, Number: r.Partition}
		from, known := c.from[p]
		if !known || r.Offset < from || r.Offset >= c.covered[p] {
			continue
		}
		a := c.answers[p][r.Offset]
		if a == nil {
			c.Unknown++
			continue
		}
		if a.rows++; !slices.Contains(a.hashes, hashOf(r.CandidateID, r.Network, r.Model, answers[i])) {
			c.Differing++
		}
	}
	return nil
}

// hashOf returns a hash of an answer's contents.
func hashOf(id, network, model string, tasks map[string]*schemas.TaskPrediction) uint64 {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%q %s %q", id, network, model)
	number := func(v *float64) {
		if v == nil {
			text.WriteString(" -")
			return
		}
		fmt.Fprintf(&text, " %x", math.Float64bits(*v))
	}
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		t := tasks[name]
		if t == nil {
			continue
		}
		fmt.Fprintf(&text, " %q", name)
		for _, v := range []*float64{&t.Score, t.Value, t.Low, t.High, t.Percentile, t.Top, t.SD, t.Fails} {
			number(v)
		}
		if t.Labels != nil {
			fmt.Fprintf(&text, " %d", *t.Labels)
		}
	}
	h := fnv.New64a()
	_, _ = h.Write(text.Bytes())
	return h.Sum64()
}
