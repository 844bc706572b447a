package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
)

// refillOf returns a run of Refill by a process.
func refillOf(p *Process) *refill {
	d := *p.Connected
	d.Partitions = map[string]int{}
	for topic, n := range p.Partitions {
		d.Partitions[topic] = n
	}
	d.Partitions[p.Topics.Predictions], d.Partitions[p.Topics.DeadLetters] = 2, 2
	return &refill{Connected: &d, config: p.config, log: slog.New(slog.DiscardHandler), tables: p.tables}
}

// TestRefillCrashesAnywhere: tables are restored to an older version, with and
// without the files of the later ones, while a worker goes on. A refill is killed
// before and after everything that it does, and the machine with it; the one after
// it gives the tables all that the topics hold, once, with the same bits.
func TestRefillCrashesAnywhere(t *testing.T) {
	config := learning(t)
	two := models(t, config)
	inBubble(t, func(t *testing.T) {
		for _, destroy := range []bool{false, true} {
			points := []string{"none"}
			for i := 0; i < len(points); i++ {
				w := newWorld(t, config)
				w.serve(two[0])
				w.work(t, 1)
				tables := w.bucket("tables")
				for _, table := range []string{"predictions", "dead_letters"} {
					if sinktest.Restore(t, tables, table, 2, destroy) == 0 {
						t.Error("nothing was removed from ", table)
					}
				}
				if err := tables.Close(); err != nil {
					t.Fatal(err)
				}
				w.serve(two[1])
				visited := w.refillBeside(t, crash{point: points[i]})
				if i == 0 {
					points = append(points, visited...)
				}
				if models := w.sameInTopicAndTable(t); len(models) != 2 {
					t.Errorf("models %v", models)
				}
				if t.Failed() {
					t.Fatalf("killed %s, files deleted %v", points[i], destroy)
				}
				w.close()
			}
			if len(points) < 8 {
				t.Errorf("only %q were visited", points)
			}
		}
	})
}

// work publishes candidates in rounds and lets a worker answer each.
func (w *world) work(t *testing.T, seed uint64) {
	t.Helper()
	for round := range 5 {
		w.ask(seed+uint64(round), 6)
		_, err := w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			p.ends = w.ends()
			return p.answer(stop, candidatesOf(p))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func candidatesOf(p *Process) kafka.Assignment {
	return kafka.Assignment{Member: kafka.Member{Group: "g", Generation: -1}, Partitions: p.candidatePartitions()}
}

// refillBeside refills, first until a crash, beside a worker, and returns the points that the
// first refill visited.
func (w *world) refillBeside(t *testing.T, c crash) (visited []string) {
	t.Helper()
	refilled := func(p *Process, stop context.Context) error {
		return refillOf(p).run(stop, func(done Refilled) error {
			if done.Lost > 0 || done.Gone > 0 {
				return fmt.Errorf("%+v", done)
			}
			return nil
		})
	}
	worker, begun := make(chan error, 1), make(chan *life, 1)
	go func() {
		w.ask(9, 8)
		_, err := w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			begun <- p.tables.(crashing).life
			p.ends = w.ends()
			return p.answer(stop, candidatesOf(p))
		})
		worker <- err
	}()
	beside := <-begun
	time.Sleep(300 * time.Millisecond)
	c.others = func() {
		beside.die()
		worker <- <-worker
	}
	l, err := w.live(t.Context(), c, refilled)
	if err != nil {
		t.Error("the first refill: ", err)
	}
	if err := <-worker; err != nil {
		t.Error("the worker: ", err)
	}
	if l.crashed() { // the worker may have died with the machine
		_, err := w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			p.ends = w.ends()
			return p.answer(stop, candidatesOf(p))
		})
		if err != nil {
			t.Error("the worker after it: ", err)
		}
	}
	if _, err := w.live(t.Context(), crash{point: "none"}, refilled); err != nil {
		t.Error("the last refill: ", err)
	}
	return l.visited
}

// TestCompare: it counts the rows that the table lacks of the topic's answers, rows with
// other values, rows that the topic does not have, and nothing when all is well.
func TestCompare(t *testing.T) {
	config := learning(t)
	two := models(t, config)
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, config)
		defer w.close()
		w.serve(two[0])
		w.work(t, 1)
		tables := w.bucket("tables")
		defer tables.Close()
		look := func() Comparison {
			d := &Connected{Client: w.client, Topics: w.topics, Partitions: map[string]int{w.topics.Predictions: 2, w.topics.Architectures: 2}}
			c, err := Compare(t.Context(), d, tables, config.Group)
			if err != nil {
				t.Fatal(err)
			}
			return *c
		}
		well := func(c Comparison) bool { return c.Compared > 0 && c.Missing+c.Differing+c.Twice+c.Unknown == 0 }
		if c := look(); !well(c) {
			t.Errorf("all is well: %+v", c)
		}
		sinktest.Restore(t, tables, "predictions", 2, false)
		if c := look(); c.Missing == 0 || c.Differing+c.Twice+c.Unknown > 0 {
			t.Errorf("after a RESTORE: %+v", c)
		}
		if _, err := w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			return refillOf(p).run(stop, func(Refilled) error { return nil })
		}); err != nil {
			t.Fatal(err)
		}
		if c := look(); !well(c) {
			t.Errorf("after the refill: %+v", c)
		}

		// Another group has answered with another model, below our position.
		b := sinktest.Batch(schemas.TopicPartition{Topic: w.topics.Architectures}, 0, 1)
		files, err := sinks.TableFiles(t.Context(), tables, "predictions")
		if err != nil {
			t.Fatal(err)
		}
		table, err := sinks.NewPredictionsTable(t.Context(), tables, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: "other"}})
		if err == nil {
			err = table.Write(t.Context(), b)
		}
		if err == nil {
			err = table.Commit(t.Context())
		}
		if err != nil || len(files) == 0 {
			t.Fatal(err)
		}
		if c := look(); c.Differing != 1 && c.Unknown != 1 {
			t.Errorf("a row of another: %+v", c)
		}
	})
}
