package pipeline

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
)

// mortal is a member of a group, of another library, that can be killed.
type mortal struct {
	*kgo.Client
	wiring wiring
	dead   atomic.Bool
}

func newMortal(t *testing.T, address, group, topic string) *mortal {
	t.Helper()
	m := &mortal{}
	var err error
	m.Client, err = kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer()),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(100*time.Millisecond), kgo.DisableAutoCommit(), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
			if m.dead.Load() {
				return nil, errors.New("dead")
			}
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			m.wiring.mu.Lock()
			defer m.wiring.mu.Unlock()
			m.wiring.conns = append(m.wiring.conns, &wire{Conn: c})
			return c, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.kill()
		m.Close()
	})
	return m
}

// kill cuts the member off, so that it cannot leave.
func (m *mortal) kill() {
	m.dead.Store(true)
	m.wiring.mu.Lock()
	defer m.wiring.mu.Unlock()
	for _, c := range m.wiring.conns {
		_ = c.Close()
	}
}

// TestExitAtEndWaitsForDeadMembers: a run with exit-at-end that shares its group with a
// member that dies processes that one's partitions too before it ends.
func TestExitAtEndWaitsForDeadMembers(t *testing.T) {
	f := newFaulty(t)
	f.run()
	f.end() // the topics are there
	f.feed(400)
	other := newMortal(t, f.config.Brokers[0], f.config.Group, f.topic("architectures"))
	f.config.ExitAtEnd = true
	go other.PollFetches(t.Context())
	if _, err := f.cluster.WaitGroupStable(t.Context(), f.config.Group, 1); err != nil {
		t.Fatal(err)
	}
	f.run()
	if _, err := f.cluster.WaitGroupStable(t.Context(), f.config.Group, 2); err != nil {
		t.Fatal(err)
	}
	other.kill()
	select {
	case err := <-f.ended:
		f.stop = nil
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("it does not end")
	}
	f.complete(0)
}

// TestExitAtEndLeavesWithoutDeadMembers: who asks to stop while the group waits for a member
// that was killed need not wait for it too.
func TestExitAtEndLeavesWithoutDeadMembers(t *testing.T) {
	address := kafkatest.Fake(t)
	const topic = "leaves"
	client := kafkatest.Client(t, address)
	kafkatest.Topics(t, client, 4, topic)
	other := newMortal(t, address, topic, topic)
	go other.PollFetches(t.Context())
	await(t, func() string {
		if group, generation := other.GroupMetadata(); group == "" || generation < 1 {
			return "the other has not joined"
		}
		return ""
	})
	other.kill()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- kafka.Membership{Group: topic, Topic: topic}.Hold(ctx, &kafka.Connection{Brokers: []string{address}}, nil, func(ctx context.Context, _ kafka.Assignment) error {
			<-ctx.Done()
			return nil
		})
	}()
	kafkatest.Eventually(t, "it has asked to join, and the group waits for the other", func() bool {
		r, err := client.DescribeGroups(t.Context(), &kafkago.DescribeGroupsRequest{GroupIDs: []string{topic}})
		return err == nil && len(r.Groups) == 1 && r.Groups[0].GroupState == "PreparingRebalance"
	})
	began := time.Now()
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not leave")
	}
	if took := time.Since(began); took > 5*time.Second { // the session of the dead one lasts longer
		t.Errorf("left after %s", took)
	}
}
