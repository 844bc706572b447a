package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"archflow/internal/kafka/kafkatest"
)

// clusterSession is how long a silent process keeps its partitions in TestCluster.
const clusterSession = 6 * time.Second

// TestCluster lets four workers and two trainers run on three Apache Kafka brokers,
// with a steady publisher, while every fault that can be made from outside happens in
// a random order. At the end the oracle compares topics and tables. `make cluster` runs
// it for half an hour.
func TestCluster(t *testing.T) {
	if *soakMinutes == 0 {
		t.Skip("make cluster runs it")
	}
	patience = 5 * time.Minute // a dozen processes start at the same time, three of them Java's
	r := newClusterRound(t, *crashSeed)
	for _, s := range r.seats {
		r.start(s)
	}
	r.reachable()
	feed := startLoad(r.in, rows(t), rand.New(rand.NewPCG(r.random.Uint64(), 1)), *soakRate)
	feed.withdrawn = .1
	r.feed = feed
	until(t, "the first candidates are answered", func() bool { return r.answered() > 0 })
	counts := map[string]int{}
	began := time.Now()
	for end := began.Add(time.Duration(*soakMinutes) * time.Minute); time.Now().Before(end); {
		deck := r.faults()
		r.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, f := range deck {
			if time.Now().After(end) {
				break
			}
			r.mend()
			t.Logf("%7s  %s", time.Since(began).Round(time.Second), f.name)
			f.happen()
			counts[f.name]++
			time.Sleep(time.Duration(r.random.IntN(4000)) * time.Millisecond)
		}
		r.catchUp()
	}
	r.others.Wait()
	t.Log("faults: ", counts)
	r.finish(feed)
	var all crashCounts
	all.add(r.crashCounts)
	t.Logf("seed %d: %s", *crashSeed, all)
}

// clusterRound is one installation on a cluster.
type clusterRound struct {
	*crashRound
	cluster *kafkatest.Cluster
	feed    *load
	page    string         // HTTP address of the first worker
	dead    string         // address that takes connections and never answers
	small   bool           // the data folder is a small disk of its own
	others  sync.WaitGroup // publishers with transactions
}

func newClusterRound(t *testing.T, seed uint64) *clusterRound {
	t.Helper()
	c := kafkatest.NewCluster(t)
	in := install(t, c.Address(0))
	in.prefix = fmt.Sprintf("cluster.%d.%d.", seed, os.Getpid())
	r := &clusterRound{crashRound: &crashRound{t: t, in: in, random: rand.New(rand.NewPCG(seed, 0))}, cluster: c, dead: silent(t)}
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=300m"); err == nil { // root may
		r.small = true
		t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	}
	in.data = filepath.Join(disk, "data")
	for key, value := range map[string]string{
		"DATA": in.data, "TOPIC_PREFIX": in.prefix, "GROUP": in.prefix + "group", "SESSION": clusterSession.String(),
		"FIRST_LABELS": "8", "CHECKPOINT": "2s", "TABLE_INTERVAL": "500ms", "PREDICTOR": "fgp", "PARTITIONS": "3",
	} {
		in.set(key, value)
	}
	in.quiet = true
	if err := os.MkdirAll(in.data, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.keep)
	for i := range 6 {
		s := &seat{name: fmt.Sprint("worker ", i), args: []string{"run", "--role", "worker", "--brokers", c.Address(i % 3)}}
		if i >= 4 {
			s.name, s.args[2] = fmt.Sprint("trainer ", i-4), "trainer"
		}
		if i == 3 || i == 5 {
			s.args[4] = r.dead + "," + s.args[4]
		}
		r.seats = append(r.seats, s)
	}
	r.page = kafkatest.FreeAddress(t)
	r.seats[0].args = append(r.seats[0].args, "--http", r.page)
	return r
}

// silent returns an address that takes connections and answers nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() }) // which keeps it from the garbage, too
		}
	}()
	return l.Addr().String()
}

func (r *clusterRound) workers() []*seat  { return r.seats[:4] }
func (r *clusterRound) trainers() []*seat { return r.seats[4:] }

// endings are the sentences of faults that end a process, which a supervisor starts
// again.
var endings = []string{"has been moved away or removed while it was in use", "no space left on device", "too many open files"}

// mend starts the processes that have ended because of such a fault.
func (r *clusterRound) mend() {
	r.t.Helper()
	for _, s := range r.seats {
		select {
		case <-s.process.done:
			said := lastLines(s.process.err.String(), 1)
			if !slices.ContainsFunc(endings, func(e string) bool { return strings.Contains(said, e) }) {
				r.t.Fatalf("%s ended by itself with status %d: %s", s.name, s.process.status, lastLines(s.process.err.String(), 5))
			}
			r.noted(s)
			r.start(s)
		default:
		}
	}
}

// answered returns the sum of the group's positions, -1 when the cluster cannot be
// asked now.
func (r *clusterRound) answered() (sum int64) {
	topic := r.in.topic("architectures")
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	known, err := client(r.in.address).OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: r.in.prefix + "group", Topics: map[string][]int{topic: r.partitions("architectures")}})
	if err != nil || known.Error != nil {
		return -1
	}
	for _, p := range known.Topics[topic] {
		if p.Error != nil {
			return -1
		}
		sum += max(p.CommittedOffset, 0)
	}
	return sum
}

// partitions lists those of a topic, as many as there can be.
func (r *clusterRound) partitions(short string) []int {
	all := make([]int, 0, 16)
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	m, err := client(r.in.address).Metadata(ctx, &kafka.MetadataRequest{Topics: []string{r.in.topic(short)}})
	if err == nil && len(m.Topics) == 1 {
		for i := range m.Topics[0].Partitions {
			all = append(all, i)
		}
	}
	return all
}

// catchUp waits until all that is published so far is answered: no fault may stop
// the stream for good.
func (r *clusterRound) catchUp() {
	r.t.Helper()
	want := int64(r.feed.sum(r.in.topic("architectures")))
	began := time.Now()
	var sum int64
	for sum < want {
		if sum = r.answered(); time.Since(began) > 4*time.Minute {
			for _, s := range r.seats {
				r.t.Logf("%s: %s", s.name, lastLines(s.process.err.String(), 4))
			}
			r.t.Fatalf("%d of %d candidates are answered after 4 minutes", sum, want)
		}
		r.mend()
		time.Sleep(100 * time.Millisecond)
	}
	r.t.Logf("%d candidates acknowledged, %d positions; caught up in %s; resident MB %s", want, sum, time.Since(began).Round(time.Second), strings.Join(r.resident(), " "))
}
