package pipeline

import (
	"sync"
	"time"

	"archflow/internal/kafka"
)

// Positions are of a topic and not of its name: one that was deleted and made again
// may have grown past them, and then nothing else tells. The id of each topic is
// kept in the store beside the first positions that a group has of it, and never
// changes there.

// topicIDs are the ids that this process has found to be the kept ones.
type topicIDs struct {
	mu   sync.Mutex
	kept map[string]keptID // by key in the store
}

// keptID is the id that a group's positions are of.
type keptID struct {
	topic, id, group, cure string
}

// What to do about a topic that is another one.
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
