package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"archflow/encoders/learner"
	"archflow/pipeline/api"
	"archflow/pipeline/decisions"
	"archflow/schemas"
	"archflow/stages"
)

// Offline is an archflow without broker, store and clock: the HTTP API on messages
// in memory, and a trainer that learns when a request waits for it. The same
// requests in the same order give the same answers, to the bit, which makes it fit
// to compare search strategies with.
type Offline struct {
	http.Handler
	config *Config
	decode *stages.Decode

	mu       sync.Mutex
	messages map[api.Topic]*schemas.Messages
	keys     map[string]api.Published // of requests
	train    *stages.Train
	models   *offlineModels
	ripe     bool // pre-training is done
}

// offlineModels is the registry of an Offline.
type offlineModels struct {
	mu  sync.Mutex
	now *stages.ModelSet
}

// NewOffline returns an Offline without candidates or labels. It uses the settings of c
// that determine how a space is learnt.
func NewOffline(c *Config) *Offline {
	flows := stages.NewFlows(c.Seed)
	o := &Offline{
		config: c, decode: stages.NewDecode(c.Limits()),
		messages: map[api.Topic]*schemas.Messages{}, keys: map[string]api.Published{},
		models: &offlineModels{now: &stages.ModelSet{Spaces: map[schemas.Symbol]*stages.Champion{}}},
	}
	for _, t := range []api.Topic{api.Candidates, api.Labels, api.Trials} {
		o.messages[t] = &schemas.Messages{}
	}
	o.train = stages.NewTrain(c.Limits(), c.Spaces, func(space string) *learner.Learner { return learner.New(c.learner(space, flows)) })
	o.Handler = api.New(api.Options{
		Limits: c.Limits(), Models: o.models, Topics: o, Networks: c.Buffer, Publisher: o, History: o,
		Stages: func() []stages.Stage {
			return []stages.Stage{stages.NewDecode(c.Limits()), stages.NewSurrogate(flows), stages.NewPredict(o.models, false)}
		},
	})
	return o
}

// ModelSet is part of stages.Models.
func (m *offlineModels) ModelSet(_ context.Context, version int64) (*stages.ModelSet, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if version != schemas.NewestRegistry && version != m.now.Version {
		return nil, fmt.Errorf("version %d is not kept", version)
	}
	return m.now, nil
}

// Read is part of api.Topics.
func (o *Offline) Read(_ context.Context, topic api.Topic, positions map[int32]int64, _ int64, f func(*schemas.Messages)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if all := o.messages[topic]; positions[0] < int64(all.Len()) {
		f(rest(all, int(positions[0])))
		positions[0] = int64(all.Len())
	}
	return nil
}

// rest returns the messages from one on.
func rest(all *schemas.Messages, from int) *schemas.Messages {
	var m schemas.Messages
	for i := from; i < all.Len(); i++ {
		m.Append(all.Offset[i], all.Time[i], nil, nil)
		m.Value.Append(all.Value.At(i))
	}
	return &m
}

// Publish is part of api.Publisher.
func (o *Offline) Publish(ctx context.Context, topic api.Topic, key string, messages []api.Message) (api.Published, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key = string(topic) + "\x00" + key
	if done, again := o.keys[key]; again {
		return done, nil
	}
	all := o.messages[topic]
	from := all.Len()
	for i, m := range messages {
		all.Append(int64(from+i), int64(from+i), m.Key, nil)
		all.Value.Append(m.Value)
	}
	done := api.Published{Messages: len(messages), Through: map[string]int64{fmt.Sprintf("archflow.%s/0", topic): int64(all.Len())}}
	if key != string(topic)+"\x00" {
		o.keys[key] = done
	}
	b := &schemas.Batch{First: int64(from), Next: int64(all.Len()), Rows: rest(all, from).Record()}
	defer func() { b.Rows.Release() }()
	if topic == api.Labels {
		if err := o.pretrain(ctx); err != nil {
			return done, err
		}
		o.train.Labels(b, 0)
		return done, nil
	}
	if err := o.decode.Process(ctx, b); err != nil {
		return done, err
	}
	o.train.Candidates(b)
	return done, nil
}

// pretrain does the pre-training that is owed to the candidates, once, before the
// first label.
func (o *Offline) pretrain(ctx context.Context) error {
	for !o.ripe && o.train.Due(stages.Mode{}) {
		if _, _, _, err := o.train.Work(ctx, stages.Mode{}); err != nil {
			return err
		}
	}
	o.ripe = true
	return nil
}

// Wait is part of api.History: it learns all labels that have come.
func (o *Offline) Wait(ctx context.Context, _ []string, _ map[int32]int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.fits() {
		l, progress, worked, err := o.train.Work(ctx, stages.Mode{Eager: true})
		if err != nil {
			return err
		}
		if !worked {
			return errors.New("labels call for a fit, and nothing is done")
		}
		if c := progress.Challenger; c != nil && c.Promoted {
			if err := o.promote(l, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Offline) fits() bool {
	for _, l := range o.train.Learners() {
		if l.Fits(true) {
			return true
		}
	}
	return false
}

func (o *Offline) promote(l *learner.Learner, c *learner.Challenger) error {
	champion, err := stages.NewChampion(c.Model, nil)
	if err != nil {
		return err
	}
	space, err := schemas.Intern(l.Space())
	if err != nil {
		return err
	}
	o.models.mu.Lock()
	defer o.models.mu.Unlock()
	next := &stages.ModelSet{Version: o.models.now.Version + 1, Spaces: map[schemas.Symbol]*stages.Champion{space: champion}}
	for s, before := range o.models.now.Spaces {
		if s != space {
			next.Spaces[s] = before
		}
	}
	o.models.now = next
	return nil
}

// Newest is part of api.History: decisions are not kept.
func (o *Offline) Newest(string) []decisions.Decision { return nil }
