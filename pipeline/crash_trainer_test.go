package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"archflow/internal/kafka"
	"archflow/pipeline/decisions"
	"archflow/schemas"
	"archflow/sinks"
)

// learning returns the settings of a trainer that learns in milliseconds and
// stores often.
func learning(t *testing.T) *Config {
	c := settings(t)
	c.Width, c.Layers, c.Buffer, c.FirstLabels, c.TrainShare = 8, 1, 64, 5, 1
	c.Checkpoint = 1500 * time.Millisecond
	return c
}

// teach publishes rounds of candidates and labels, two in a second: to both partitions,
// labels of candidates that come later or never, those of failed trainings and of a lower
// fidelity, withdrawn ones, and broken ones.
func (w *world) teach(seed uint64, rounds int) {
	r := rand.New(rand.NewPCG(seed, 3))
	for i := range rounds {
		var candidates, labels []string
		for c := range 4 + r.IntN(12) {
			candidates = append(candidates, chain((12*i+c)%128))
		}
		for range 2 + r.IntN(3) {
			n := r.IntN(min(12*(i+2), 140))
			what := fmt.Sprintf(`"value":%d`, n%7+r.IntN(3))
			switch {
			case n%11 == 4:
				what = `"failed":true`
			case n%7 == 3:
				what += `,"fidelity":12,"seed":1`
			case n%23 == 5:
				what = `"value":null`
			}
			labels = append(labels, fmt.Sprintf(`{"space":"dag","id":"c%d","task":"acc",%s}`, n, what))
		}
		if i%4 == 1 {
			labels = append(labels, `{"space":"dag"`)
		}
		w.publish(w.topics.Architectures, r.IntN(2), candidates...)
		time.Sleep(time.Duration(r.IntN(200)) * time.Millisecond)
		w.publish(w.topics.Labels, 0, labels...)
		time.Sleep(time.Duration(r.IntN(600)) * time.Millisecond)
	}
}

// trained is the result of a run of trainers.
type trained struct {
	visited []string
	deaths  int
	entries int
	models  int64
}

// trains runs one trainer after the other, each until its crash, and the last
// to the end, beside a publisher. It fails unless the last ends with the state,
// to the bit, and the rows of one that takes the whole journal without a crash,
// and the registry with its champion.
func trains(t *testing.T, config *Config, seed uint64, crashes ...crash) (out trained) {
	t.Helper()
	w := newWorld(t, config)
	defer w.close()
	w.keep = journalFolder
	published, publishedAll := context.WithCancel(t.Context())
	go func() {
		defer publishedAll()
		w.teach(seed, 10+len(crashes)/2)
	}()
	for _, c := range append(slices.Clone(crashes), crash{point: "none"}, crash{}) {
		l, err := w.live(t.Context(), c, func(p *Process, stop context.Context) error {
			if c.point == "" {
				<-published.Done()
				p.ends = w.ends()
			} else {
				over, cancel := context.WithCancel(stop)
				defer cancel()
				stop = over
				context.AfterFunc(published, func() { time.AfterFunc(time.Second, cancel) })
			}
			return p.learn(stop, kafka.Assignment{Member: kafka.Member{Group: "g-trainer", Generation: -1}, Partitions: []schemas.TopicPartition{{Topic: p.Topics.Labels}}})
		})
		if err != nil {
			t.Errorf("life that was to end %s %d: %v", c.point, c.n, err)
		}
		for _, point := range l.visited {
			if !slices.Contains(out.visited, point) {
				out.visited = append(out.visited, point)
			}
		}
		if l.crashed() {
			out.deaths++
		}
	}
	w.sameAsReplayed(t, &out)
	return out
}

type labelRow struct {
	Offset       int64    `parquet:"offset"`
	ID           string   `parquet:"candidate_id,optional"`
	Architecture string   `parquet:"architecture,optional"`
	Model        string   `parquet:"model,optional"`
	Score        *float64 `parquet:"score,optional"`
	Low          *float64 `parquet:"low,optional"`
}

