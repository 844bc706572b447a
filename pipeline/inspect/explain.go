package inspect

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/kafka"
	"archflow/pipeline"
	"archflow/pipeline/decisions"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// Story is all that topics and tables know of one candidate.
type Story struct {
	Asked  string  `json:"asked"`
	Places []Place `json:"places"` // its places in architectures, the latest of them last
	Times  int     `json:"times"`  // how often it is there
	// Spaces are those in which a candidate has this id, where they are several; the
	// story is that of the latest, or of the one asked for.
	Spaces []string `json:"spaces,omitempty"`

	// Of the latest, when it could be read.
	Space        string    `json:"space,omitempty"`
	ID           string    `json:"id,omitempty"`
	Architecture string    `json:"architecture,omitempty"`
	Network      string    `json:"network,omitempty"`
	Nodes        int       `json:"nodes,omitempty"`
	Edges        int       `json:"edges,omitempty"`
	LiveNodes    int       `json:"live_nodes,omitempty"` // on a path from an input to an output
	Graph        string    `json:"graph,omitempty"`      // as members of a candidate, where it has attributes or hyperparameters
	Surrogate    []float32 `json:"surrogate,omitempty"`
	Gone         bool      `json:"gone,omitempty"` // the topic no longer has it: this is from the table

	// Of the latest, when it could not.
	Class  string `json:"class,omitempty"`
	Reason string `json:"reason,omitempty"`

	Answer *StoryAnswer `json:"answer,omitempty"` // nil: no answer to the latest
	Row    *StoryRow    `json:"row,omitempty"`    // nil: the table does not have the latest
	Labels []StoryLabel `json:"labels"`           // in the order in which they came

	Decisions []decisions.Decision `json:"decisions"` // the newest of each task of its space, by task
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
	Commit int64  `json:"commit"` // version of the table that brought the file, -1 when the log no longer has it
	Model  string `json:"model,omitempty"`
}

// StoryLabel is a label of the candidate, with the prediction made before the label was
// used.
type StoryLabel struct {
	Place
	Task      string       `json:"task"`
	Value     *float64     `json:"value"`               // nil: withdrawn, failed, or no number
	Withdrawn bool         `json:"withdrawn,omitempty"` // the label takes back others
	Failed    bool         `json:"failed,omitempty"`    // the training gave no result
	Seed      string       `json:"seed,omitempty"`
	Fidelity  *float64     `json:"fidelity,omitempty"` // of less than the full training
	Predicted *StoryHonest `json:"predicted,omitempty"`

	// The first decision of the trainer that considered it, of those that the models
	// topic still has; nil before there is one.
	Considered *decisions.Decision `json:"considered,omitempty"`
}

