package pipeline

import (
	"sync"

	"archflow/schemas"
)

// backlog is how many candidates wait to be read, partition by partition. Training
// yields to them. It is safe for concurrent use.
type backlog struct {
	mu     sync.Mutex
	unread map[schemas.TopicPartition]int64
}

func newBacklog() *backlog { return &backlog{unread: map[schemas.TopicPartition]int64{}} }

// set notes how many messages of a partition are not read.
func (b *backlog) set(p schemas.TopicPartition, unread int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unread[p] = unread
}

// any says that candidates wait.
func (b *backlog) any() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.unread {
		if n > 0 {
			return true
		}
	}
	return false
}
