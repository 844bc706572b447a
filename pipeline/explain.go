package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// Story is all that topics and tables know of one candidate.
type Story struct {
	Asked  string  `json:"asked"`
	Places []Place `json:"places"` // where it stands in architectures, the latest of them last
	Times  int     `json:"times"`  // how often it stands there

	// Of the latest, when it could be read.
	Space        string    `json:"space,omitempty"`
	ID           string    `json:"id,omitempty"`
	Architecture string    `json:"architecture,omitempty"`
	Network      string    `json:"network,omitempty"`
	Nodes        int       `json:"nodes,omitempty"`
	Edges        int       `json:"edges,omitempty"`
	LiveNodes    int       `json:"live_nodes,omitempty"` // on a path from an input to an output
	Surrogate    []float32 `json:"surrogate,omitempty"`

	// Of the latest, when it could not.
	Class  string `json:"class,omitempty"`
	Reason string `json:"reason,omitempty"`

	Answer *StoryAnswer `json:"answer,omitempty"` // nil: no answer to the latest
	Row    *StoryRow    `json:"row,omitempty"`    // nil: the table does not have the latest
	Labels []StoryLabel `json:"labels"`           // in the order in which they came
}

// Place is a position in a topic.
type Place struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time"`
}

// StoryAnswer is a message of the predictions topic.
type StoryAnswer struct {
	Place
	schemas.Prediction
}

// StoryRow is where the predictions table has the candidate.
type StoryRow struct {
	File   string `json:"file"`
	Commit int64  `json:"commit"` // version of the table that brought the file, -1 when its log no longer tells
	Model  string `json:"model,omitempty"`
}

// StoryLabel is a label of the candidate, with what was predicted for it before
// the label was used.
type StoryLabel struct {
	Place
	Task      string       `json:"task"`
	Value     *float64     `json:"value"` // nil: withdrawn
	Predicted *StoryHonest `json:"predicted,omitempty"`
}

