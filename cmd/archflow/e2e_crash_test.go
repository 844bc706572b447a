package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
)

var (
	crashKills = flag.Int("kills", 8, "kills of TestEndToEndCrash on each broker")
	crashOn    = flag.String("on", "embedded", "brokers of TestEndToEndCrash: embedded, kafka or both with a comma")
	crashEvery = flag.Int("round", 40, "kills after which the oracle compares everything")
	crashSeed  = flag.Uint64("seed", 1, "what the first round of TestEndToEndCrash is drawn from; each next adds one")
	crashKeep  = flag.String("keep", "", "folder for the data of a round that failed")
)

// crashSession is how long a process that is silent keeps its partitions in
// these tests. A zombie sleeps for longer.
const crashSession = 2 * time.Second

// TestEndToEndCrash kills everything with SIGKILL at random moments, while
// candidates and labels stream in and models change, and has an independent
// reader compare topics and tables. `make crash` runs it for thousands of kills.
func TestEndToEndCrash(t *testing.T) {
	for _, on := range strings.Split(*crashOn, ",") {
		t.Run(on, func(t *testing.T) {
			var all crashCounts
			began := time.Now()
			for n, left := 0, *crashKills; left > 0; n++ {
				kills := min(left, *crashEvery)
				left -= kills
				seed := *crashSeed + uint64(n)
				ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
					r := newCrashRound(t, on, seed)
					r.run(kills)
					all.add(r.crashCounts)
				})
				t.Logf("seed %d, %s: %s", seed, time.Since(began).Round(time.Second), all)
				if !ok {
					t.Fatalf("to see it again: go test ./cmd/archflow -run TestEndToEndCrash -v -args -on %s -kills %d -round %d -seed %d", on, kills, kills, seed)
				}
			}
		})
	}
}

// crashCounts are the counts of a number of rounds.
type crashCounts struct {
	Kills, Brokers, Stops, Zombies, Rebalances   int
	Transactions, Aborted, TableCommits          int
	Candidates, Letters, Labels, Models, Checked int
	Missing, Twice, Different, Differences       int
	rounds                                       int
}

func (c *crashCounts) add(d crashCounts) {
	c.Kills += d.Kills
	c.Brokers += d.Brokers
	c.Stops += d.Stops
	c.Zombies += d.Zombies
	c.Rebalances += d.Rebalances
	c.Transactions += d.Transactions
	c.Aborted += d.Aborted
	c.TableCommits += d.TableCommits
	c.Candidates += d.Candidates
	c.Letters += d.Letters
	c.Labels += d.Labels
	c.Models += d.Models
	c.Missing += d.Missing
	c.Twice += d.Twice
	c.Different += d.Different
	c.Differences += d.Differences
	c.rounds++
}

func (c crashCounts) String() string {
	return fmt.Sprintf("%d rounds: kills %d, brokers killed %d, asked to stop %d, zombies %d, assignments %d; commits %d of transactions (%d aborted) and %d of tables; compared %d candidates, %d dead letters, %d labels, %d models; %d missing, %d twice, %d different: differences %d",
		c.rounds, c.Kills, c.Brokers, c.Stops, c.Zombies, c.Rebalances, c.Transactions, c.Aborted, c.TableCommits, c.Candidates, c.Letters, c.Labels, c.Models, c.Missing, c.Twice, c.Different, c.Differences)
}

// crashRound is one installation that is killed again and again.
type crashRound struct {
	crashCounts
	without string // the safeguard that is left out; differences are wanted then
	t       *testing.T
	in      *installation
	server  *kafkatest.Server // nil with the embedded broker
	random  *rand.Rand
	seats   []*seat
}

// seat is where a process is started again when it has gone.
type seat struct {
	name    string
	args    []string
	process *process
	down    bool // asked to stop, and not wanted for now
	stopped time.Time
}

