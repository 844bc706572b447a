package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka/kafkatest"
)

var (
	poisonCandidates = flag.Int("candidates", 1400, "candidates of each stream of TestEndToEndPoison")
	poisonTurns      = flag.Int("turns", 1, "how often TestEndToEndPoison measures each of its streams")
)

// poisons are the streams of TestEndToEndPoison, each with seven breakages of
// as many classes. A graph of 5,000 nodes has the bytes of 260 candidates.
var poisons = []struct {
	name    string
	kinds   []string
	healthy bool // the same bytes at the same places, in candidates that are not broken
}{
	{"none", nil, false},
	{"small", []string{"cut", "cycle", "unknown operation", "wrong type", "cut UTF-8", "edge out of range", "empty"}, false},
	{"with large", []string{"cut", "cycle", "unknown operation", "wrong type", "cut UTF-8", "edge out of range", "5,000 nodes"}, false},
	{"as large and healthy", []string{"5,000 nodes"}, true},
}

// TestEndToEndPoison streams candidates with 1 % of poison and the same ones
// with none, in turn, checks that each is answered or a dead letter, once, and
// reports the rates. `make poison` streams 200,000.
func TestEndToEndPoison(t *testing.T) {
	took := make([]drain, len(poisons))
	for turn := range *poisonTurns {
		for i, poison := range poisons {
			t.Run(fmt.Sprint(poison.name, " ", turn), func(t *testing.T) { took[i].add(drainStream(t, poison.kinds, poison.healthy)) })
		}
	}
	if t.Failed() {
		return
	}
	clean := took[0]
	t.Logf("%d candidates a run, %d runs of each, rates with the start of the process: without poison %s", *poisonCandidates, *poisonTurns, clean)
	for i, poison := range poisons[1:] {
		with := took[i+1]
		t.Logf("%s: %s; of the rate without %.3f by the clock, %.3f by processor time, less the starts %.3f and %.3f", poison.name, with,
			ratio(clean.wall, with.wall), ratio(clean.processor, with.processor), ratio(clean.wall-clean.idleWall, with.wall-with.idleWall), ratio(clean.processor-clean.idle, with.processor-with.idle))
	}
}

// drain is what runs over streams took, and what as many took afterwards that
// found nothing to do.
type drain struct {
	runs            int
	candidates      int
	wall, processor time.Duration
	idleWall, idle  time.Duration
}

func (d drain) String() string {
	n := float64(d.candidates)
	runs := time.Duration(d.runs)
	return fmt.Sprintf("%.0f/s by the clock and %.0f per processor second (a start that finds nothing to do: %s, %s of processor)",
		n/d.wall.Seconds(), n/d.processor.Seconds(), (d.idleWall / runs).Round(time.Millisecond), (d.idle / runs).Round(time.Millisecond))
}

func (d *drain) add(other drain) {
	d.runs++
	d.candidates += other.candidates
	d.wall += other.wall
	d.processor += other.processor
	d.idleWall += other.idleWall
	d.idle += other.idle
}

func ratio(a, b time.Duration) float64 { return a.Seconds() / b.Seconds() }

// drainStream has a worker with a model answer a stream that is there already.
func drainStream(t *testing.T, kinds []string, healthy bool) drain {
	in := install(t, "")
	in.set("FIRST_LABELS", "8")
	in.ok("publish", "labels", benchmark, "--task", "accuracy", "--limit", "64")
	in.ok("run", "--exit-at-end")
	records, broken := stream(t, in.topic("architectures"), kinds, healthy)
	host := in.start("read", "models", "--from", "end") // runs the broker
	produce(t, in.embedded(), records)
	host.kill()
	d := drain{runs: 1, candidates: len(records)}
	d.wall, d.processor = in.worked(t)
	d.idleWall, d.idle = in.worked(t)
	host = in.start("read", "models", "--from", "end")
	checkDrained(t, in, in.embedded(), records, broken)
	host.kill()
	t.Log(d)
	return d
}

