package sinktest

import (
	"encoding/hex"
	"fmt"

	"archflow/schemas"
)

// rejected says whether an offset of the test batches is a dead letter.
func rejected(offset int64) bool { return offset%7 == 3 }

// Batch returns the batch of the offsets first to next-1 of a partition. Two
// batches have equal rows where they cover the same offsets, as a deterministic
// pipeline makes them after a restart. Every seventh offset is a dead letter.
func Batch(p schemas.TopicPartition, first, next int64) *schemas.Batch {
	b := &schemas.Batch{TopicPartition: p, First: first, Next: next, End: next}
	var c schemas.Candidates
	var s schemas.Surrogates
	var y schemas.Predictions
	s.Start, y.TaskStart, y.EmbeddingStart, c.ProxyStart = []int32{0}, []int32{0}, []int32{0}, []int32{0}
	space, op := schemas.MustIntern("nb201"), schemas.MustIntern("nor_conv_3x3")
	model, task := schemas.MustIntern("nb201/17"), schemas.MustIntern("cifar10_test")
	proxy, few := schemas.MustIntern("synflow"), schemas.MustIntern("too few labels")
	for o := first; o < next; o++ {
		id := identity(p, o)
		time := 1_767_225_600_000 + 3_600_000*o // an hour apart, from 2026-01-01
		trace := fmt.Sprintf("00-%s-%016x-01", id.String(), o+1)
		if rejected(o) {
			b.Rejects = append(b.Rejects, schemas.DeadLetter{
				TopicPartition: p, Offset: o, Time: time, Key: []byte(id.String()), Value: []byte("{broken " + id.String()),
				Headers: []schemas.Header{{Name: "traceparent", Value: []byte(trace)}},
				Class:   "syntax", Reason: fmt.Sprintf("%s/%d offset %d: the object has no end; close it", p.Topic, p.Number, o),
			})
			continue
		}
		c.Append(o, time, []byte(id.String()), []schemas.Header{{Name: "traceparent", Value: []byte(trace)}})
		c.ID.Append([]byte(fmt.Sprintf(`"candidate %d"`, o)))
		c.Space = append(c.Space, space)
		c.Arch.Append([]byte("|nor_conv_3x3~0|"))
		c.Architecture, c.Network = append(c.Architecture, id), append(c.Network, id)
		graph := schemas.Graph{Ops: []schemas.Symbol{op, op}, Edges: []int32{0, 1}}
		if o%3 == 0 {
			graph.Attributes = attributes(o)
		}
		c.Graphs.Add(graph)
		c.Networks.Add(graph)
		c.ProxyName, c.ProxyValue = append(c.ProxyName, proxy), append(c.ProxyValue, float64(o)/2)
		c.ProxyStart = append(c.ProxyStart, int32(len(c.ProxyName)))
		c.Meta.Append([]byte(`{"round":1}`))
		s.Values = append(s.Values, float32(o), float32(o)/3)
		s.Start = append(s.Start, int32(len(s.Values)))
		y.Time = append(y.Time, 1000*time+7)
		if o%5 == 0 {
			y.Model, y.Reason = append(y.Model, schemas.NoSymbol), append(y.Reason, few)
		} else {
			y.Model, y.Reason = append(y.Model, model), append(y.Reason, schemas.NoSymbol)
			v := float64(o) / 8
			y.Task, y.Score, y.Value = append(y.Task, task), append(y.Score, v), append(y.Value, 90+v)
			y.Low, y.High, y.Percentile = append(y.Low, 89+v), append(y.High, 91+v), append(y.Percentile, 50)
			y.Top = append(y.Top, v/100)
			y.Labels, y.SD, y.Fails = append(y.Labels, float64(o)), append(y.SD, v/4), append(y.Fails, v/200)
		}
		y.TaskStart = append(y.TaskStart, int32(len(y.Task)))
		y.EmbeddingStart = append(y.EmbeddingStart, 0)
	}
	return Join(b, &c, s, y)
}

// Join puts the columns of a batch together.
func Join(b *schemas.Batch, c *schemas.Candidates, s schemas.Surrogates, y schemas.Predictions) *schemas.Batch {
	r := c.Record()
	rs := schemas.WithSurrogates(r, s)
	b.Rows = schemas.WithPredictions(rs, y)
	r.Release()
	rs.Release()
	return b
}

// attributes returns those of every third offset: hyperparameters, and of the
// second node.
func attributes(offset int64) []schemas.Attribute {
	name, none := schemas.MustIntern, schemas.NoSymbol
	return []schemas.Attribute{
		{Node: schemas.WholeGraph, Name: name("ema"), Kind: schemas.BooleanKind, Text: none, Number: 1},
		{Node: schemas.WholeGraph, Name: name("width"), Text: none, Number: float64(offset) / 4},
		{Node: 1, Name: name("act"), Kind: schemas.TextKind, Text: name("gelu")},
		{Node: 1, Name: name("kernel"), Text: none, Number: 3},
	}
}

// identity returns an id with the row's partition and offset, so that a reader of any
// sink can identify its rows.
func identity(p schemas.TopicPartition, offset int64) schemas.ID {
	var id schemas.ID
	copy(id[:], p.Topic)
	id[7] = byte(p.Number)
	for i := range 8 {
		id[15-i] = byte(offset >> (8 * i))
	}
	return id
}

// Architecture returns the architecture and message key of the row of an offset, for the
// places that read sinks back.
func Architecture(p schemas.TopicPartition, offset int64) string {
	id := identity(p, offset)
	return hex.EncodeToString(id[:])
}