func newCrashRound(t *testing.T, on string, seed uint64) *crashRound {
	t.Helper()
	r := &crashRound{t: t, random: rand.New(rand.NewPCG(seed, 0))}
	address := ""
	if on == "kafka" {
		r.server = crashServer(t)
		address = r.server.Address
	}
	in := install(t, address)
	in.prefix = fmt.Sprintf("crash.%s.%d.%d.", on, seed, os.Getpid())
	in.set("TOPIC_PREFIX", in.prefix)
	in.set("GROUP", in.prefix+"group")
	in.set("SESSION", crashSession.String())
	in.set("FIRST_LABELS", "8")
	in.set("CHECKPOINT", []string{"1s", "3s"}[r.random.IntN(2)])
	in.set("TABLE_INTERVAL", []string{"100ms", "300ms", "1s"}[r.random.IntN(3)])
	in.set("PREDICTOR", []string{"best", "fgp", "fgp", "fgp"}[r.random.IntN(4)])
	in.set("SURROGATE", []string{"true", "false"}[r.random.IntN(2)])
	in.set("PARTITIONS", []string{"1", "3", "4"}[r.random.IntN(3)])
	in.quiet = true
	r.in = in
	t.Cleanup(r.keep)
	if r.random.IntN(2) == 0 {
		r.seats = []*seat{{name: "all", args: []string{"run"}}}
	} else {
		for i := range 3 {
			r.seats = append(r.seats, &seat{name: fmt.Sprint("worker ", i), args: []string{"run", "--role", "worker"}})
		}
		r.seats = append(r.seats, &seat{name: "trainer", args: []string{"run", "--role", "trainer"}})
	}
	t.Logf("%d processes, %v", len(r.seats), in.env[len(in.env)-8:])
	return r
}

// crashKafka is the Apache Kafka of all rounds.
var crashKafka *kafkatest.Server

func crashServer(t *testing.T) *kafkatest.Server {
	t.Helper()
	if crashKafka == nil {
		server := kafkatest.Lasting(t)
		server.Start(t)
		crashKafka = server
	}
	return crashKafka
}

func (r *crashRound) start(s *seat) {
	s.process = r.in.start(s.args...)
	s.down = false
}

// said reports whether the process of a seat has written a text.
func (s *seat) said(what string) bool { return strings.Contains(s.process.err.String(), what) }

// run kills that many processes, then lets everything finish, and compares.
func (r *crashRound) run(kills int) {
	r.t.Helper()
	for _, s := range r.seats {
		r.start(s)
	}
	r.reachable()
	feed := startLoad(r.in, rows(r.t), rand.New(rand.NewPCG(r.random.Uint64(), 1)), 40+160*r.random.Float64())
	for r.Kills < kills && !r.t.Failed() {
		r.step()
	}
	r.finish(feed)
}

// finish ends the load and all processes, has one run do the rest, and
// compares.
func (r *crashRound) finish(feed *load) {
	r.t.Helper()
	acked := feed.end(r.t)
	for _, s := range r.seats {
		if s.process != nil {
			r.noted(s)
			s.process.kill()
		}
	}
	last := &seat{name: "last", args: []string{"run", "--exit-at-end"}}
	r.start(last)
	if status := last.process.wait(5 * time.Minute); status != 0 {
		r.t.Fatalf("the last run ended with status %d: %s", status, lastLines(last.process.err.String(), 5))
	}
	r.compare(acked)
}

// step does one thing to one process, or to all, at a random moment.
func (r *crashRound) step() {
	r.t.Helper()
	s := r.seats[r.random.IntN(len(r.seats))]
	if s.down {
		r.start(s)
		return
	}
	for _, s := range r.seats {
		if !s.stopped.IsZero() && time.Since(s.stopped) > crashSession+time.Second {
			s.process.signal(syscall.SIGCONT)
			s.stopped = time.Time{}
		}
	}
	// Most of the time there is something under way; sometimes it is killed
	// before that.
	if r.random.IntN(4) > 0 {
		for deadline := time.Now().Add(8 * time.Second); s.stopped.IsZero() && !s.said("assigned") && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
			r.alive(s)
		}
	}
	time.Sleep(time.Duration(r.random.IntN(1500/min(len(r.seats), 2))) * time.Millisecond)
	for _, s := range r.seats {
		r.alive(s)
	}
	what := r.random.IntN(100)
	switch {
	case what < 2 && r.server != nil:
		r.server.Kill()
		time.Sleep(time.Duration(r.random.IntN(500)) * time.Millisecond)
		r.server.Start(r.t)
		r.Brokers++
		r.Kills++
	case what < 8 && len(r.seats) > 1:
		for _, s := range r.seats { // all at once
			if !s.down {
				r.kill(s)
			}
		}
		for _, s := range r.seats {
			r.start(s)
		}
	case what < 18 && s.stopped.IsZero():
		r.ask(s)
		if len(r.seats) == 1 || r.random.IntN(2) == 0 {
			r.start(s)
		}
	case what < 24 && len(r.seats) > 1 && s.stopped.IsZero():
		s.process.signal(syscall.SIGSTOP)
		s.stopped = time.Now()
		r.Zombies++
	default:
		r.kill(s)
		r.start(s)
	}
}

