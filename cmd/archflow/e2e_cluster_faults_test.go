package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"archflow/internal/kafka/kafkatest"
)

// fault is something that can happen to an installation from outside.
type fault struct {
	name   string
	happen func()
}

// faults lists each once; what is drawn within them differs from deck to deck.
func (r *clusterRound) faults() []fault {
	all := []fault{
		{"worker killed", func() { r.again(r.one(r.workers())) }},
		{"trainer killed", func() { r.again(r.one(r.trainers())) }},
		{"every process killed", func() { r.again(r.seats...) }},
		{"a worker killed again and again", func() {
			for s := r.one(r.workers()); r.random.IntN(4) > 0; r.rest(time.Second) {
				r.again(s)
			}
		}},
		{"worker sleeps for longer than its session", func() { r.sleep(r.one(r.workers()), clusterSession+2*time.Second) }},
		{"trainer sleeps for longer than its session", func() { r.sleep(r.one(r.trainers()), clusterSession+2*time.Second) }},
		{"every process sleeps", func() { r.sleepAll(3 * time.Second) }},
		{"rolling restart of the processes", r.rollProcesses},
		{"worker stopped at once", r.stopAtOnce},
		{"all processes stopped and started", func() { r.stopped(r.seats, func() {}) }},
		{"broker killed", func() { r.brokersKilled(r.broker()) }},
		{"two brokers killed", func() { b := r.broker(); r.brokersKilled(b, r.after(b)) }},
		{"all brokers killed", func() { r.brokersKilled(r.cluster.Brokers...) }},
		{"broker hangs", func() { r.hang(r.broker()) }},
		{"two brokers hang", func() { b := r.broker(); r.hang(b, r.after(b)) }},
		{"broker hangs that is listed first, and the processes start", r.hangFirst},
		{"rolling restart of the brokers", r.rollBrokers},
		{"leaders moved", r.moveLeaders},
		{"candidates' topic grown", func() { r.grow("architectures", 12) }},
		{"labels' topic grown", func() { r.grow("labels", 4) }},
		{"labels withdrawn", func() { r.burst(func(l *load) *kgo.Record { l.withdrawn = 1; return l.label() }) }},
		{"broken candidates", func() { r.burst(func(l *load) *kgo.Record { l.poison = 1; return l.candidate() }) }},
		{"publisher's transaction stays open", r.openTransaction},
		{"transactional id taken", r.fence},
		{"members thrown out of the group", r.throwOut},
		{"group deleted", r.deleteGroup},
		{"newest model damaged", r.damageModel},
		{"newest checkpoint damaged", r.damageCheckpoint},
		{"tables moved away", func() { r.moveAway("tables") }},
		{"store moved away", func() { r.moveAway("store") }},
		{"foreign constraint", r.constrain},
		{"foreign compaction", func() { r.foreign(nil, "compact", r.tableOf()) }},
		{"no more files can be opened", r.noFiles},
		{"500 connections", r.flood},
	}
	if r.small {
		all = append(all, fault{"disk full", r.fillDisk})
	}
	return all
}

func (r *clusterRound) one(of []*seat) *seat { return of[r.random.IntN(len(of))] }

func (r *clusterRound) broker() *kafkatest.Server {
	return r.cluster.Brokers[r.random.IntN(len(r.cluster.Brokers))]
}

func (r *clusterRound) after(b *kafkatest.Server) *kafkatest.Server {
	i := slices.Index(r.cluster.Brokers, b)
	return r.cluster.Brokers[(i+1)%len(r.cluster.Brokers)]
}

// rest sleeps for up to most.
func (r *clusterRound) rest(most time.Duration) {
	time.Sleep(time.Duration(r.random.Int64N(int64(most))))
}

// again kills processes and starts them.
func (r *clusterRound) again(seats ...*seat) {
	for _, s := range seats {
		r.kill(s)
	}
	r.rest(500 * time.Millisecond)
	for _, s := range seats {
		r.start(s)
	}
}

func (r *clusterRound) sleep(s *seat, long time.Duration) {
	s.process.signal(syscall.SIGSTOP)
	time.Sleep(long)
	s.process.signal(syscall.SIGCONT)
	r.Zombies++
}

func (r *clusterRound) sleepAll(long time.Duration) {
	for _, s := range r.seats {
		s.process.signal(syscall.SIGSTOP)
	}
	time.Sleep(long)
	for _, s := range r.seats {
		s.process.signal(syscall.SIGCONT)
	}
}

