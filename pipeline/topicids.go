package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"archflow/internal/kafka"
	"archflow/sinks"
)

// Positions are of a topic and not of its name: a topic that was deleted and made again
// may have grown past them, and then nothing but its id shows it. The store keeps the id
// of each topic beside the first positions that a group has of it, and never changes it.

// topicIDs are the ids that this process has found to be the kept ones.
type topicIDs struct {
	mu   sync.Mutex
	kept map[string]keptID // by key in the store
	gone []string          // topics that are not there, in order

	cures string // of those
}

// keptID is the id that a group's positions are of.
type keptID struct {
	topic, id, group, cure string
}

// Cures for a topic that was replaced.
const (
	cureOfGroup   = "use another --group, and another --table unless the old rows are to stay"
	cureOfTrainer = "use another --group and another --store, and another --table unless the old rows are to stay"
)

// topicsEvery is how often topics are looked at while a process runs.
const topicsEvery = 5 * time.Second

func (k keptID) check(id string) error {
	if id == k.id {
		return nil
	}
	return &kafka.ReplacedError{Topic: k.topic, Was: k.id, Is: id, Positions: "group " + k.group, Cure: k.cure}
}

// same refuses a topic with another id than the one that the group's positions belong
// to. The first call for a topic stores its id.
func (t *topicIDs) same(ctx context.Context, client *kafka.Client, store sinks.Bucket, group, cure string, topics ...string) error {
	ids, err := kafka.TopicIDs(ctx, client, topics)
	if err != nil {
		return err
	}
	for _, topic := range topics {
		id := ids[topic]
		if id == "" {
			continue // the broker has none
		}
		kept, err := t.keep(ctx, store, fmt.Sprintf("topics/%s/%s", url.PathEscape(group), topic), keptID{topic, id, group, cure})
		if err != nil {
			return err
		}
		if err := kept.check(id); err != nil {
			return err
		}
	}
	return nil
}

// keep returns the stored entry under a key; it stores now if there is none.
func (t *topicIDs) keep(ctx context.Context, store sinks.Bucket, key string, now keptID) (keptID, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept, known := t.kept[key]; known {
		return kept, nil
	}
	err := store.Create(ctx, key, []byte(now.id+"\n"))
	if errors.Is(err, fs.ErrExist) {
		var text []byte
		if text, err = store.Read(ctx, key); err == nil && len(text) > 0 {
			now.id = string(text[:len(text)-1])
		}
	}
	if err != nil {
		return now, fmt.Errorf("the id of topic %s: %w", now.topic, err)
	}
	if t.kept == nil {
		t.kept = map[string]keptID{}
	}
	t.kept[key] = now
	return now, nil
}

// watch looks whether the topics are still the same, and whether those that a run needs are
// there, until ctx ends.
func (t *topicIDs) watch(ctx context.Context, d *Connected, log *slog.Logger) error {
	tick := time.NewTicker(topicsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		ids, err := kafka.TopicIDs(ctx, d.Client, d.Topics.All())
		if err != nil {
			continue // readiness says that the broker does not answer
		}
		gone, err := kafka.AbsentTopics(ctx, d.Client, d.Topics.All())
		if err != nil {
			continue
		}
		if said := t.lost(gone, &d.Topics); said != "" {
			log.Warn("topics are gone", "topics", gone, "cure", said)
		}
		t.mu.Lock()
		kept := slices.Collect(maps.Values(t.kept))
		t.mu.Unlock()
		for _, k := range kept {
			if id := ids[k.topic]; id != "" {
				if err := k.check(id); err != nil {
					return err
				}
			}
		}
	}
}

// Cures for a topic that is gone. Positions belong to the topics that are read; the
// messages written to the others are in the tables and the store as well.
const (
	cureOfRead    = "restore them; or make them anew and start again with another --group and --store, which answers what is published there"
	cureOfWritten = "make them anew, or start another process of this group, which makes what is absent; all goes on by itself then, and what they held is in the tables and the store"
)

// lost notes which topics are not there, and returns their cures where that is news.
func (t *topicIDs) lost(gone []string, of *kafka.Topics) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Equal(gone, t.gone) {
		return ""
	}
	var read, written []string
	for _, name := range gone {
		if name == of.Architectures || name == of.Labels {
			read = append(read, name)
		} else {
			written = append(written, name)
		}
	}
	var all []string
	if read != nil {
		all = append(all, strings.Join(read, ", ")+" gone: "+cureOfRead)
	}
	if written != nil {
		all = append(all, strings.Join(written, ", ")+" gone: "+cureOfWritten)
	}
	t.gone, t.cures = gone, strings.Join(all, "; ")
	return t.cures
}

// status is a line of /readyz, "" while every topic is there.
func (t *topicIDs) status() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cures
}
