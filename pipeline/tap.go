package pipeline

import (
	"encoding/json"

	"archflow/internal/finite"
	"archflow/ops"
	"archflow/schemas"
)

// A record's columns show how far it has come: the schemas of records.go by their number
// of columns.
var (
	columnsOfMessages   = len(schemas.MessagesSchema.Fields())
	columnsOfCandidates = len(schemas.CandidatesSchema.Fields())
)

// passed is a record as a tap shows it, as far as its stage knows it.
type passed struct {
	Stage        string          `json:"stage"`
	Topic        string          `json:"topic"`
	Partition    int32           `json:"partition"`
	Offset       int64           `json:"offset"`
	Key          string          `json:"key,omitempty"`
	Value        string          `json:"value,omitempty"` // the beginning of a message
	ID           string          `json:"id,omitempty"`
	Space        string          `json:"space,omitempty"`
	Architecture string          `json:"architecture,omitempty"`
	Network      string          `json:"network,omitempty"`
	Nodes        int             `json:"nodes,omitempty"`
	Surrogate    []float32       `json:"surrogate,omitempty"`
	Prediction   json.RawMessage `json:"prediction,omitempty"`
	Class        string          `json:"class,omitempty"` // of a rejection
	Reason       string          `json:"reason,omitempty"`
}

// maxTapped bounds the part of a message that a tap shows.
const maxTapped = 2000

// pass offers a batch that has left a stage to those who watch: its rows and
// then its rejections.
func pass(taps *ops.Taps, stage string, b *schemas.Batch) {
	rows := int(b.Rows.NumRows())
	taps.Pass(stage, rows+len(b.Rejects), func(i int) []byte {
		r := passed{Stage: stage, Topic: b.Topic, Partition: b.Number}
		if i >= rows {
			d := &b.Rejects[i-rows]
			r.Offset, r.Key, r.Value = d.Offset, beginning(d.Key), beginning(d.Value)
			r.Class, r.Reason = d.Class, d.Reason
		} else {
			r.row(b, i)
		}
		line, err := finite.Marshal(r)
		if err != nil {
			line, _ = json.Marshal(passed{Stage: stage, Topic: b.Topic, Partition: b.Number, Offset: r.Offset, Reason: err.Error()})
		}
		return line
	})
}

// row fills in the fields of row i of a batch.
func (r *passed) row(b *schemas.Batch, i int) {
	columns := int(b.Rows.NumCols())
	if columns == columnsOfMessages {
		m := schemas.ViewMessages(b.Rows)
		r.Offset, r.Key, r.Value = m.Offset[i], beginning(m.Key.At(i)), beginning(m.Value.At(i))
		return
	}
	c := schemas.ViewCandidates(b.Rows)
	r.Offset, r.Key = c.Offset[i], beginning(c.Key.At(i))
	r.ID, r.Space = schemas.PlainID(c.ID.At(i)), c.NameOf(i, c.Space[i])
	r.Architecture, r.Network = c.Architecture[i].String(), c.Network[i].String()
	ops, _ := c.Graphs.Graph(i)
	r.Nodes = len(ops)
	if columns == columnsOfCandidates {
		return
	}
	s := schemas.ViewSurrogates(b.Rows)
	r.Surrogate = s.Values[s.Start[i]:s.Start[i+1]]
	if columns == columnsOfCandidates+1 {
		return
	}
	p := schemas.ViewPredictions(b.Rows)
	r.Prediction = schemas.AppendPrediction(nil, &c, nil, &p, i, b.TopicPartition)
}

func beginning(text []byte) string { return string(text[:min(len(text), maxTapped)]) }