func (r *clusterRound) rollProcesses() {
	for _, i := range r.random.Perm(len(r.seats)) {
		r.ask(r.seats[i])
		r.start(r.seats[i])
	}
}

// stopAtOnce sends the second signal while the first is being obeyed.
func (r *clusterRound) stopAtOnce() {
	s := r.one(r.workers())
	until(r.t, s.name+" has begun", func() bool { return s.process.err.String() != "" })
	s.process.signal(syscall.SIGTERM)
	r.rest(50 * time.Millisecond)
	_ = s.process.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	s.process.wait(10 * time.Second)
	r.noted(s)
	r.start(s)
}

// stopped asks processes to stop, does something, and starts them.
func (r *clusterRound) stopped(seats []*seat, do func()) {
	for _, s := range seats {
		r.ask(s)
	}
	do()
	for _, s := range seats {
		r.start(s)
	}
}

func (r *clusterRound) brokersKilled(brokers ...*kafkatest.Server) {
	for _, b := range brokers {
		b.Kill()
		r.Brokers++
		r.Kills++
	}
	r.rest(8 * time.Second)
	for _, b := range brokers {
		b.Launch(r.t)
	}
	for _, b := range brokers {
		b.Await(r.t)
	}
}

func (r *clusterRound) hang(brokers ...*kafkatest.Server) {
	for _, b := range brokers {
		b.Signal(r.t, syscall.SIGSTOP)
	}
	time.Sleep(4 * time.Second)
	r.rest(12 * time.Second)
	for _, b := range brokers {
		b.Signal(r.t, syscall.SIGCONT)
	}
}

// hangFirst restarts the processes that list a broker first while it hangs; they are
// to find the others.
func (r *clusterRound) hangFirst() {
	i := r.random.IntN(len(r.cluster.Brokers))
	b := r.cluster.Brokers[i]
	b.Signal(r.t, syscall.SIGSTOP)
	var seats []*seat
	for _, s := range r.seats {
		if slices.ContainsFunc(s.args, func(a string) bool { return strings.HasPrefix(a, b.Address) }) {
			seats = append(seats, s)
		}
	}
	r.again(seats...)
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left := slices.DeleteFunc(slices.Clone(seats), func(s *seat) bool { return s.said("assigned") })
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			r.t.Errorf("%s is not in its group after 3 minutes: %s", left[0].name, lastLines(left[0].process.err.String(), 5))
			break
		}
	}
	b.Signal(r.t, syscall.SIGCONT)
}

func (r *clusterRound) rollBrokers() {
	for _, i := range r.random.Perm(len(r.cluster.Brokers)) {
		b := r.cluster.Brokers[i]
		b.Stop()
		r.rest(time.Second)
		b.Start(r.t)
	}
}

// burst publishes a hundred messages of a kind, at once.
func (r *clusterRound) burst(kind func(*load) *kgo.Record) {
	l := r.publisher()
	client := r.client()
	defer client.Close()
	var records []*kgo.Record
	for range 100 {
		records = append(records, kind(l))
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	for _, p := range client.ProduceSync(ctx, records...) {
		if p.Err == nil {
			r.feed.acknowledged(p.Record)
		}
	}
}

// publisher is a source of messages beside the steady one, with numbers of its own.
func (r *clusterRound) publisher() *load {
	return &load{in: r.in, rows: r.feed.rows, random: rand.New(rand.NewPCG(r.random.Uint64(), 2)), number: 1e9 + r.random.IntN(1e15)}
}

func (r *clusterRound) client(options ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(strings.Split(r.in.address, ",")...), kgo.RetryTimeout(20*time.Second), kgo.DialTimeout(2*time.Second))...)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// openTransaction has another program hold candidates in a transaction, beside the
// faults that follow, and commit or abort it.
func (r *clusterRound) openTransaction() {
	l := r.publisher()
	long, commit := time.Duration(5+r.random.IntN(20))*time.Second, r.random.IntN(3) > 0
	client := r.client(kgo.TransactionalID(fmt.Sprint("publisher ", r.random.Uint64())), kgo.TransactionTimeout(45*time.Second))
	r.others.Go(func() {
		defer client.Close()
		if client.BeginTransaction() != nil {
			return
		}
		var records []*kgo.Record
		for range 50 {
			records = append(records, l.candidate())
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		failed := client.ProduceSync(ctx, records...).FirstErr() != nil
		time.Sleep(long)
		if client.EndTransaction(ctx, kgo.TransactionEndTry(commit && !failed)) == nil && commit && !failed {
			r.feed.acknowledged(records...)
		}
	})
}

// fence starts a producer with a worker's transactional id.
func (r *clusterRound) fence() {
	topic := r.in.topic("architectures")
	id := fmt.Sprintf("%s%sgroup/%s/%d", r.in.prefix, r.in.prefix, topic, r.random.IntN(3))
	client := r.client(kgo.TransactionalID(id))
	defer client.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if _, _, err := client.ProducerID(ctx); err != nil {
		r.t.Logf("%s was not taken: %v", id, err)
	}
}

// flood opens connections to a worker's page that say nothing; whoever asks after its
// health is answered all the same.
func (r *clusterRound) flood() {
	for range 500 {
		c, err := net.DialTimeout("tcp", r.page, time.Second)
		if err != nil {
			break // the worker has just started, or lets nobody in
		}
		defer c.Close()
	}
	until(r.t, "the worker's page answers", func() bool {
		client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Get("http://" + r.page + "/livez")
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	})
}

// noFiles lets no process open another file for a while.
func (r *clusterRound) noFiles() {
	s := r.seats[r.random.IntN(len(r.seats))]
	pid := s.process.cmd.Process.Pid
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return // it has just ended
	}
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		return
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(len(open)), Max: before.Max}, nil); err != nil {
		r.t.Log("the limit on files was not set: ", err)
		return
	}
	time.Sleep(8 * time.Second)
	_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil) // it may have ended
}

