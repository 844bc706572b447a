package kafkatest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Cluster is an Apache Kafka of several brokers, each its own process and a voter of
// the controllers' quorum. Every topic has three replicas, of which two acknowledge.
type Cluster struct{ Brokers []*Server }

// NewCluster starts a cluster of three brokers. It ends with the test, and with the
// test process. Where it cannot be, the test is left out, as with Real.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	const size = 3
	var voters []string
	var ports [size]int
	for i := range ports {
		ports[i] = freePort()
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, ports[i]))
	}
	var c Cluster
	for i, controller := range ports {
		s, err := serverWith(func(dir string, broker, _ int) (string, []string, error) {
			settings := fmt.Sprintf(properties, controller, broker, controller, broker, dir)
			return merge(settings, strings.Join([]string{
				fmt.Sprintf("node.id=%d", i+1),
				"controller.quorum.voters=" + strings.Join(voters, ","),
				"default.replication.factor=3", "min.insync.replicas=2",
				"offsets.topic.replication.factor=3",
				"transaction.state.log.replication.factor=3", "transaction.state.log.min.isr=2",
				"share.coordinator.state.topic.replication.factor=3", "share.coordinator.state.topic.min.isr=2",
				"replica.lag.time.max.ms=5000", "controlled.shutdown.enable=true",
			}, "\n")), nil, nil
		})
		if err != nil {
			leaveOut(t, err)
		}
		t.Cleanup(s.remove)
		c.Brokers = append(c.Brokers, s)
	}
	for _, s := range c.Brokers {
		if err := s.launch(); err != nil {
			t.Fatal("Apache Kafka: ", err)
		}
	}
	for _, s := range c.Brokers {
		if err := s.await(); err != nil {
			t.Fatal("Apache Kafka: ", err)
		}
	}
	return &c
}

// Address lists the brokers, beginning with the first-th.
func (c *Cluster) Address(first int) string {
	var all []string
	for i := range c.Brokers {
		all = append(all, c.Brokers[(first+i)%len(c.Brokers)].Address)
	}
	return strings.Join(all, ",")
}

// Launch starts the server without waiting for it to answer, as one of a cluster that
// has no quorum yet.
func (s *Server) Launch(t testing.TB) {
	t.Helper()
	if err := s.launch(); err != nil {
		t.Fatal("Apache Kafka: ", err)
	}
}

// Await returns when a server that was launched answers.
func (s *Server) Await(t testing.TB) {
	t.Helper()
	if err := s.await(); err != nil {
		t.Fatal("Apache Kafka: ", err)
	}
}

// Stop asks the server to hand its partitions over and to end, kills it when it has
// not after a while, and returns when it is gone.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case err := <-s.ended:
		s.ended <- err
	case <-time.After(40 * time.Second):
	}
	s.Kill()
}
