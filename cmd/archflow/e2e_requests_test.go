package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archflow/cmd/archflow/remote"
)

// requestKills is how often a process is killed while it answers.
const requestKills = 4

// TestEndToEndRequestsKilled kills the process while clients publish candidates and
// labels over HTTP. Each repeats a request that was not answered with its
// Idempotency-Key; in the end every candidate and every label is there once.
func TestEndToEndRequestsKilled(t *testing.T) {
	onEach(t, func(t *testing.T, in *installation) {
		in.set("SESSION", "3s")
		address := in.listen()
		run := func() *process {
			p := in.start("run")
			p.says("msg=ready")
			return p
		}
		p := run()
		var stop atomic.Bool
		clients := []*publishingClient{{topic: "candidates"}, {topic: "labels"}}
		began := make(chan struct{})
		var all sync.WaitGroup
		for _, c := range clients {
			c.client = remote.Client{Base: "http://" + address, HTTP: &http.Client{Timeout: patience}}
			all.Go(func() { c.publish(began, &stop) })
		}
		delays := rand.New(rand.NewPCG(7, 7))
		for range requestKills {
			for range 3 {
				select {
				case <-began:
				case <-time.After(patience):
					t.Fatal("the clients send nothing")
				}
			}
			time.Sleep(time.Duration(delays.IntN(30)) * time.Millisecond) // somewhere in a request
			p.kill()
			p = run()
		}
		stop.Store(true)
		go func() {
			for range began { //nolint:revive // so that no client waits
			}
		}()
		all.Wait()
		close(began)
		repeated := 0
		for _, c := range clients {
			if c.err != nil {
				t.Fatal(c.topic, ": ", c.err)
			}
			repeated += c.repeated
			c.compare(in)
		}
		t.Logf("%d and %d requests, %d of them repeated", clients[0].requests, clients[1].requests, repeated)
		if repeated == 0 {
			t.Error("no request was interrupted, so nothing was tried")
		}
	})
}

// publishingClient publishes batches of ten with ids from 0.
type publishingClient struct {
	client             remote.Client
	topic              string // candidates or labels
	requests, repeated int
	err                error
}

const requestBatch = 10

// publish sends request after request, each until it is answered, and reports each
// attempt when it begins.
func (c *publishingClient) publish(began chan<- struct{}, stop *atomic.Bool) {
	for ; !stop.Load(); c.requests++ {
		var lines [][]byte
		for i := range requestBatch {
			id := c.requests*requestBatch + i
			line := fmt.Sprintf(`{"space": "own", "id": %d, "ops": ["input", "op%d", "op%d", "output"], "edges": [[0, 1], [1, 2], [2, 3]]`, id, id%97, id%89)
			if c.topic == "labels" {
				line += fmt.Sprintf(`, "task": "acc", "value": %d`, id%31)
			}
			lines = append(lines, []byte(line+"}"))
		}
		for attempt := 0; ; attempt++ {
			began <- struct{}{}
			var said struct{ Published int }
			err := c.client.PostLines(context.Background(), "/api/"+c.topic, fmt.Sprintf("%s %d", c.topic, c.requests), lines, func(r io.Reader) error {
				return json.NewDecoder(r).Decode(&said)
			})
			if err == nil && said.Published == requestBatch {
				break
			}
			if err == nil || !remote.IsRetriable(err) {
				c.err = fmt.Errorf("request %d was answered with %d published: %w", c.requests, said.Published, err)
				return
			}
			if attempt == 0 {
				c.repeated++
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// compare reads the topic, which must hold every id once.
func (c *publishingClient) compare(in *installation) {
	in.t.Helper()
	topic := c.topic
	if topic == "candidates" {
		topic = "architectures"
	}
	var ids, want []int
	for line := range strings.Lines(in.ok("read", topic, "--json", "--from", "start", "--exit-at-end")) {
		var m struct{ ID int }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			in.t.Fatalf("%v: %s", err, line)
		}
		ids = append(ids, m.ID)
	}
	for id := range c.requests * requestBatch {
		want = append(want, id)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, want) {
		in.t.Errorf("the topic of %s has %d messages of %d requests with %d each, %d of them distinct", c.topic, len(ids), c.requests, requestBatch, len(slices.Compact(ids)))
	}
}