func (r *clusterRound) fillDisk() {
	filler := filepath.Join(filepath.Dir(r.in.data), "filler")
	file, err := os.Create(filler)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = io.Copy(file, zeros{}) // until there is no room
	if !errors.Is(err, syscall.ENOSPC) {
		r.t.Errorf("the disk was to be full: %v", err)
	}
	time.Sleep(5 * time.Second)
	if err := errors.Join(file.Close(), os.Remove(filler)); err != nil {
		r.t.Fatal(err)
	}
}

// zeros is a file without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// moveAway takes a folder away for as long as it takes someone to notice. A process that starts
// while it is away would make another.
func (r *clusterRound) moveAway(name string) {
	until(r.t, "all processes are in their groups", func() bool {
		r.mend()
		return !slices.ContainsFunc(r.seats, func(s *seat) bool { return !s.said("assigned") })
	})
	folder := filepath.Join(r.in.data, name)
	if err := os.Rename(folder, folder+".away"); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	if _, err := os.Stat(folder); err == nil {
		r.t.Errorf("%s was made anew beside the one that was moved away", name)
	}
	if err := os.Rename(folder+".away", folder); err != nil {
		r.t.Fatal(err)
	}
}

// foreign runs a step of foreign.py.
func (r *clusterRound) foreign(to any, args ...string) bool {
	r.t.Helper()
	if to == nil {
		to = new(map[string]int64)
	}
	return r.in.python(to, append([]string{"foreign.py"}, args...)...)
}

func (r *clusterRound) tableOf() string {
	return r.in.table([]string{"predictions", "labels", "dead_letters"}[r.random.IntN(3)])
}

func (r *clusterRound) constrain() {
	table := r.in.table("predictions")
	if r.foreign(nil, "constrain", table) {
		r.rest(15 * time.Second)
		r.foreign(nil, "release", table)
	}
}

// newest returns the newest object of a folder of the store, "" without any.
func (r *clusterRound) newest(folder string) string {
	names, err := filepath.Glob(filepath.Join(r.in.data, "store", folder, "*"))
	if err != nil || len(names) < 2 {
		return ""
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return names[len(names)-1]
}

// damage cuts an object of the store in half.
func (r *clusterRound) damage(name string) {
	info, err := os.Stat(name)
	if err == nil {
		err = os.Truncate(name, info.Size()/2)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Log("cut in half: ", name)
}

func (r *clusterRound) damageModel() {
	r.stopped(r.seats, func() {
		if name := r.newest("models/micro"); name != "" && r.tableIsLevel() {
			r.damage(name)
		}
	})
}

func (r *clusterRound) damageCheckpoint() {
	r.stopped(r.trainers(), func() {
		if name := r.newest("checkpoints"); name != "" {
			r.damage(name)
		}
	})
}

// request sends a request to the cluster until it is answered.
func request[T kmsg.Response](r *clusterRound, q interface {
	kmsg.Request
	RequestWith(context.Context, kmsg.Requestor) (T, error)
}) (answer T, ok bool) {
	client := r.client()
	defer client.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	answer, err := q.RequestWith(ctx, client)
	if err != nil {
		r.t.Logf("%T: %v", q, err)
	}
	return answer, err == nil
}