// alive fails the round when a process has ended by itself.
func (r *crashRound) alive(s *seat) {
	r.t.Helper()
	if s.down {
		return
	}
	select {
	case <-s.process.done:
		if r.without != "" {
			r.start(s)
			return
		}
		r.t.Fatalf("%s ended by itself with status %d: %s", s.name, s.process.status, lastLines(s.process.err.String(), 3))
	default:
	}
}

func (r *crashRound) kill(s *seat) {
	if len(r.seats) == 1 && r.server == nil {
		r.Brokers++ // it is in the process
	}
	s.process.kill()
	s.stopped = time.Time{}
	r.noted(s)
	r.Kills++
}

// ask has a process stop in peace.
func (r *crashRound) ask(s *seat) {
	r.t.Helper()
	// Before it has said something it may not listen to signals yet.
	until(r.t, s.name+" has begun", func() bool {
		r.alive(s)
		return s.process.err.String() != ""
	})
	signal := []os.Signal{syscall.SIGTERM, syscall.SIGINT}[r.random.IntN(2)]
	s.process.signal(signal)
	if status := s.process.wait(35 * time.Second); status != 0 && r.without == "" {
		r.t.Fatalf("%s: status %d after %v", s.name, status, signal)
	}
	s.down = true
	r.noted(s)
	r.Stops++
}

// noted counts the notes of a process.
func (r *crashRound) noted(s *seat) {
	said := s.process.err.String()
	r.Rebalances += strings.Count(said, "msg=assigned")
	if said == "" {
		return
	}
	file, err := os.OpenFile(filepath.Join(r.in.data, s.name+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	fmt.Fprintf(file, "%s--- ended %s\n", said, time.Now().UTC().Format(time.RFC3339Nano))
}

// compare has the oracle look at topics and tables.
func (r *crashRound) compare(acked string) {
	r.t.Helper()
	address := r.in.address
	if address == "" {
		host := r.in.start("read", "models", "--from", "end") // runs the broker
		address = r.in.embedded()
		defer host.kill()
	}
	kafkatest.Ends(r.t, address, r.in.topic("predictions"))
	kafkatest.Ends(r.t, address, r.in.topic("dead-letters"))
	r.Transactions, r.Aborted = kafkatest.Markers(r.t, address, r.in.topic("predictions"))
	var found struct {
		Counts struct {
			Candidates, Answers, Dead_letters, Labels, Models, Table_commits int //nolint:revive // as the oracle writes them
		}
		Missing, Twice, Different, Differences int
		First                                  []string
	}
	if !r.in.python(&found, "oracle.py", address, r.in.prefix, filepath.Join(r.in.data, "tables"), acked) {
		return
	}
	c := found.Counts
	r.Candidates, r.Letters, r.Labels, r.Models, r.TableCommits = c.Candidates, c.Dead_letters, c.Labels, c.Models, c.Table_commits
	r.Missing, r.Twice, r.Different, r.Differences = found.Missing, found.Twice, found.Different, found.Differences
	if r.without != "" {
		r.t.Logf("without %s: %d differences, such as %.300q", r.without, found.Differences, found.First)
		return
	}
	if found.Differences > 0 {
		text, _ := json.MarshalIndent(found.First, "", "  ")
		r.t.Errorf("%d differences: %s", found.Differences, text)
	}
	if c.Candidates == 0 || c.Answers == 0 {
		r.t.Errorf("the round has compared nothing: %+v", c)
	}
}

// keep copies the data of a round that failed.
func (r *crashRound) keep() {
	if !r.t.Failed() || *crashKeep == "" {
		return
	}
	for _, s := range r.seats {
		if s.process != nil {
			r.noted(s)
		}
	}
	to := filepath.Join(*crashKeep, strings.Trim(r.in.prefix, "."))
	_ = os.MkdirAll(*crashKeep, 0o755) // cp reports the error
	if out, err := exec.Command("cp", "-a", r.in.data, to).CombinedOutput(); err != nil {
		r.t.Logf("keep: %v: %s", err, out)
		return
	}
	r.t.Log("kept in ", to)
}
