package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"archflow/schemas"
)

// Assignment lists the partitions of a member of a consumer group during one generation.
type Assignment struct {
	Member
	Partitions []schemas.TopicPartition // by number; empty while others hold them all
}

// Membership says which group to join for which topic. Zero durations are the
// defaults.
type Membership struct {
	Group string
	Topic string

	// Session is how long a member that has gone silent keeps its partitions;
	// default 10 s.
	Session time.Duration
	// Heartbeat bounds how late a member notices that others come and go;
	// default 1 s, less in a short session.
	Heartbeat time.Duration
	// Watch is how often new partitions are looked for; default 5 s.
	Watch time.Duration
}

// Hold joins the group and calls hold for every generation, also for those in which
// nothing is assigned. The context of hold ends when the partitions are taken away or
// ctx ends; hold then finishes and commits its work as the member that it was, and
// returns; the group waits for that. Hold returns the error of hold, or nil when ctx has
// ended, after leaving the group so that others need not wait for the session to run
// out. Faults of the broker are tried again until ctx ends; waiting, which may be nil,
// is called with them.
//
// Positions are the sinks' own. The offsets that the library reads for a generation are
// not used.
func (m Membership) Hold(ctx context.Context, c *Connection, waiting func(error), hold func(context.Context, Assignment) error) error {
	if _, _, err := c.security(); err != nil {
		return err
	}
	dialer := c.Dialer()
	conns := trackedConns{through: c.dial}
	session := cmp.Or(m.Session, 10*time.Second)
	dialer.DialFunc = conns.dial
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                     m.Group,
		Brokers:                []string{anyBroker},
		Dialer:                 dialer,
		Topics:                 []string{m.Topic},
		GroupBalancers:         []kafka.GroupBalancer{kafka.RangeGroupBalancer{}},
		SessionTimeout:         session,
		RebalanceTimeout:       max(20*time.Second, 2*m.Session), // more than a session may take to drain
		HeartbeatInterval:      cmp.Or(m.Heartbeat, min(time.Second, session/4)),
		WatchPartitionChanges:  true,
		PartitionWatchInterval: cmp.Or(m.Watch, 5*time.Second),
		JoinGroupBackoff:       500 * time.Millisecond,
		Timeout:                5 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("group %s: %w", m.Group, err)
	}
	defer func() {
		// The broker answers who joins when all others have joined, and waits for
		// one that was killed until its session has run out.
		unstick := time.AfterFunc(leaveLimit, conns.cut)
		defer unstick.Stop()
		group.Close()
	}()
	var since time.Time // of the first fault after the last generation
	for wait := NewBackoff(); ; {
		generation, err := group.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, kafka.GroupAuthorizationFailed) || errors.Is(err, kafka.TopicAuthorizationFailed) {
			return fmt.Errorf("group %s on %s: %w: grant READ on both to this user", m.Group, m.Topic, err)
		}
		if errors.Is(err, kafka.InconsistentGroupProtocol) {
			return fmt.Errorf("group %s on %s: %w: other software uses a group of this name; choose another --group", m.Group, m.Topic, err)
		}
		if err != nil {
			if since.IsZero() {
				since = time.Now()
			}
			if waiting != nil && time.Since(since) > worthSaying {
				waiting(fmt.Errorf("group %s on %s: %w", m.Group, m.Topic, err))
			}
			if wait.Wait(ctx) != nil { // the library goes on when it is asked again
				return nil //nolint:nilerr // asked to stop while resting
			}
			continue
		}
		since = time.Time{}
		began := time.Now()
		if err := m.during(ctx, generation, hold); err != nil || ctx.Err() != nil {
			return err
		}
		// A topic that is gone ends each generation at once.
		if len(generation.Assignments[m.Topic]) > 0 || time.Since(began) > shortGeneration {
			wait.Reset()
		} else if wait.Wait(ctx) != nil {
			return nil //nolint:nilerr // asked to stop while resting
		}
	}
}

const (
	// leaveLimit is how long leaving the group may take.
	leaveLimit = 2 * time.Second
	// worthSaying is for how long a group may be out of reach before the log mentions
	// it: a new cluster, or one whose coordinator moves, takes its time.
	worthSaying = 3 * time.Second
	// shortGeneration is how long a generation without partitions lasts at least whose
	// group is at rest.
	shortGeneration = time.Second
)

// during runs hold for one generation and returns when the generation is over
// or, at once, when hold has failed or ctx has ended.
func (m Membership) during(ctx context.Context, g *kafka.Generation, hold func(context.Context, Assignment) error) error {
	a := Assignment{Member: Member{Group: m.Group, Generation: g.ID, ID: g.MemberID}}
	for _, p := range g.Assignments[m.Topic] {
		a.Partitions = append(a.Partitions, schemas.TopicPartition{Topic: m.Topic, Number: int32(p.ID)})
	}
	slices.SortFunc(a.Partitions, func(a, b schemas.TopicPartition) int { return int(a.Number - b.Number) })

	held, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := make(chan struct{})
	done := make(chan struct{})
	// The library joins the next generation when the functions given to Start have
	// returned, so this one returns when hold does.
	g.Start(func(generation context.Context) {
		<-generation.Done()
		cancel(errRevoked)
		<-done
		close(over)
	})
	err := hold(held, a)
	close(done)
	if err != nil || ctx.Err() != nil {
		return err
	}
	select {
	case <-over:
	case <-ctx.Done():
	}
	return nil
}

// errRevoked is the cause of a context that ended because the partitions were
// taken away.
var errRevoked = errors.New("the partitions were taken away")

// trackedConns dials connections that can be cut all at once.
type trackedConns struct {
	through func(ctx context.Context, network, address string) (net.Conn, error)

	mu   sync.Mutex
	open map[*trackedConn]bool
}

type trackedConn struct {
	net.Conn
	of *trackedConns
}

func (t *trackedConns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := t.through(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[*trackedConn]bool{}
	}
	one := &trackedConn{conn, t}
	t.open[one] = true
	return one, nil
}

// Close closes one connection.
func (l *trackedConn) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}

// cut closes all connections that are open now.
func (t *trackedConns) cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for one := range t.open {
		_ = one.Conn.Close() // whoever uses it finds out
	}
}
