package pipeline

import (
	"fmt"
	"runtime/debug"
	"sync"

	"archflow/schemas"
)

// stagePanic is a panic of a stage as an error. It names the messages that the
// stage was working on.
type stagePanic struct {
	stage string
	schemas.TopicPartition
	first, next int64 // offsets of the messages: first <= offset < next
	value       any   // that the stage panicked with
	stack       []byte
}

// Error names the place.
func (e *stagePanic) Error() string {
	return fmt.Sprintf("%s: %s partition %d, offsets %d to %d: a fault of archflow: %v", e.stage, e.Topic, e.Number, e.first, e.next-1, e.value)
}

// guard runs a stage's work on b and returns a panic of it as a *stagePanic.
func guard(stage string, b *schemas.Batch, work func() error) (err error) {
	at, first, next := b.TopicPartition, b.First, b.Next
	defer func() {
		if value := recover(); value != nil {
			err = &stagePanic{stage: stage, TopicPartition: at, first: first, next: next, value: value, stack: debug.Stack()}
		}
	}()
	return work()
}

// maxCondemned bounds how many messages of a process can be given up because a
// stage panics at them. More are not the fault of single messages, and the
// process ends.
const maxCondemned = 100

// suspects are the messages at which stages of one role have panicked. A panic ends the
// session; the next one takes the messages in question one by one, and the session after
// that makes a dead letter of the one that is left. So one message stops neither the
// process nor those behind it. It is safe for concurrent use.
type suspects struct {
	mu        sync.Mutex
	stretches map[schemas.TopicPartition][]stretch
	condemned map[schemas.TopicPartition]map[int64]string // offset -> what happened
	count     int
}

// stretch is a range of offsets: first <= offset < next.
type stretch struct{ first, next int64 }

func newSuspects() *suspects {
	return &suspects{stretches: map[schemas.TopicPartition][]stretch{}, condemned: map[schemas.TopicPartition]map[int64]string{}}
}

// note remembers where a stage panicked. It reports whether a new session can go
// on because of it.
func (s *suspects) note(e *stagePanic) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.stretches[e.TopicPartition] {
		if e.first < known.first || e.next > known.next {
			continue
		}
		if s.count++; s.count > maxCondemned {
			return false
		}
		if s.condemned[e.TopicPartition] == nil {
			s.condemned[e.TopicPartition] = map[int64]string{}
		}
		s.condemned[e.TopicPartition][e.next-1] = e.Error()
		return true
	}
	s.stretches[e.TopicPartition] = append(s.stretches[e.TopicPartition], stretch{e.first, e.next})
	return true
}

// verdict says whether the message of an offset is to be taken by itself, and
// why it is to be given up, "" when it is not.
func (s *suspects) verdict(p schemas.TopicPartition, offset int64) (alone bool, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.stretches[p] {
		alone = alone || known.first <= offset && offset < known.next
	}
	return alone, s.condemned[p][offset]
}

// among reports whether messages of a partition are under suspicion.
func (s *suspects) among(p schemas.TopicPartition) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.stretches[p]) > 0
}