func (r labelRow) String() string {
	s := fmt.Sprint(r.Offset, r.ID, r.Architecture, r.Model)
	if r.Score != nil {
		s += fmt.Sprintf(" %b %b", *r.Score, *r.Low)
	}
	return s
}

// labelRows returns the rows of a labels table, each of which must be of another
// offset.
func readLabels(t *testing.T, tables sinks.Bucket) map[int64]string {
	t.Helper()
	all := map[int64]string{}
	for _, r := range rows[labelRow](t, tables, "labels") {
		if _, twice := all[r.Offset]; twice {
			t.Errorf("label %d is in the table twice", r.Offset)
		}
		all[r.Offset] = r.String()
	}
	return all
}

// sameAsReplayed compares the results of trainers with those of one trainer that takes
// their journal alone.
func (w *world) sameAsReplayed(t *testing.T, out *trained) {
	t.Helper()
	store, tables := w.bucket("store"), w.bucket("tables")
	defer store.Close()
	defer tables.Close()
	left, err := (&journal{store: store}).open(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil || left.state == nil || len(left.entries) != 0 {
		t.Fatalf("the last trainer left %+v, %v", left, err)
	}
	alone, empty := folder(t), folder(t)
	out.entries = 0
	for _, key := range keys(t, store, journalFolder) {
		data, err := store.Read(t.Context(), key)
		if err == nil {
			err = alone.Create(t.Context(), key, data)
		}
		if err != nil {
			t.Fatal(err)
		}
		out.entries++
	}
	p := w.process(w.client, empty, alone)
	if p.registry, err = OpenRegistry(t.Context(), alone); err != nil {
		t.Fatal(err)
	}
	trainer, err := p.openTrainer(t.Context(), t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.table.Close()
	state, err := trainer.state()
	if err != nil {
		t.Fatal(err)
	}
	got, err := encodeCheckpoint(left.state)
	if err != nil {
		t.Fatal(err)
	}
	want, err := encodeCheckpoint(state)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the state differs from that of a trainer which takes the journal without a crash")
	}
	have, expected := readLabels(t, tables), readLabels(t, empty)
	end := w.ends()[schemas.TopicPartition{Topic: w.topics.Labels}]
	deadLetters := map[int64]int{}
	for partition := range int32(2) {
		m := w.committed(w.topics.DeadLetters, partition)
		for i := range m.Len() {
			for _, h := range m.Headers(i) {
				if h.Name == "archflow-offset" {
					var offset int64
					_, _ = fmt.Sscan(string(h.Value), &offset)
					deadLetters[offset]++
				}
			}
		}
	}
	for _, r := range rows[struct {
		Offset int64  `parquet:"offset"`
		Topic  string `parquet:"topic"`
	}](t, tables, "dead_letters") {
		deadLetters[r.Offset] += 10
		if r.Topic != w.topics.Labels {
			t.Errorf("a dead letter of %s", r.Topic)
		}
	}
	for offset := range end {
		_, row := have[offset]
		if have[offset] != expected[offset] {
			t.Errorf("label %d is %q in the table, and %q where nothing crashed", offset, have[offset], expected[offset])
		}
		if n := deadLetters[offset]; row && n != 0 || !row && n != 11 {
			t.Errorf("label %d: in the table of labels %v, %d times in that of dead letters and %d times in their topic", offset, row, n/10, n%10)
		}
	}
	w.decided(t, left.state)
	for _, s := range left.state.Spaces {
		registry, err := OpenRegistry(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		file := registry.Manifest().Spaces[s.Space].File
		out.models = s.Number
		if file == "" && len(s.Champion) == 0 {
			continue
		}
		model, err := store.Read(t.Context(), file)
		if err != nil || !bytes.Equal(model, s.Champion) {
			t.Errorf("the model of the registry, %s, differs from the champion: %v", file, err)
		}
	}
}

// decided checks the trainers' decisions on the models topic: the outcome of the last
// fit of each task is there, and so is a decision about all labels; none is about labels
// that were never published.
func (w *world) decided(t *testing.T, s *saved) {
	t.Helper()
	end := w.ends()[schemas.TopicPartition{Topic: w.topics.Labels}]
	published, covered := map[string]bool{}, map[string]int64{}
	m := w.committed(w.topics.Models, 0)
	for i := range m.Len() {
		d, err := decisions.Parse(m.Value.At(i))
		if err != nil {
			t.Fatal(err)
		}
		if d == nil {
			continue
		}
		learnt := d.Learnt[w.topics.Labels+"/0"]
		if learnt > end || string(m.Key.At(i)) != d.Key() {
			t.Errorf("labels end at %d; %s says %s", end, m.Key.At(i), m.Value.At(i))
		}
		published[fmt.Sprintf("%s %s %s %d", d.Key(), d.Decision, d.Why, learnt)] = true
		covered[d.Space] = max(covered[d.Space], learnt)
	}
	for _, o := range s.Outcomes {
		if what := fmt.Sprintf("%s %s %s %d", taskKey(o.Space, o.Task), o.Decision, o.Why, o.Learnt[0].Next); !published[what] {
			t.Errorf("a decision is lost: %s", what)
		}
	}
	for _, space := range s.Spaces {
		if len(space.Tasks) > 0 && covered[space.Space] != end {
			t.Errorf("decisions of %s cover the labels below %d of %d", space.Space, covered[space.Space], end)
		}
	}
}

// trainerPoints are the trainer's operations on broker and store between reading and
// having committed. Each is a point before and one after.
var trainerPoints = []string{
	"create journal", "write checkpoints", "create registry", "write models",
	"create log of labels", "write file of labels", "create log of dead_letters", "write file of dead_letters",
	"kafka.rawFetch", "rawproduce", "produce", "endtxn", "txnoffsetcommit", "addoffsetstotxn", "addpartitionstotxn", "initproducerid",
	"delete checkpoints", "delete journal",
}

// TestTrainerCrashesAnywhere: a trainer crashes at every point, and the next one
// at the point that follows, and the last ends with the bits of a run without a
// crash.
func TestTrainerCrashesAnywhere(t *testing.T) {
	config := learning(t)
	inBubble(t, func(t *testing.T) {
		const seed = 7
		clean := trains(t, config, seed)
		t.Logf("seed %d: without a crash %d points, %d entries, %d models", seed, len(clean.visited), clean.entries, clean.models)
		for _, name := range trainerPoints {
			for _, side := range []string{"before ", "after "} {
				if !slices.Contains(clean.visited, side+name) {
					t.Errorf("no trainer comes to the point %s%s; it comes to %s", side, name, strings.Join(clean.visited, ", "))
				}
			}
		}
		if clean.models < 3 || clean.entries < 4 {
			t.Errorf("%d models, %d entries: too few to show anything", clean.models, clean.entries)
		}
		// A run ends with the point that the next begins with: every point is followed by
		// its next in one.
		const chain = 5
		for first := 0; first < len(clean.visited); first += chain - 1 {
			if t.Failed() {
				return
			}
			var crashes []crash
			var points []string
			for i := range min(chain, len(clean.visited)-first+1) {
				point := clean.visited[(first+i)%len(clean.visited)]
				crashes, points = append(crashes, crash{point: point}), append(points, point)
			}
			run := trains(t, config, seed, crashes...)
			if run.deaths != len(crashes) {
				t.Errorf("%d of %d crashes happened", run.deaths, len(crashes))
			}
			t.Logf("%s: %d entries, %d models", strings.Join(points, ", then "), run.entries, run.models)
		}
	})
}

// TestTrainerKilledFiftyTimes: fifty times in one run, at random points, and the
// weights are those of a run without.
func TestTrainerKilledFiftyTimes(t *testing.T) {
	config := learning(t)
	seed := seeded(t)
	inBubble(t, func(t *testing.T) {
		t.Logf("SEED=%d repeats it", seed)
		r := rand.New(rand.NewPCG(seed, 4))
		run := trains(t, config, seed, atRandom(r, trainerPoints, 50)...)
		t.Logf("%d crashes, %d entries, %d models", run.deaths, run.entries, run.models)
		if run.deaths != 50 || run.models < 3 || run.entries < 50 {
			t.Errorf("%d of 50 crashes, %d models, %d entries", run.deaths, run.models, run.entries)
		}
	})
}
