package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"archflow/cmd/archflow/bench"
	"archflow/internal/kafka/kafkatest"
)

var (
	soakMinutes = flag.Int("minutes", 0, "how long TestSoak goes on")
	soakRate    = flag.Float64("rate", 100, "candidates a second of TestSoak")
)

// TestSoak keeps an installation under a steady load, kills a process each half
// minute or so, and prints each minute what memory the processes take, the trainer's
// heap, how far they are behind, and how many answers are missing or doubled so far. At the end
// the oracle compares everything. The trainer lives, where it is a process of its own,
// so that its heap shows what it keeps. `make soak` runs it for an hour.
func TestSoak(t *testing.T) {
	if *soakMinutes == 0 {
		t.Skip("make soak runs it")
	}
	r := newCrashRound(t, *crashOn, *crashSeed)
	trainer, mortal := r.seats[len(r.seats)-1], r.seats
	if len(r.seats) > 1 {
		mortal = r.seats[:len(r.seats)-1]
	}
	page := kafkatest.FreeAddress(t)
	trainer.args = append(trainer.args, "--http", page, "--pprof")
	for _, s := range r.seats {
		r.start(s)
	}
	r.reachable()
	feed := startLoad(r.in, rows(t), rand.New(rand.NewPCG(r.random.Uint64(), 1)), *soakRate)
	var heaps []float64
	tally := soakTally{in: r.in, seen: map[place]bool{}, next: map[string]map[int32]int64{}}
	t.Log("minute  kills  resident MB (of each process)  trainer's live heap in MB  behind  answers and dead letters  missing  twice")
	nextKill := time.Now().Add(r.soakPause())
	for minute := range *soakMinutes {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			for _, s := range r.seats {
				r.alive(s)
			}
			if time.Now().After(nextKill) {
				s := mortal[r.random.IntN(len(mortal))]
				r.kill(s)
				r.start(s)
				nextKill = time.Now().Add(r.soakPause())
			}
		}
		behind, missing := tally.look(t, r.reachable())
		heaps = append(heaps, heap(page))
		t.Logf("%6d  %5d  %s  %.1f  %d  %d  %d  %d", minute+1, r.Kills, strings.Join(r.resident(), " "), heaps[minute], behind, len(tally.seen), missing, tally.twice)
		if missing > 0 || tally.twice > 0 {
			t.Errorf("minute %d: %d missing, %d twice", minute+1, missing, tally.twice)
		}
	}
	t.Logf("the trainer's live heap in MB: %.1f after the first minute, %.1f in the middle, %.1f at the end", heaps[0], heaps[len(heaps)/2], heaps[len(heaps)-1])
	r.finish(feed)
	var all crashCounts
	all.add(r.crashCounts)
	t.Log(all)
}

// heap returns what a process holds on its heap in MB after a collection, NaN when it
// does not say.
func heap(page string) float64 {
	answer, err := http.Get("http://" + page + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return math.NaN()
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		var bytes float64
		if n, _ := fmt.Sscanf(lines.Text(), "# HeapAlloc = %g", &bytes); n == 1 {
			return bytes / 1e6
		}
	}
	return math.NaN()
}

// soakPause is the time from one kill to the next.
func (r *crashRound) soakPause() time.Duration {
	return 20*time.Second + time.Duration(r.random.IntN(20_000))*time.Millisecond
}

// reachable waits for the broker and returns its address.
func (r *crashRound) reachable() string {
	r.t.Helper()
	if r.in.address == "" {
		return r.in.embedded()
	}
	until(r.t, "the topics are there", func() bool { return r.in.reaches(r.in.address) })
	return r.in.address
}

// resident returns each seat and its process's memory in MB.
func (r *crashRound) resident() (out []string) {
	for _, s := range r.seats {
		size, err := bench.ResidentMemory(s.process.cmd.Process.Pid)
		if err != nil {
			size = 0 // not Linux, or on its way
		}
		out = append(out, s.name+" "+strconv.FormatFloat(size, 'f', 0, 64))
	}
	return out
}

// soakTally is what a committed reader has seen of the answers and dead letters
// of candidates.
type soakTally struct {
	in    *installation
	seen  map[place]bool
	twice int
	next  map[string]map[int32]int64 // of each topic
}

// look reads on to the end of now. Behind is the number of candidates after the
// group's positions; missing those before them that are neither answered nor a
// dead letter.
func (s *soakTally) look(t *testing.T, address string) (behind int64, missing int) {
	t.Helper()
	candidates := s.in.topic("architectures")
	ends := kafkatest.Stable(t, address, candidates)
	positions := s.positions(t, address, ends)
	// The markers of a commit reach the topics after the positions.
	time.Sleep(time.Second)
	for _, topic := range []string{s.in.topic("predictions"), s.in.topic("dead-letters")} {
		ends := kafkatest.Stable(t, address, topic)
		for _, r := range kafkatest.ReadFrom(t, address, topic, s.next[topic], ends) {
			if r.Attrs.IsControl() {
				continue
			}
			var m struct{ Source place }
			if header(r, "archflow-topic") != "" {
				partition, _ := strconv.ParseInt(header(r, "archflow-partition"), 10, 32)
				offset, _ := strconv.ParseInt(header(r, "archflow-offset"), 10, 64)
				m.Source = place{header(r, "archflow-topic"), int32(partition), offset}
			} else if err := json.Unmarshal(r.Value, &m); err != nil {
				t.Fatalf("%v: %s", err, r.Value)
			}
			if m.Source.Topic != candidates {
				continue
			}
			if s.seen[m.Source] {
				s.twice++
			}
			s.seen[m.Source] = true
		}
		s.next[topic] = ends
	}
	for p, end := range ends {
		behind += end - positions[p]
		for offset := range positions[p] {
			if !s.seen[place{candidates, p, offset}] {
				missing++
			}
		}
	}
	return behind, missing
}

// positions returns the group's offset of each partition.
func (s *soakTally) positions(t *testing.T, address string, ends map[int32]int64) map[int32]int64 {
	t.Helper()
	topic := s.in.topic("architectures")
	var partitions []int
	for p := range ends {
		partitions = append(partitions, int(p))
	}
	out := map[int32]int64{}
	until(t, "the group's positions are known", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		known, err := client(address).OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: s.in.prefix + "group", Topics: map[string][]int{topic: partitions}})
		if err != nil || known.Error != nil {
			return false
		}
		for _, p := range known.Topics[topic] {
			if p.Error != nil {
				return false
			}
			out[int32(p.Partition)] = max(p.CommittedOffset, 0)
		}
		return true
	})
	return out
}
