package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"time"

	"archflow/internal/kafka"
)

// sameTopics refuses topics that are not those that the group's positions are of.
// What it sees first of a topic is what the positions are of from then on.
func (p *Process) sameTopics(ctx context.Context, group, cure string, topics ...string) error {
	ids, err := kafka.TopicIDs(ctx, p.Client, topics)
	if err != nil {
		return err
	}
	for _, topic := range topics {
		id := ids[topic]
		if id == "" {
			continue // the broker has none
		}
		kept, err := p.keepID(ctx, fmt.Sprintf("topics/%s/%s", url.PathEscape(group), topic), keptID{topic, id, group, cure})
		if err != nil {
			return err
		}
		if err := kept.check(id); err != nil {
			return err
		}
	}
	return nil
}

// keepID returns what the store has under a key, which is now if it had nothing.
func (p *Process) keepID(ctx context.Context, key string, now keptID) (keptID, error) {
	p.topics.mu.Lock()
	defer p.topics.mu.Unlock()
	if kept, known := p.topics.kept[key]; known {
		return kept, nil
	}
	err := p.store.Create(ctx, key, []byte(now.id+"\n"))
	if errors.Is(err, fs.ErrExist) {
		var text []byte
		if text, err = p.store.Read(ctx, key); err == nil && len(text) > 0 {
			now.id = string(text[:len(text)-1])
		}
	}
	if err != nil {
		return now, fmt.Errorf("the id of topic %s: %w", now.topic, err)
	}
	if p.topics.kept == nil {
		p.topics.kept = map[string]keptID{}
	}
	p.topics.kept[key] = now
	return now, nil
}

// watchTopics looks whether the topics are still the same until ctx ends.
func (p *Process) watchTopics(ctx context.Context) error {
	tick := time.NewTicker(topicsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		p.topics.mu.Lock()
		var kept []keptID
		var names []string
		for _, k := range p.topics.kept {
			kept, names = append(kept, k), append(names, k.topic)
		}
		p.topics.mu.Unlock()
		slices.Sort(names)
		ids, err := kafka.TopicIDs(ctx, p.Client, slices.Compact(names))
		if err != nil {
			continue // readiness says that the broker does not answer
		}
		for _, k := range kept {
			if id := ids[k.topic]; id != "" {
				if err := k.check(id); err != nil {
					return err
				}
			}
		}
	}
}