// StoryHonest is a prediction that had not seen the label.
type StoryHonest struct {
	Model string   `json:"model"`
	Value *float64 `json:"value"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
}

// maxPlaces bounds the positions that a story lists.
const maxPlaces = 20

// Explain finds a candidate by its id, its key, or the hash of its architecture
// or network. It reads topics and tables from their beginning and changes
// nothing.
func Explain(ctx context.Context, c *Config, log *slog.Logger, id string) (*Story, error) {
	d, err := Attach(ctx, c, log)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	s := &storyteller{Connected: d, config: c, story: Story{Asked: id}, decoder: schemas.NewDecoder(c.Limits())}
	if s.hash, err = schemas.ParseID(id); err == nil {
		s.byHash = true
	}
	if err := s.candidate(ctx); err != nil || s.story.Times == 0 {
		return &s.story, err
	}
	if s.story.Class == "" {
		if err := s.surrogate(ctx); err != nil {
			return nil, err
		}
		if err := s.answer(ctx); err != nil {
			return nil, err
		}
		if err := s.labels(ctx); err != nil {
			return nil, err
		}
	}
	return &s.story, s.tables(ctx)
}

// storyteller collects a story.
type storyteller struct {
	*Connected
	config  *Config
	story   Story
	decoder *schemas.Decoder
	hash    schemas.ID
	byHash  bool
	value   []byte // of the latest candidate
	latest  Place
}

// candidate scans architectures.
func (s *storyteller) candidate(ctx context.Context) error {
	return s.Follow(ctx, s.Topics.Architectures, From{Start: true}, true, func(p schemas.Partition, m *schemas.Messages) error {
		for i := range m.Len() {
			value := m.Value.At(i)
			named := string(m.Key.At(i)) == s.story.Asked
			if !named && !s.byHash && !bytes.Contains(value, []byte(s.story.Asked)) {
				continue
			}
			var row schemas.Candidates
			refused := s.decoder.Candidate(&row, value)
			if refused == nil && !named && plainID(row.ID.At(0)) != s.story.Asked && (!s.byHash || row.Architecture[0] != s.hash && row.Network[0] != s.hash) {
				continue
			}
			if refused != nil && s.byHash {
				continue
			}
			s.take(place(p, m, i), &row, refused, value)
		}
		return nil
	})
}

func place(p schemas.Partition, m *schemas.Messages, i int) Place {
	return Place{p.Topic, p.Number, m.Offset[i], time.UnixMilli(m.Time[i]).UTC()}
}

// take notes a place, and the candidate when it is the latest so far.
func (s *storyteller) take(at Place, row *schemas.Candidates, refused *schemas.Rejection, value []byte) {
	t := &s.story
	t.Times++
	t.Places = append(t.Places, at)
	slices.SortStableFunc(t.Places, func(a, b Place) int { return a.Time.Compare(b.Time) })
	t.Places = t.Places[max(0, len(t.Places)-maxPlaces):]
	if t.Places[len(t.Places)-1] != at {
		return
	}
	s.latest, s.value = at, bytes.Clone(value)
	if refused != nil {
		t.Class, t.Reason = refused.Class, refused.Reason
		return
	}
	t.Class, t.Reason = "", ""
	t.Space, t.ID = schemas.Name(row.Space[0]), plainID(row.ID.At(0))
	t.Architecture, t.Network = row.Architecture[0].String(), row.Network[0].String()
	ops, edges := row.Graphs.Graph(0)
	live, _ := row.Networks.Graph(0)
	t.Nodes, t.Edges, t.LiveNodes = len(ops), len(edges)/2, len(live)
}

// surrogate computes it as the stage does.
func (s *storyteller) surrogate(ctx context.Context) error {
	var m schemas.Messages
	m.Append(0, 0, nil, nil)
	m.Value.Append(s.value)
	b := &schemas.Batch{Next: 1, Rows: m.Record()}
	defer func() { b.Rows.Release() }()
	for _, stage := range []stages.Stage{stages.NewDecode(s.config.Limits()), stages.NewSurrogate(stages.NewFlows(s.config.Seed))} {
		if err := stage.Process(ctx, b); err != nil {
			return err
		}
	}
	s.story.Surrogate = slices.Clone(schemas.ViewSurrogates(b.Rows).Values)
	return nil
}

// answer scans predictions from the candidate's time on, less what clocks may
// differ.
func (s *storyteller) answer(ctx context.Context) error {
	hash := []byte(s.story.Architecture)
	return s.Follow(ctx, s.Topics.Predictions, From{Time: s.latest.Time.Add(-time.Minute)}, true, func(p schemas.Partition, m *schemas.Messages) error {
		for i := range m.Len() {
			if !bytes.Contains(m.Value.At(i), hash) {
				continue
			}
			said, err := schemas.ParsePrediction(m.Value.At(i))
			if err != nil || said.Source != (schemas.Source{Topic: s.latest.Topic, Partition: s.latest.Partition, Offset: s.latest.Offset}) {
				continue
			}
			s.story.Answer = &StoryAnswer{place(p, m, i), said}
		}
		return nil
	})
}

// labels scans the labels.
func (s *storyteller) labels(ctx context.Context) error {
	t := &s.story
	return s.Follow(ctx, s.Topics.Labels, From{Start: true}, true, func(p schemas.Partition, m *schemas.Messages) error {
		for i := range m.Len() {
			label, refused := s.decoder.Label(m.Value.At(i))
			if refused != nil || label.Space != t.Space {
				continue
			}
			byID := t.ID != "" && len(label.ID) > 0 && plainID(label.ID) == t.ID
			byGraph := label.HasArchitecture && label.Architecture.String() == t.Architecture
			if !byID && !byGraph {
				continue
			}
			l := StoryLabel{Place: place(p, m, i), Task: label.Task}
			if !label.Withdrawn {
				l.Value = &label.Value
			}
			t.Labels = append(t.Labels, l)
		}
		return nil
	})
}

// tables looks for the row of the latest candidate and for the predictions that
// stand beside the labels.
func (s *storyteller) tables(ctx context.Context) error {
	b, err := sinks.OpenBucket(ctx, s.config.Table)
	if err != nil {
		return fmt.Errorf("table: %w", err)
	}
	defer b.Close()
	if s.story.Class != "" {
		return nil
	}
	folder := fmt.Sprintf("space=%s/date=%s/", s.story.Space, s.latest.Time.Format(time.DateOnly))
	type row struct {
		Model     string `parquet:"model,optional"`
		Topic     string `parquet:"topic,optional"`
		Partition int32  `parquet:"partition,optional"`
		Offset    int64  `parquet:"offset,optional"`
	}
	err = eachRow(ctx, b, "predictions", folder, func(file string, r *row) error {
		if r.Topic != s.latest.Topic || r.Partition != s.latest.Partition || r.Offset != s.latest.Offset {
			return nil
		}
		commit, err := commitOf(ctx, b, "predictions", file)
		s.story.Row = &StoryRow{"predictions/" + file, commit, r.Model}
		return errors.Join(err, errEnough)
	})
	if err != nil || len(s.story.Labels) == 0 {
		return err
	}
	type label struct {
		Offset         int64    `parquet:"offset,optional"`
		Model          string   `parquet:"model,optional"`
		PredictedValue *float64 `parquet:"predicted_value,optional"`
		Low            *float64 `parquet:"low,optional"`
		High           *float64 `parquet:"high,optional"`
	}
	return eachRow(ctx, b, "labels", "space="+s.story.Space+"/", func(_ string, r *label) error {
		for i := range s.story.Labels {
			if l := &s.story.Labels[i]; l.Offset == r.Offset && r.PredictedValue != nil {
				l.Predicted = &StoryHonest{r.Model, r.PredictedValue, r.Low, r.High}
			}
		}
		return nil
	})
}

// errEnough ends eachRow without an error.
var errEnough = errors.New("found")

// eachRow calls f with the rows of a table whose files lie in a folder of it. A
// table that is not there has none.
func eachRow[R any](ctx context.Context, b sinks.Bucket, table, folder string, f func(file string, row *R) error) error {
	files, err := sinks.TableFiles(ctx, b, table)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, file := range files {
		if !strings.HasPrefix(file, folder) {
			continue
		}
		data, err := b.Read(ctx, table+"/"+file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted meanwhile
		}
		if err != nil {
			return err
		}
		rows, err := parquet.Read[R](bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return fmt.Errorf("%s/%s: %w", table, file, err)
		}
		for i := range rows {
			if err := f(file, &rows[i]); errors.Is(err, errEnough) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// commitOf returns the version of a table that brought a file, -1 when the log
// no longer has it.
func commitOf(ctx context.Context, b sinks.Bucket, table, file string) (int64, error) {
	for object, err := range b.List(ctx, table+"/_delta_log/", "") {
		if err != nil {
			return -1, err
		}
		name, isCommit := strings.CutSuffix(strings.TrimPrefix(object.Key, table+"/_delta_log/"), ".json")
		var version int64
		if _, err := fmt.Sscanf(name, "%d", &version); err != nil || !isCommit {
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