// StoryHonest is a prediction by a model that did not know the label.
type StoryHonest struct {
	Model string   `json:"model"`
	Value *float64 `json:"value"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
}

// maxPlaces bounds the positions that a story lists.
const maxPlaces = 20

// Explain finds a candidate by its id, the hash of its architecture or network, or its
// key; of all spaces unless one is named. It looks up the messages that the tables cover
// in them, by one column; it reads only the messages after those, and all of them for a
// key that is no id. It changes nothing.
func Explain(ctx context.Context, c *pipeline.Config, log *slog.Logger, id, space string) (*Story, error) {
	if id == "" {
		return nil, cli.Refuse(errors.New("the ID is empty; name the id or the key of a candidate, or the hash of its architecture or network"))
	}
	tables, err := pipeline.OpenTables(ctx, c)
	if err != nil {
		return nil, err
	}
	defer tables.Close()
	d, err := pipeline.Attach(ctx, c, log)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	s := &storyteller{Connected: d, config: c, bucket: tables, story: Story{Asked: id}, space: space, spaceOf: map[Place]string{}, times: map[string]int{}, decoder: schemas.NewDecoder(c.Limits())}
	if s.hash, err = schemas.ParseID(id); err == nil {
		s.byHash = true
	}
	err = s.candidate(ctx)
	s.ofOneSpace()
	if err != nil || s.story.Times == 0 {
		return &s.story, err
	}
	if s.story.Class != "" {
		return &s.story, nil
	}
	for _, chapter := range []func(context.Context) error{s.surrogate, s.answer, s.labels, s.decisions, s.tables} {
		if err := chapter(ctx); err != nil {
			return nil, err
		}
	}
	return &s.story, nil
}

// storyteller collects a story.
type storyteller struct {
	*pipeline.Connected
	config  *pipeline.Config
	bucket  sinks.Bucket // of the tables
	story   Story
	id      string // of the candidate, as ids are compared
	decoder *schemas.Decoder
	space   string // asked for; "" for any
	spaceOf map[Place]string
	times   map[string]int // how often it is in each space; "" for messages that could not be read
	hash    schemas.ID
	byHash  bool
	value   []byte // of the latest candidate
	latest  Place
	row     *foundRow // of the latest, when the table has it
}

// candidate looks for the candidate: in the tables, then in the messages that they do
// not cover yet, then, if it was nowhere, in everything.
func (s *storyteller) candidate(ctx context.Context) error {
	rows, covered, err := s.indexed(ctx)
	if err != nil {
		return err
	}
	if err := s.scan(ctx, pipeline.From{Start: true, Offsets: covered}); err != nil {
		return err
	}
	known := map[Place]*foundRow{}
	scanned := func(at Place) bool {
		return at.Offset >= covered[schemas.TopicPartition{Topic: at.Topic, Number: at.Partition}]
	}
	for i := range rows {
		known[rows[i].at] = &rows[i]
		if !scanned(rows[i].at) {
			s.note(rows[i].at, rows[i].space)
		}
	}
	if len(s.story.Places) == 0 {
		return s.scan(ctx, pipeline.From{Start: true})
	}
	last := s.story.Places[len(s.story.Places)-1]
	if s.row = known[last]; s.row == nil || scanned(last) {
		return nil // the scan has taken it
	}
	return s.fetch(ctx, last)
}

// scan reads architectures and takes the messages of the candidate.
func (s *storyteller) scan(ctx context.Context, from pipeline.From) error {
	return s.Follow(ctx, s.Topics.Architectures, from, true, func(p schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			value := m.Value.At(i)
			named := string(m.Key.At(i)) == s.story.Asked
			if !named && !s.byHash && !bytes.Contains(value, []byte(s.story.Asked)) {
				continue
			}
			var row schemas.Candidates
			refused := s.decoder.Candidate(&row, value)
			if refused == nil && !named && schemas.PlainID(row.ID.At(0)) != s.story.Asked && schemas.IDText(row.ID.At(0)) != s.story.Asked && (!s.byHash || row.Architecture[0] != s.hash && row.Network[0] != s.hash) {
				continue
			}
			if refused != nil && (s.byHash || !s.means(m.Key.At(i), value)) || refused == nil && s.space != "" && row.NameOf(0, row.Space[0]) != s.space {
				continue
			}
			s.take(place(p, m, i), &row, refused, value)
		}
		return nil
	})
}

// means says whether a refused message is of the candidate: by its key, or by the id that
// it has where it is JSON.
func (s *storyteller) means(key, value []byte) bool {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(finite.AsNull(value), &members) // else it has none
	if s.space != "" {
		var space string
		if json.Unmarshal(members["space"], &space) != nil || space != s.space {
			return false
		}
	}
	id := members["id"]
	return string(key) == s.story.Asked || id != nil && (schemas.PlainID(id) == s.story.Asked || schemas.IDText(id) == s.story.Asked)
}

// fetch takes one message.
func (s *storyteller) fetch(ctx context.Context, at Place) error {
	p := schemas.TopicPartition{Topic: at.Topic, Number: at.Partition}
	m, _, _, err := kafka.OpenPartition(s.Client, p, at.Offset, kafka.Limits{Messages: 1}).Fetch(ctx)
	var lost *kafka.LostError
	if errors.As(err, &lost) || err == nil && (m.Len() == 0 || m.Offset[0] != at.Offset) {
		s.latest = at
		s.row.fill(&s.story)
		return nil
	}
	if err != nil {
		return err
	}
	var row schemas.Candidates
	refused := s.decoder.Candidate(&row, m.Value.At(0))
	s.read(at, &row, refused, m.Value.At(0))
	return nil
}

func place(p schemas.TopicPartition, m *schemas.Messages, i int) Place {
	return Place{p.Topic, p.Number, m.Offset[i], time.UnixMilli(m.Time[i]).UTC()}
}

// take notes a place, and the candidate when it is the latest so far.
func (s *storyteller) take(at Place, row *schemas.Candidates, refused *schemas.Rejection, value []byte) {
	space := ""
	if refused == nil {
		space = row.NameOf(0, row.Space[0])
	}
	if s.note(at, space) {
		s.read(at, row, refused, value)
	}
}

// note adds a place and says whether it is the latest so far.
func (s *storyteller) note(at Place, space string) bool {
	t := &s.story
	t.Times++
	s.times[space]++
	s.spaceOf[at] = space
	t.Places = append(t.Places, at)
	slices.SortStableFunc(t.Places, func(a, b Place) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	t.Places = t.Places[max(0, len(t.Places)-maxPlaces):]
	return t.Places[len(t.Places)-1] == at
}

// ofOneSpace leaves the places of the story's own space, and names all spaces where
// the id is that of candidates of several.
func (s *storyteller) ofOneSpace() {
	t := &s.story
	if t.Class != "" || len(t.Places) == 0 {
		return
	}
	t.Times = s.times[t.Space] + s.times[""]
	t.Places = slices.DeleteFunc(t.Places, func(at Place) bool { return s.spaceOf[at] != "" && s.spaceOf[at] != t.Space })
	for _, space := range slices.Sorted(maps.Keys(s.times)) {
		if space != "" {
			t.Spaces = append(t.Spaces, space)
		}
	}
	if len(t.Spaces) == 1 {
		t.Spaces = nil
	}
}

// read takes the contents of a message.
func (s *storyteller) read(at Place, row *schemas.Candidates, refused *schemas.Rejection, value []byte) {
	t := &s.story
	s.latest, s.value = at, bytes.Clone(value)
	if refused != nil {
		t.Class, t.Reason = refused.Class, refused.Reason
		return
	}
	t.Class, t.Reason = "", ""
	t.Space, t.ID = row.NameOf(0, row.Space[0]), schemas.PlainID(row.ID.At(0))
	s.id = schemas.IDText(row.ID.At(0))
	t.Architecture, t.Network = row.Architecture[0].String(), row.Network[0].String()
	ops, edges := row.Graphs.Graph(0)
	live, _ := row.Networks.Graph(0)
	t.Nodes, t.Edges, t.LiveNodes = len(ops), len(edges)/2, len(live)
	if g := row.Graphs.At(0); len(g.Attributes) > 0 {
		t.Graph = string(schemas.AppendArchitecture(nil, &g))
	}
}

// surrogate computes it as the stage does.
func (s *storyteller) surrogate(ctx context.Context) error {
	if s.story.Gone {
		return nil
	}
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

// answer scans predictions until it is found: from the time of prediction in the table,
// else from the candidate's time, less a difference between clocks.
func (s *storyteller) answer(ctx context.Context) error {
	times := []time.Time{s.latest.Time.Add(-time.Minute)}
	if s.row != nil && !s.row.predicted.IsZero() {
		times = []time.Time{s.row.predicted.Add(-2 * time.Second), times[0]}
	}
	hash := []byte(s.story.Architecture)
	for _, from := range times {
		err := s.Follow(ctx, s.Topics.Predictions, pipeline.From{Time: from}, true, func(p schemas.TopicPartition, m *schemas.Messages) error {
			for i := range m.Len() {
				if !bytes.Contains(m.Value.At(i), hash) {
					continue
				}
				said, err := schemas.ParsePrediction(m.Value.At(i))
				if err != nil || said.Source != (schemas.Source{Topic: s.latest.Topic, Partition: s.latest.Partition, Offset: s.latest.Offset}) {
					continue
				}
				s.story.Answer = &StoryAnswer{place(p, m, i), said}
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// labels scans the labels.
func (s *storyteller) labels(ctx context.Context) error {
	t := &s.story
	return s.Follow(ctx, s.Topics.Labels, pipeline.From{Start: true}, true, func(p schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			label, refused := s.decoder.Label(m.Value.At(i))
			if refused != nil || label.Space != t.Space {
				continue
			}
			byID := s.id != "" && schemas.IDText(label.ID) == s.id
			byGraph := (label.HasArchitecture || label.HasGraph) && label.Architecture.String() == t.Architecture
			if !byID && !byGraph {
				continue
			}
			l := StoryLabel{Place: place(p, m, i), Task: label.Task, Withdrawn: label.Withdrawn, Failed: label.Failed, Seed: label.Seed}
			if label.Valued() {
				l.Value = &label.Value
			}
			if label.HasFidelity {
				l.Fidelity = &label.Fidelity
			}
			t.Labels = append(t.Labels, l)
		}
		return nil
	})
}

// decisions reads the trainer's decisions about the tasks of the space.
func (s *storyteller) decisions(ctx context.Context) error {
	newest := map[string]decisions.Decision{}
	err := s.Follow(ctx, s.Topics.Models, pipeline.From{Start: true}, true, func(_ schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			d, err := decisions.Parse(m.Value.At(i))
			if err != nil || d == nil || d.Space != s.story.Space {
				continue // the process that follows them reports unreadable ones
			}
			newest[d.Task] = *d
			for j := range s.story.Labels {
				l := &s.story.Labels[j]
				if l.Considered == nil && l.Task == d.Task && d.Covers(map[int32]int64{l.Partition: l.Offset + 1}) {
					l.Considered = d
				}
			}
		}
		return nil
	})
	for _, task := range slices.Sorted(maps.Keys(newest)) {
		s.story.Decisions = append(s.story.Decisions, newest[task])
	}
	return err
}

// tables finds the row of the latest candidate and the predictions beside its labels.
func (s *storyteller) tables(ctx context.Context) error {
	b := s.bucket
	if s.row != nil {
		commit, err := commitOf(ctx, b, "predictions", s.row.file, s.row.predicted)
		if err != nil {
			return err
		}
		s.story.Row = &StoryRow{"predictions/" + s.row.file, commit, s.row.model}
	}
	if len(s.story.Labels) == 0 {
		return nil
	}
	type label struct {
		Partition      int32    `parquet:"partition,optional"`
		Offset         int64    `parquet:"offset,optional"`
		Model          string   `parquet:"model,optional"`
		PredictedValue *float64 `parquet:"predicted_value,optional"`
		Low            *float64 `parquet:"low,optional"`
		High           *float64 `parquet:"high,optional"`
	}
	return sinks.EachRow(ctx, b, "labels", "space="+s.story.Space+"/", func(r *label) {
		for i := range s.story.Labels {
			if l := &s.story.Labels[i]; l.Partition == r.Partition && l.Offset == r.Offset && r.PredictedValue != nil {
				l.Predicted = &StoryHonest{r.Model, r.PredictedValue, r.Low, r.High}
			}
		}
	})
}

// errEnough ends a search without an error.
var errEnough = errors.New("found")
