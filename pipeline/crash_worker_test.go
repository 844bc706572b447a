package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"archflow/encoders"
	"archflow/encoders/learner"
	"archflow/internal/kafka"
	"archflow/schemas"
	"archflow/stages"
)

// models returns two models of the space dag that answer differently.
func models(t *testing.T, config *Config) (two []*encoders.Model) {
	t.Helper()
	p := &Process{config: config, flows: stages.NewFlows(config.Seed)}
	l := learner.New((&trainer{config: p.config, flows: p.flows}).learnerConfig("dag"))
	var c schemas.Candidates
	d := schemas.NewDecoder(schemas.Limits{})
	for i := range 100 {
		if refused := d.Candidate(&c, []byte(chain(i))); refused != nil {
			t.Fatal(refused)
		}
		c.Append(int64(i), 0, nil, nil)
		l.Observe(&c, i)
	}
	for i := range 60 {
		l.Label(schemas.Label{Space: "dag", Task: "acc", Value: float64(i*i%17 + i%3), ID: fmt.Appendf(nil, `"c%d"`, i)})
		for len(two) < 2 && i > 20 && l.Due(false) {
			progress, err := l.Work(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			if progress.Challenger != nil && progress.Challenger.Promoted && !progress.Challenger.Taught {
				two = append(two, progress.Challenger.Model)
			}
		}
	}
	if len(two) != 2 {
		t.Fatalf("%d models", len(two))
	}
	return two
}

// serve makes a model the one that answers; nil changes nothing.
func (w *world) serve(model *encoders.Model) {
	w.t.Helper()
	if model == nil {
		return
	}
	store := w.bucket("store")
	defer store.Close()
	r, err := OpenRegistry(w.t.Context(), store)
	if err == nil {
		_, err = r.Publish(w.t.Context(), SpaceManifest{Space: "dag"}, model)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// ask publishes rounds of candidates, some of them broken, to both partitions.
func (w *world) ask(seed uint64, rounds int) {
	r := rand.New(rand.NewPCG(seed, 6))
	for i := range rounds {
		var values []string
		for range 1 + r.IntN(8) {
			if v := chain(r.IntN(128)); r.IntN(6) > 0 {
				values = append(values, v)
			} else {
				values = append(values, v[:len(v)/2])
			}
		}
		w.publish(w.topics.Architectures, i%2, values...)
		time.Sleep(time.Duration(r.IntN(120)) * time.Millisecond)
	}
}

// replied is the result of a run of workers.
type replied struct {
	visited []string
	deaths  int
	models  map[string]int
}

// workers runs one worker after the other, each until its crash, and the last to
// the end, beside a publisher; after the first crash another model answers. It
// fails unless every candidate is answered once in the topic and once in the
// table, with the same bits, or is once a dead letter in both.
func workers(t *testing.T, config *Config, two []*encoders.Model, seed uint64, crashes ...crash) (out replied) {
	t.Helper()
	w := newWorld(t, config)
	defer w.close()
	w.serve(two[0])
	published, publishedAll := context.WithCancel(t.Context())
	go func() {
		defer publishedAll()
		w.ask(seed, 12+len(crashes)/2)
	}()
	swapped := false
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
			return p.answer(stop, kafka.Assignment{Member: kafka.Member{Group: "g", Generation: -1}, Partitions: p.candidatePartitions()})
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
		if !swapped {
			swapped = true
			w.serve(two[1])
		}
	}
	out.models = w.sameInTopicAndTable(t)
	return out
}

type answered6 struct {
	Score      float64 `parquet:"score,optional"`
	Value      float64 `parquet:"value,optional"`
	Low        float64 `parquet:"low,optional"`
	High       float64 `parquet:"high,optional"`
	Percentile float64 `parquet:"percentile,optional"`
	Top        float64 `parquet:"top,optional"`
}

// sameInTopicAndTable compares the published candidates with the topics and the tables,
// and returns how many candidates each model answered.
func (w *world) sameInTopicAndTable(t *testing.T) map[string]int {
	t.Helper()
	tables := w.bucket("tables")
	defer tables.Close()
	type at struct {
		partition int32
		offset    int64
	}
	topic, table, deadLetters := map[at][]string{}, map[at][]string{}, map[at]string{}
	byModel := map[string]int{}
	for partition := range int32(2) {
		m := w.committed(w.topics.Predictions, partition)
		for i := range m.Len() {
			var p struct {
				Model  string
				Source struct {
					Partition int32
					Offset    int64
				}
				Tasks map[string]answered6
			}
			if err := json.Unmarshal(m.Value.At(i), &p); err != nil {
				t.Fatal(err)
			}
			a := at{p.Source.Partition, p.Source.Offset}
			topic[a] = append(topic[a], fmt.Sprintf("%s %b", p.Model, p.Tasks["acc"]))
			byModel[p.Model]++
		}
		m = w.committed(w.topics.DeadLetters, partition)
		for i := range m.Len() {
			var a at
			for _, h := range m.Headers(i) {
				switch h.Name {
				case "archflow-offset":
					_, _ = fmt.Sscan(string(h.Value), &a.offset)
				case "archflow-partition":
					_, _ = fmt.Sscan(string(h.Value), &a.partition)
				}
			}
			deadLetters[a] += "topic "
		}
	}
	for _, r := range rows[struct {
		Partition   int32                `parquet:"partition"`
		Offset      int64                `parquet:"offset"`
		Model       string               `parquet:"model,optional"`
		Predictions map[string]answered6 `parquet:"predictions,optional"`
	}](t, tables, "predictions") {
		a := at{r.Partition, r.Offset}
		table[a] = append(table[a], fmt.Sprintf("%s %b", r.Model, r.Predictions["acc"]))
	}
	for _, r := range rows[struct {
		Partition int32 `parquet:"partition"`
		Offset    int64 `parquet:"offset"`
	}](t, tables, "dead_letters") {
		deadLetters[at{r.Partition, r.Offset}] += "table"
	}
	for partition := range int32(2) {
		m := w.committed(w.topics.Architectures, partition)
		for i := range m.Len() {
			a := at{partition, m.Offset[i]}
			if !json.Valid(m.Value.At(i)) {
				if deadLetters[a] != "topic table" || len(topic[a])+len(table[a]) > 0 {
					t.Errorf("%v is broken: dead letters in %q, answers %v and %v", a, deadLetters[a], topic[a], table[a])
				}
				continue
			}
			if len(topic[a]) != 1 || !slices.Equal(topic[a], table[a]) || deadLetters[a] != "" {
				t.Errorf("%v is answered %v in the topic and %v in the table; dead letters in %q", a, topic[a], table[a], deadLetters[a])
			}
		}
	}
	return byModel
}

// workerPoints are the worker's operations on broker and store between reading and
// having committed.
var workerPoints = []string{
	"initproducerid", "kafka.stableOffsets", "listoffsets", "kafka.rawFetch",
	"addpartitionstotxn", "rawproduce", "addoffsetstotxn", "txnoffsetcommit", "endtxn",
	"write file of predictions", "create log of predictions", "write file of dead_letters", "create log of dead_letters",
}

// TestWorkerCrashesAnywhere: a worker crashes at every point, and the next one at
// the point that follows; no answer is lost, none is there twice, and topic and
// table say the same although the model was swapped, or the first one came, meanwhile.
func TestWorkerCrashesAnywhere(t *testing.T) {
	config := learning(t)
	two := models(t, config)
	inBubble(t, func(t *testing.T) {
		const seed = 8
		clean := workers(t, config, two, seed)
		t.Logf("seed %d: without a crash %d points, answers by model: %v", seed, len(clean.visited), clean.models)
		for _, name := range workerPoints {
			for _, side := range []string{"before ", "after "} {
				if !slices.Contains(clean.visited, side+name) {
					t.Errorf("no worker comes to the point %s%s; it comes to %s", side, name, strings.Join(clean.visited, ", "))
				}
			}
		}
		both, runs := 0, 0
		for _, pass := range []struct {
			n    int // the first visit, or one in the middle where there is one
			from *encoders.Model
		}{{0, two[0]}, {2, two[0]}, {0, nil}, {2, nil}} {
			n, two := pass.n, []*encoders.Model{pass.from, two[1]}
			for i, point := range clean.visited {
				if t.Failed() {
					return
				}
				next := clean.visited[(i+1)%len(clean.visited)]
				run := workers(t, config, two, seed, crash{point: point, n: n}, crash{point: next})
				if n == 0 && run.deaths != 2 {
					t.Errorf("%d of 2 crashes happened", run.deaths)
				}
				runs++
				if len(run.models) == 2 {
					both++
				}
				t.Logf("%s %d, then %s: %d crashes, answers by model: %v", point, n, next, run.deaths, run.models)
			}
		}
		if both < runs/4 {
			t.Errorf("both models answered in %d runs of %d: too few to show anything", both, runs)
		}
	})
}

// TestWorkerCrashesAtRandom: at random points, a little later each.
func TestWorkerCrashesAtRandom(t *testing.T) {
	config := learning(t)
	two := models(t, config)
	seed := seeded(t)
	inBubble(t, func(t *testing.T) {
		t.Logf("SEED=%d repeats it", seed)
		r := rand.New(rand.NewPCG(seed, 9))
		run := workers(t, config, two, seed, atRandom(r, workerPoints, 50)...)
		t.Logf("%d crashes, answers by model: %v", run.deaths, run.models)
		if run.deaths < 40 {
			t.Errorf("%d crashes", run.deaths)
		}
	})
}

// seeded returns SEED, or a new seed, and passes it on to the bubble's process.
func seeded(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatal("SEED: ", err)
		}
	}
	t.Setenv("SEED", fmt.Sprint(seed))
	return seed
}

// atRandom returns n crashes.
func atRandom(r *rand.Rand, points []string, n int) (crashes []crash) {
	for range n {
		point := []string{"before ", "after "}[r.IntN(2)] + points[r.IntN(len(points))]
		crashes = append(crashes, crash{point: point, n: r.IntN(16), within: time.Duration(50+r.IntN(900)) * time.Millisecond})
	}
	return crashes
}
