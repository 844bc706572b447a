package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"archflow/internal/kafka"
	"archflow/ops"
	"archflow/pipeline/decisions"
	"archflow/schemas"
)

// modelsTopic connects the processes of a group by their models: through the
// registry of the store and the models topic, of which the registry is the truth.
type modelsTopic struct {
	*Connected
	registry  *Registry
	history   *decisions.History // as far as this process answers with their models
	dashboard *dashboard
	report    *ops.Telemetry
	onRead    func(error) // called with the result of every read of the topic
}

// follow follows the models topic from its start. It loads the newest registry first and
// then records the decisions that led to it, so that the process answers with the model
// of every decision in its history.
func (m *modelsTopic) follow(ctx context.Context) {
	topic := schemas.TopicPartition{Topic: m.Topics.Models}
	start, _, err := kafka.Ends(ctx, m.Client, topic)
	if err != nil {
		start = 0
	}
	reader := kafka.OpenPartition(m.Client, topic, start, kafka.Limits{Wait: time.Second})
	var pending schemas.Messages // and not yet noted
	missed := false              // a message of a model, for all we know
	for wait := kafka.NewBackoff(); ctx.Err() == nil; {
		err := m.next(ctx, reader, &pending)
		if err == nil && missed {
			err = m.registry.Refresh(ctx, 0)
			m.serving(ctx)
		}
		missed = err != nil
		if ctx.Err() != nil {
			return
		}
		m.onRead(err)
		if err == nil {
			wait.Reset()
			continue
		}
		m.report.Log.Warn("cannot hear of new models; trying again", "topic", m.Topics.Models, "error", err)
		_ = wait.Wait(ctx) // the loop sees that ctx has ended
	}
}

// next reads the next messages of the models topic unless some are left in
// heard, and notes them.
func (m *modelsTopic) next(ctx context.Context, reader *kafka.PartitionReader, pending *schemas.Messages) error {
	if pending.Len() == 0 {
		messages, _, _, err := reader.Fetch(ctx)
		var lost *kafka.LostError
		switch {
		case errors.As(err, &lost): // retention, or a topic made anew: the registry has the contents
			m.report.Log.InfoContext(ctx, "messages of models are gone; the store has the models", "topic", m.Topics.Models, "from", lost.Want, "to", lost.Start)
			reader.SkipTo(lost.Start)
		case err != nil:
			return err
		case messages.Len() == 0:
			return nil
		}
		*pending = messages
	}
	if err := m.registry.Refresh(ctx, 0); err != nil {
		return err
	}
	m.serving(ctx)
	// The trainer announces a space's first labels in the registry before it decides about
	// any space at their positions.
	for name, s := range m.registry.Manifest().Spaces {
		if s.Model == "" && len(s.Waiting) > 0 {
			m.history.Expect(name)
		}
	}
	for i := range pending.Len() {
		d, err := decisions.Parse(pending.Value.At(i))
		switch {
		case err != nil:
			m.report.Log.WarnContext(ctx, "a foreign message is left out", "topic", m.Topics.Models, "offset", pending.Offset[i], "error", err)
		case d != nil:
			m.history.Add(*d)
		}
	}
	*pending = schemas.Messages{}
	return nil
}

// decisions puts decisions on the models topic, in their order.
func (m *modelsTopic) decisions(ctx context.Context, list []decisions.Decision) error {
	records := make([]kafkago.Record, len(list))
	for i := range list {
		value, err := json.Marshal(&list[i])
		if err != nil {
			return err
		}
		records[i] = modelsRecord(list[i].Key(), value)
	}
	return m.produce(ctx, records...)
}

func modelsRecord(key string, value []byte) kafkago.Record {
	return kafkago.Record{Key: kafkago.NewBytes([]byte(key)), Value: kafkago.NewBytes(value), Time: time.Now()}
}

// produce writes messages to the models topic.
func (m *modelsTopic) produce(ctx context.Context, records ...kafkago.Record) error {
	answer, err := m.Client.Produce(ctx, &kafkago.ProduceRequest{
		Topic: m.Topics.Models, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(records...),
	})
	if err == nil {
		err = answer.Error
	}
	return err
}

// serving updates metrics and the page with the models that answer now.
func (m *modelsTopic) serving(ctx context.Context) {
	g, err := m.registry.ModelSet(ctx, schemas.NewestRegistry)
	if err != nil {
		return // the caller of Refresh has said so
	}
	for name, s := range m.registry.Manifest().Spaces {
		space, err := schemas.Intern(name)
		if err != nil || s.File == "" {
			continue
		}
		champion := g.Spaces[space]
		if champion == nil || champion.Model == nil {
			continue
		}
		versions, err := m.registry.Models(ctx, name)
		if err != nil {
			m.report.Log.WarnContext(ctx, "the models of a space could not be listed", "space", name, "error", err)
		}
		made := time.Now()
		for _, v := range versions {
			if v.Name == s.Model {
				made = v.Modified
			}
		}
		m.report.Metrics.Model(name, champion.Model.Version, made, s.pinned())
		m.dashboard.serves(name, &s, made, champion.Model, versions)
	}
}
