package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"archflow/internal/kafka"
	"archflow/pipeline/decisions"
	"archflow/schemas"
)

// followModels follows the models topic from its start. It loads what the registry
// has newly, and then notes the decisions that led to it: the process answers with
// the model of every decision in its history.
func (p *Process) followModels(ctx context.Context) {
	topic := schemas.Partition{Topic: p.Topics.Models}
	start, _, err := kafka.Ends(ctx, p.Client, topic)
	if err != nil {
		start = 0
	}
	reader := kafka.OpenPartition(p.Client, topic, start, kafka.Limits{Wait: time.Second})
	var heard schemas.Messages // and not yet noted
	for wait := kafka.NewBackoff(); ctx.Err() == nil; {
		err := p.follow(ctx, reader, &heard)
		if ctx.Err() != nil {
			return
		}
		p.ready.note(&p.ready.registry, err)
		if err == nil {
			wait.Reset()
			continue
		}
		p.report.Log.Warn("cannot hear of new models; trying again", "topic", p.Topics.Models, "error", err)
		_ = wait.Wait(ctx) // the loop sees that ctx has ended
	}
}

// follow reads the next messages of the models topic unless some are left in
// heard, and notes them.
func (p *Process) follow(ctx context.Context, reader *kafka.PartitionReader, heard *schemas.Messages) error {
	if heard.Len() == 0 {
		messages, _, _, err := reader.Fetch(ctx)
		var lost *kafka.LostError
		if errors.As(err, &lost) {
			reader.SkipTo(lost.Start) // the registry has what they said
		}
		if err != nil {
			return err
		}
		*heard = messages
	}
	if heard.Len() == 0 {
		return nil
	}
	if err := p.registry.Refresh(ctx, 0); err != nil {
		return err
	}
	p.serving(ctx)
	for i := range heard.Len() {
		d, err := decisions.Parse(heard.Value.At(i))
		switch {
		case err != nil:
			p.report.Log.WarnContext(ctx, "a foreign message is left out", "topic", p.Topics.Models, "offset", heard.Offset[i], "error", err)
		case d != nil:
			p.history.Add(*d)
		}
	}
	*heard = schemas.Messages{}
	return nil
}

// tellDecisions puts decisions on the models topic, in their order.
func (p *Process) tellDecisions(ctx context.Context, list []decisions.Decision) error {
	records := make([]kafkago.Record, len(list))
	for i := range list {
		value, err := json.Marshal(&list[i])
		if err != nil {
			return err
		}
		records[i] = modelsRecord(list[i].Key(), value)
	}
	return p.toModels(ctx, records...)
}

func modelsRecord(key string, value []byte) kafkago.Record {
	return kafkago.Record{Key: kafkago.NewBytes([]byte(key)), Value: kafkago.NewBytes(value), Time: time.Now()}
}

// toModels writes messages to the models topic.
func (p *Process) toModels(ctx context.Context, records ...kafkago.Record) error {
	answer, err := p.Client.Produce(ctx, &kafkago.ProduceRequest{
		Topic: p.Topics.Models, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(records...),
	})
	if err == nil {
		err = answer.Error
	}
	return err
}

// Considered returns once this process answers with models that know the labels
// of the spaces below learnt, next offsets by partition of the labels' topic, or
// whose trainer has considered them and left them out. The error is that of ctx.
func (p *Process) Considered(ctx context.Context, spaces []string, learnt map[int32]int64) error {
	return p.history.Wait(ctx, spaces, learnt)
}

// serving tells metrics and the page which models answer now.
func (p *Process) serving(ctx context.Context) {
	g, err := p.registry.Generation(ctx, schemas.NewestRegistry)
	if err != nil {
		return // the caller of Refresh has said so
	}
	for name, m := range p.registry.Manifest().Spaces {
		space, err := schemas.Intern(name)
		if err != nil || m.File == "" {
			continue
		}
		champion := g.Spaces[space]
		if champion == nil || champion.Model == nil {
			continue
		}
		versions, err := p.registry.Models(ctx, name)
		if err != nil {
			p.report.Log.WarnContext(ctx, "the models of a space could not be listed", "space", name, "error", err)
		}
		made := time.Now()
		for _, v := range versions {
			if v.Name == m.Model {
				made = v.Modified
			}
		}
		p.report.Metrics.Model(name, champion.Model.Version, made, m.pinned())
		p.board.serves(name, &m, made, champion.Model, versions)
	}
}
