package pipeline

import (
	"context"
	"fmt"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"archflow/internal/kafka"
	"archflow/pipeline/api"
	"archflow/schemas"
	"archflow/sinks"
)

// TestLabelsOfManyPartitions: whoever holds the first partition of the labels reads
// all of them, also one that is added while it runs, and so does the API; the holder of another
// trains nothing and ends with exit-at-end once the labels are taken.
func TestLabelsOfManyPartitions(t *testing.T) {
	config := learning(t)
	inBubble(t, func(t *testing.T) {
		w := newWorldOf(t, config, 3)
		defer w.close()
		var candidates []string
		for i := range 40 {
			candidates = append(candidates, chain(i))
		}
		w.publish(w.topics.Architectures, 0, candidates...)
		label := func(partition, i int) {
			w.publish(w.topics.Labels, partition, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc","value":%d}`, i, i*i%17))
		}
		for i := range 12 {
			label(i%3, i)
		}
		holding := func(partition int32) kafka.Assignment {
			return kafka.Assignment{Member: kafka.Member{Group: "g-trainer", Generation: -1}, Partitions: []schemas.TopicPartition{{Topic: w.topics.Labels, Number: partition}}}
		}
		ended := make(chan error, 1)
		_, err := w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			p.ends = w.ends()
			read := 0
			if err := (apiTopics{p.Client, p.Topics, &p.counts}).Read(stop, api.Labels, map[int32]int64{}, 0, func(m *schemas.Messages) { read += m.Len() }); err != nil || read != 12 {
				t.Errorf("the API reads %d of 12 labels: %v", read, err)
			}
			other := w.process(w.client, p.tables, p.store)
			c := *w.config
			c.ExitAtEnd = true
			other.config, other.ends = &c, p.ends
			go func() { ended <- other.learn(stop, holding(2)) }()
			return p.learn(stop, holding(0))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error("the holder of another partition: ", err)
		}
		if n := len(w.newestState(t).Spaces[0].Tasks[0].Labels); n != 12 {
			t.Errorf("%d of 12 labels are learnt", n)
		}

		// The topic grows while the trainer runs.
		_, err = w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			stop, cancel := context.WithCancel(stop)
			defer cancel()
			done := make(chan error, 1)
			go func() {
				err := p.learn(stop, holding(0))
				if err == errGrown { //nolint:errorlint // looked at below
					err = nil
				}
				done <- err
			}()
			if _, err := w.client.CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{Topics: []kafkago.TopicPartitionsConfig{{Name: w.topics.Labels, Count: 4}}}); err != nil {
				return err
			}
			time.Sleep(2 * time.Second) // until metadata know of it
			label(3, 20)
			time.Sleep(2 * grownEvery)
			cancel()
			<-done
			if n := p.counts.labels.Load(); n != 4 {
				t.Errorf("the trainer knows %d partitions of labels, want 4", n)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		w.labels = 4
		if _, err = w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			p.ends = w.ends()
			return p.learn(stop, holding(0))
		}); err != nil {
			t.Fatal(err)
		}
		if n := len(w.newestState(t).Spaces[0].Tasks[0].Labels); n != 13 {
			t.Errorf("%d of 13 labels are learnt", n)
		}
	})
}

// TestDamagedRegistry: a newest version that cannot be read, itself or a model of
// it, leaves the one before to answer, and the trainer's next takes its place.
func TestDamagedRegistry(t *testing.T) {
	two := models(t, learning(t))
	for name, damage := range map[string]func(store sinks.Bucket) error{
		"version torn": func(s sinks.Bucket) error { return s.Write(t.Context(), registryKey(2), []byte(`{"version":`)) },
		"model torn": func(s sinks.Bucket) error {
			return s.Write(t.Context(), modelsFolder+two[1].Name()+".safetensors", []byte("torn"))
		},
		"model gone": func(s sinks.Bucket) error { return s.Delete(t.Context(), modelsFolder+two[1].Name()+".safetensors") },
	} {
		store := folder(t)
		r := must(OpenRegistry(t.Context(), store))
		for _, m := range two {
			must(r.Publish(t.Context(), SpaceManifest{Space: "dag"}, m))
		}
		if err := damage(store); err != nil {
			t.Fatal(err)
		}
		r, err := OpenRegistry(t.Context(), store)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		g := must(r.ModelSet(t.Context(), schemas.NewestRegistry))
		if g.Version != 1 || r.Manifest().Spaces["dag"].Model != two[0].Name() || r.Damage() == "" {
			t.Errorf("%s: version %d answers, %+v; damage %q", name, g.Version, r.Manifest(), r.Damage())
		}
		if name != "model gone" {
			if g, err := r.ModelSet(t.Context(), 2); err != nil || g.Version != 1 {
				t.Errorf("%s: a replay of version 2 gets %v, %v", name, g, err)
			}
		}
		m, err := r.Publish(t.Context(), SpaceManifest{Space: "dag"}, two[1])
		if err != nil || m.Registry != 3 || r.Damage() != "" {
			t.Errorf("%s: the next version: %+v, %v, damage %q", name, m, err, r.Damage())
		}
		again := must(OpenRegistry(t.Context(), store))
		if again.Manifest().Spaces["dag"].Model != two[1].Name() || again.Damage() != "" {
			t.Errorf("%s: afterwards %+v, %q", name, again.Manifest(), again.Damage())
		}
	}
}
