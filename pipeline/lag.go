package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"archflow/internal/kafka"
	"archflow/ops"
	"archflow/schemas"
)

// lag measures how far the answers are behind the ends of the partitions that this
// process was given. A message counts until its answer or dead letter is committed to
// its topic, wherever it is held up; its age grows while nothing moves.
type lag struct {
	metrics *ops.Metrics
	mu      sync.Mutex
	of      map[schemas.TopicPartition]*partitionLag
}

type partitionLag struct {
	end, covered int64
	known        time.Time // when end was heard of last
	held         []flight  // read and not yet covered, in order
	open         int64     // messages that an open transaction keeps from being read
	opened       time.Time // since when
	warned       bool      // that it takes long
}

// flight is a batch on its way.
type flight struct {
	next   int64
	oldest time.Time // of its messages
}

func newLag(m *ops.Metrics) *lag {
	return &lag{metrics: m, of: map[schemas.TopicPartition]*partitionLag{}}
}

// begin takes a partition that is read from an offset on.
func (l *lag) begin(p schemas.TopicPartition, from int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of[p] = &partitionLag{end: from, covered: from, known: time.Now()}
}

// forget drops a partition that is no longer ours.
func (l *lag) forget(p schemas.TopicPartition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, p)
	l.metrics.Forget(p.Topic, p.Number)
}

// read records the messages that were fetched up to next, and the end that the broker
// reported.
func (l *lag) read(p schemas.TopicPartition, m *schemas.Messages, next, end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of[p]
	if of == nil {
		return
	}
	of.end, of.known = max(end, next), time.Now()
	if m != nil && m.Len() > 0 {
		of.held = append(of.held, flight{next, time.UnixMilli(m.Time[0])})
	}
	l.report(p, of)
}

// openTransaction notes how many messages beyond the end cannot be read yet. It
// reports whether that has just become worth a line of the log, and since when.
func (l *lag) openTransaction(p schemas.TopicPartition, messages int64, now time.Time) (warn bool, since time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of[p]
	if of == nil {
		return false, 0
	}
	switch of.open = messages; {
	case messages == 0:
		of.opened, of.warned = time.Time{}, false
	case of.opened.IsZero():
		of.opened = now
	}
	if of.open > 0 {
		since = now.Sub(of.opened)
	}
	warn = since >= openTooLong && !of.warned
	of.warned = of.warned || warn
	l.report(p, of)
	return warn, since
}

// openTooLong is for how long a transaction may be open before it is said.
const openTooLong = 30 * time.Second

// cover notes that everything before next is committed.
func (l *lag) cover(p schemas.TopicPartition, next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of[p]
	if of == nil {
		return
	}
	of.covered = max(of.covered, next)
	done := 0
	for done < len(of.held) && of.held[done].next <= next {
		done++
	}
	of.held = slices.Delete(of.held, 0, done)
	l.report(p, of)
}

// report sets the metrics of a partition; the caller holds the lock.
func (l *lag) report(p schemas.TopicPartition, of *partitionLag) ops.LagState {
	s := ops.LagState{Topic: p.Topic, Partition: p.Number, Messages: max(of.end-of.covered, 0)}
	var age time.Duration
	if len(of.held) > 0 {
		age = max(time.Since(of.held[0].oldest), 0)
	}
	s.Seconds = age.Seconds()
	l.metrics.Lag(p.Topic, p.Number, s.Messages, age)
	if of.open > 0 {
		s.Open, s.OpenSeconds = of.open, time.Since(of.opened).Seconds()
	}
	l.metrics.Open(p.Topic, p.Number, s.Open, time.Duration(s.OpenSeconds*float64(time.Second)))
	return s
}

// states returns the lag of all partitions now.
func (l *lag) states() []ops.LagState {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []ops.LagState
	for _, p := range slices.SortedFunc(maps.Keys(l.of), func(a, b schemas.TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
	}) {
		list = append(list, l.report(p, l.of[p]))
	}
	return list
}

// unread names the partitions whose messages are held back by open transactions of their
// publishers, "" without any.
func (l *lag) unread() string {
	var all []string
	for _, s := range l.states() {
		if s.Open > 0 {
			all = append(all, fmt.Sprintf("%d messages of %s, partition %d, wait for the end of a publisher's transaction, since %.0f s", s.Open, s.Topic, s.Partition, s.OpenSeconds))
		}
	}
	return strings.Join(all, "; ")
}

// refresh asks the broker for the ends of partitions that were not fetched from for a
// while, because the messages read last are held up.
func (l *lag) refresh(ctx context.Context, client *kafka.Client, older time.Duration) {
	l.mu.Lock()
	var stale []schemas.TopicPartition
	for p, of := range l.of {
		if time.Since(of.known) > older {
			stale = append(stale, p)
		}
	}
	l.mu.Unlock()
	for _, p := range stale {
		_, end, err := kafka.Ends(ctx, client, p)
		if err != nil {
			break // readiness says that the broker does not answer
		}
		l.mu.Lock()
		if of := l.of[p]; of != nil {
			of.end, of.known = max(of.end, end), time.Now()
		}
		l.mu.Unlock()
	}
	l.states()
}