// worked runs a worker to the end of what there is.
func (in *installation) worked(t *testing.T) (wall, processor time.Duration) {
	t.Helper()
	began := time.Now()
	p := in.start("run", "--role", "worker", "--exit-at-end")
	if status := p.wait(10 * time.Minute); status != 0 {
		t.Fatalf("the worker ended with status %d: %s", status, lastLines(p.err.String(), 5))
	}
	return time.Since(began), p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// stream returns candidates of the benchmark with numbers for names, of which
// 1 % in all are broken if there are kinds. Where they are to be healthy, every
// seventh of those, as many as there are of one of seven kinds, is as long as
// its kind makes it by a field that nothing reads, and none is broken.
func stream(t *testing.T, topic string, kinds []string, healthy bool) (records []*kgo.Record, broken map[int]breakage) {
	t.Helper()
	var poison []breakage
	for _, name := range kinds {
		for _, kind := range breakages {
			if kind.name == name {
				poison = append(poison, kind)
			}
		}
	}
	if len(poison) != len(kinds) {
		t.Fatalf("%d kinds of %q", len(poison), kinds)
	}
	random := rand.New(rand.NewPCG(11, 7))
	good := rows(t)
	broken = map[int]breakage{}
	for n := 0; len(poison) > 0 && n < *poisonCandidates/100; {
		if i := random.IntN(*poisonCandidates); broken[i].value == nil {
			broken[i] = poison[n%len(poison)]
			n++
		}
	}
	wide := 0
	for i := range *poisonCandidates {
		_, rest, found := bytes.Cut(good[i%len(good)], []byte(`,`))
		if !found {
			t.Fatalf("row %d has one field", i%len(good))
		}
		value := append(fmt.Appendf(nil, `{"id":%d,`, i), rest...)
		if kind, is := broken[i]; is && healthy {
			if wide++; wide%7 == 0 {
				value = append(fmt.Appendf(nil, `{"note":%q,`, kind.value(value, random)), value[1:]...)
			}
			delete(broken, i)
		} else if is {
			value = kind.value(value, random)
		}
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % 4), Value: value})
	}
	return records, broken
}

// checkDrained compares answers and dead letters with the published messages.
func checkDrained(t *testing.T, in *installation, address string, records []*kgo.Record, broken map[int]breakage) {
	t.Helper()
	number := map[place]int{} // of the record at a place
	for i, r := range records {
		number[place{r.Topic, r.Partition, r.Offset}] = i
	}
	seen := make([]int, len(records))
	wrong := 0
	complain := func(format string, args ...any) {
		if wrong++; wrong <= 5 {
			t.Errorf(format, args...)
		}
	}
	for _, r := range kafkatest.Read(t, address, in.topic("predictions")) {
		var m struct {
			Model  *string
			Source place
		}
		if err := json.Unmarshal(r.Value, &m); err != nil {
			t.Fatalf("%v: %s", err, r.Value)
		}
		i, known := number[m.Source]
		switch _, is := broken[i]; {
		case !known || is:
			complain("%v is answered: %s", m.Source, r.Value)
		case m.Model == nil:
			complain("%v is answered by no model: %s", m.Source, r.Value)
		}
		if known {
			seen[i]++
		}
	}
	for _, letter := range kafkatest.Read(t, address, in.topic("dead-letters")) {
		at := place{Topic: header(letter, "archflow-topic")}
		if _, err := fmt.Sscan(strings.Join([]string{header(letter, "archflow-partition"), header(letter, "archflow-offset")}, " "), &at.Partition, &at.Offset); err != nil {
			t.Fatalf("%v: %v", err, letter.Headers)
		}
		i, known := number[at]
		if kind, is := broken[i]; !known || !is {
			complain("%v is a dead letter: %s", at, header(letter, "archflow-error"))
		} else if text := kind.compare(records[i], letter); text != "" {
			complain("%s: %v: %s", kind.name, at, text)
		}
		if known {
			seen[i]++
		}
	}
	for i, times := range seen {
		if times != 1 {
			complain("candidate %d has %d answers and dead letters", i, times)
		}
	}
	if wrong > 0 {
		t.Errorf("%d complaints, %d candidates, %d of them poison", wrong, len(records), len(broken))
	}
}
