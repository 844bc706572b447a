package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"archflow/internal/kafka/kafkatest"
)

const (
	writers           = 6
	writersPartitions = 12
	writersInterval   = time.Second / writers // of the group, so that each commits about once a second
)

// TestWriters has six workers commit to one table once a second each, on Apache
// Kafka, and kills one of them, or the trainer, each half minute or so. No process
// may end by itself. At the end the oracle finds every offset once in topic and
// table, with the same answer. It prints each minute how many commits there were
// and at how many of them another writer was faster. make writers runs it.
func TestWriters(t *testing.T) {
	if *soakMinutes == 0 {
		t.Skip("make writers runs it")
	}
	r := newCrashRound(t, "kafka", *crashSeed)
	r.in.set("TABLE_INTERVAL", writersInterval.String())
	r.in.set("PARTITIONS", strconv.Itoa(writersPartitions))
	r.in.set("SESSION", "10s")
	r.seats = []*seat{{name: "trainer", args: []string{"run", "--role", "trainer"}}}
	pages := map[*seat]string{}
	for i := range writers {
		page := kafkatest.FreeAddress(t)
		s := &seat{name: fmt.Sprint("worker ", i), args: []string{"run", "--role", "worker", "--http", page}}
		pages[s] = page
		r.seats = append(r.seats, s)
	}
	for _, s := range r.seats {
		r.start(s)
	}
	r.reachable()
	feed := startLoad(r.in, rows(t), rand.New(rand.NewPCG(r.random.Uint64(), 1)), *soakRate)
	tally := soakTally{in: r.in, seen: map[place]bool{}, next: map[string]map[int32]int64{}}
	var total, gone tableCounts // gone are those of processes that were killed
	t.Log("minute  kills  commits  commits repeated  compactions given up  behind  answers and dead letters  missing  twice")
	nextKill := time.Now().Add(r.soakPause())
	for minute := range *soakMinutes {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			for _, s := range r.seats {
				r.alive(s)
			}
			if time.Now().After(nextKill) {
				s := r.seats[r.random.IntN(len(r.seats))]
				gone.add(scrapeTable(t, pages[s]))
				r.kill(s)
				r.start(s)
				nextKill = time.Now().Add(r.soakPause())
			}
		}
		total = gone
		for _, s := range r.seats {
			total.add(scrapeTable(t, pages[s]))
		}
		behind, missing := tally.look(t, r.reachable())
		t.Logf("%6d  %5d  %d  %d  %d  %d  %d  %d  %d", minute+1, r.Kills, total.commits, total.repeated, total.givenUp, behind, len(tally.seen), missing, tally.twice)
		if missing > 0 || tally.twice > 0 {
			t.Errorf("minute %d: %d missing, %d twice", minute+1, missing, tally.twice)
		}
	}
	r.finish(feed)
	var all crashCounts
	all.add(r.crashCounts)
	t.Log(all)
}

// tableCounts are figures of the table predictions from /metrics.
type tableCounts struct{ commits, repeated, givenUp int }

func (c *tableCounts) add(d tableCounts) {
	c.commits += d.commits
	c.repeated += d.repeated
	c.givenUp += d.givenUp
}

var (
	metricCommits  = regexp.MustCompile(`(?m)^archflow_sink_commit_duration_seconds_count\{[^}]*sink="predictions"[^}]*\} (\S+)`)
	metricConflict = regexp.MustCompile(`(?m)^archflow_table_conflicts_total\{[^}]*operation="(commit|compaction)"[^}]*\} (\S+)`)
)

// scrapeTable reads the figures of a process; none of one that does not answer.
func scrapeTable(t *testing.T, page string) (c tableCounts) {
	t.Helper()
	if page == "" {
		return c
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+page+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return c // it is starting
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return c
	}
	number := func(text []byte) int {
		v, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(v)
	}
	for _, m := range metricCommits.FindAllSubmatch(body, -1) {
		c.commits += number(m[1])
	}
	for _, m := range metricConflict.FindAllSubmatch(body, -1) {
		if string(m[1]) == "commit" {
			c.repeated += number(m[2])
		} else {
			c.givenUp += number(m[2])
		}
	}
	return c
}
