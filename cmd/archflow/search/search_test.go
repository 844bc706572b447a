package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/remote"
	"archflow/cmd/archflow/search/searchtest"
	"archflow/cmd/archflow/strategies"
	"archflow/internal/cli"
	"archflow/internal/kafka"
	"archflow/internal/kafka/kafkatest"
	"archflow/ops"
	"archflow/pipeline"
	"archflow/schemas"
)

// commandLine is one of the search.
type commandLine struct {
	pipeline.Config
	JSON   bool    `name:"json"`
	Search Options `cmd:""`
}

// parse reads a command line.
func parse(args []string) (c commandLine, err error) {
	parser, err := cli.New("archflow", "", "ARCHFLOW", &c)
	if err == nil {
		_, err = parser.Parse(args, nil)
	}
	if err == nil {
		err = c.Validate()
	}
	return c, err
}

// run runs a command line.
func run(ctx context.Context, args []string, std console.Streams) int {
	c, err := parse(args)
	if err != nil {
		return console.Status(cli.Refuse(err), std.Err)
	}
	result, err := Run(ctx, c.Search, &c.Config, "test", std)
	if err == nil {
		err = json.NewEncoder(std.Out).Encode(result)
	}
	return console.Status(err, std.Err)
}

// TestSearch searches a made-up table in a process of its own, stops after a part,
// and goes on: the trials before are those of the first part, none comes twice, and
// the search ends with the table's best, as it is said.
func TestSearch(t *testing.T) {
	dir := t.TempDir()
	file, most := searchtest.Table(t, dir)
	address := kafkatest.FreeAddress(t)
	search := func(strategy string, budget int) (r Result) {
		t.Helper()
		var out bytes.Buffer
		args := []string{"search", "nb201", "--task", "acc", "--table", file, "--strategy", strategy, "--budget", fmt.Sprint(budget), "--batch", "8", "--name", strategy,
			"--data", filepath.Join(dir, "data"), "--http", address, "--width", "16", "--layers", "2", "--epochs", "1", "--json"}
		if status := run(t.Context(), args, console.Streams{In: nil, Out: &out, Err: io.Discard}); status != console.ExitStopped {
			t.Fatalf("%s: status %d: %s", strategy, status, out.String())
		}
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(out.String(), err)
		}
		return r
	}
	for _, strategy := range []string{"ours", "bananas"} {
		first, second := search(strategy, 20), search(strategy, 32)
		var ids []string
		for i, trial := range second.Trials {
			ids = append(ids, trial.ID)
			if i < len(first.Trials) && first.Trials[i].ID != trial.ID {
				t.Errorf("%s: trial %d was %s and is %s", strategy, i, first.Trials[i].ID, trial.ID)
			}
		}
		slices.Sort(ids)
		if n := len(slices.Compact(slices.Clone(ids))); n != 32 || len(first.Trials) != 20 {
			t.Errorf("%s: %d of 32 trials are distinct after %d", strategy, n, len(first.Trials))
		}
		if regret := second.Regret["32"]; float64(most)-second.Value != regret || regret > float64(most-50)/2 {
			t.Errorf("%s: best %v of %d, regret %v", strategy, second.Value, most, regret)
		}
	}
}

// TestSearchOwnSpace searches a space of the user's own without a table: what is
// trained is made out of 20 candidates that were published, is published before it
// is a trial, and is better than they are; a search that goes on keeps its trials, and
// one of another goal than the labels says so.
func TestSearchOwnSpace(t *testing.T) {
	args := []string{"search", "own-ours", "--task", "acc", "--batch", "8", "--data", filepath.Join(t.TempDir(), "data"), "--http", kafkatest.FreeAddress(t),
		"--width", "16", "--layers", "2", "--epochs", "1", "--json"}
	c, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	report, err := ops.Start(t.Context(), ops.Options{LogOutput: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	server, disconnect, err := serve(ctx, &c.Config, report)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		if err := disconnect(); err != nil {
			t.Error(err)
		}
	}()
	worth := func(message []byte) float64 {
		var m struct {
			Ops             []any
			Hyperparameters struct{ Dim float64 }
		}
		if err := json.Unmarshal(message, &m); err != nil {
			t.Error(err, string(message))
		}
		return m.Hyperparameters.Dim + 10*float64(len(m.Ops))
	}
	random := rand.New(rand.NewPCG(4, 4))
	var published [][]byte
	most := map[string]float64{}
	for i := range 60 {
		space := []string{"ours", "evolution", "npenas"}[i/20] // one for each, as searches of a space see each other's candidates
		message := fmt.Appendf(nil, `{"space":"own-%s","id":"p%d","ops":["input",{"op":"block","heads":%d},"output"],"edges":[[0,1],[1,2]],"hyperparameters":{"dim":%d}}`, space, i, 1<<random.IntN(4), 10+random.IntN(100))
		if i%2 == 0 {
			message = fmt.Appendf(nil, `{"space":"own-%s","id":"p%d","ops":["input",{"op":"block","heads":%d},"conv","output"],"edges":[[0,1],[1,2],[2,3]],"hyperparameters":{"dim":%d}}`, space, i, 1<<random.IntN(4), 10+random.IntN(60))
		}
		published, most[space] = append(published, message), max(most[space], worth(message))
	}
	if err := server.PostLines(ctx, "/api/candidates", "", published, nil); err != nil {
		t.Fatal(err)
	}
	topics, err := pipeline.Dial(ctx, &c.Config, report.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer topics.Close()
	if err := topics.EnsureTrials(ctx); err != nil {
		t.Fatal(err)
	}
	training := make(chan error, 1)
	go func() { // who trains
		training <- topics.Follow(ctx, topics.Topics.Trials, pipeline.From{Start: true}, false, func(_ schemas.TopicPartition, m *schemas.Messages) error {
			var labels [][]byte
			for i := range m.Len() {
				message := m.Value.At(i)
				if !bytes.Contains(message, []byte(`"goal":"max"`)) {
					t.Errorf("a trial without its goal: %s", message)
				}
				labels = append(labels, fmt.Appendf(message[:len(message)-1:len(message)-1], `,"task":"acc","value":%g}`, worth(message)))
			}
			if len(labels) == 0 {
				return nil
			}
			return server.PostLines(ctx, "/api/labels", "", labels, nil)
		})
	}()
	for _, strategy := range []string{"ours", "evolution", "npenas"} {
		search := func(budget int) (r Result) {
			t.Helper()
			var out bytes.Buffer
			line := slices.Clone(args)
			line[1] = "own-" + strategy
			if status := run(ctx, append(line, "--strategy", strategy, "--budget", fmt.Sprint(budget)), console.Streams{Out: &out, Err: io.Discard}); status != console.ExitStopped {
				t.Fatalf("%s: status %d: %s", strategy, status, out.String())
			}
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatal(out.String(), err)
			}
			return r
		}
		first, second := search(24), search(40)
		made, ids := 0, map[string]bool{}
		for i, trial := range second.Trials {
			ids[trial.ID] = true
			if strings.HasPrefix(trial.ID, "new-") {
				made++
			}
			if i < len(first.Trials) && first.Trials[i].ID != trial.ID {
				t.Errorf("%s: trial %d was %s and is %s", strategy, i, first.Trials[i].ID, trial.ID)
			}
		}
		if len(ids) != 40 || made < 15 || second.Value < most[strategy] {
			t.Errorf("%s: %d of 40 are distinct, %d were made, best %v of %v", strategy, len(ids), made, second.Value, most[strategy])
		}
	}
	var said bytes.Buffer
	if status := run(ctx, append(slices.Clone(args), "--goal", "min", "--name", "other"), console.Streams{Out: io.Discard, Err: &said}); status != console.ExitFailed || !strings.Contains(said.String(), `start the search again with --goal max, or after a label of the task with "goal": "min"`) {
		t.Errorf("another goal: status %d, %s", status, said.String())
	}
	stop()
	if err := <-training; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestAnswersByNetwork: an answer is found by its network, published without an id or
// with another one; those that a table lacks are passed over, and a search that is left
// without says so.
func TestAnswersByNetwork(t *testing.T) {
	c, err := parse([]string{"search", "own", "--task", "acc", "--width", "16", "--layers", "2", "--epochs", "1"})
	if err != nil {
		t.Fatal(err)
	}
	candidate := func(id string, heads int) []byte {
		return fmt.Appendf(nil, `{"space":"own",%s"ops":["input",{"op":"block","heads":%d},"output"],"edges":[[0,1],[1,2]]}`, id, heads)
	}
	for name, test := range map[string]struct {
		open bool
		own  []byte // of the pool
	}{"open": {true, candidate("", 4)}, "table": {false, candidate(`"id":"row",`, 4)}} {
		s := &search{searcher: searcher{Options: c.Search, server: remote.InProcess(pipeline.NewOffline(&c.Config)), pool: strategies.NewPool(c.Limits())}, config: &c.Config}
		s.pool.Open = test.open
		if err := errors.Join(s.setObjectives(), s.pool.Add(test.own)); err != nil {
			t.Fatal(err)
		}
		published := [][]byte{candidate("", 4)}
		if !test.open {
			published = [][]byte{candidate(`"id":"old",`, 4), candidate("", 1), candidate("", 2), candidate("", 8)}
		}
		if err := s.server.PostLines(t.Context(), "/api/candidates", "", published, nil); err != nil {
			t.Fatal(err)
		}
		s.labels = newTopicLabels(s)
		s.results = s.labels
		places, err := s.ask(t.Context(), 1)
		if err != nil || !slices.Equal(places, []int{0}) {
			t.Errorf("%s: %v, %v", name, places, err)
		}
		if test.open {
			continue // new networks are made
		}
		s.trials = places
		s.labels.values[labelKey{0, 0}] = map[string]float64{"": 1}
		var said bytes.Buffer
		s.std.Err = &said
		if err := s.spend(t.Context()); err != nil || !strings.Contains(said.String(), "after 1 of 150 trials: no candidate is left that is neither trained nor") {
			t.Errorf("%v, %s", err, said.String())
		}
	}
}

// TestLabelsOfTrials: a trial's result is the mean of the seeds that have a value, and
// labels of less than the full training are none.
func TestLabelsOfTrials(t *testing.T) {
	c, err := parse([]string{"search", "own", "--task", "loss", "--goal", "min"})
	if err != nil {
		t.Fatal(err)
	}
	s := &search{searcher: searcher{Options: c.Search, pool: strategies.NewPool(c.Limits())}, config: &c.Config}
	if err := errors.Join(s.setObjectives(), s.pool.Add([]byte(`{"space":"own","id":1,"ops":["a"],"edges":[]}`))); err != nil {
		t.Fatal(err)
	}
	labels := newTopicLabels(s)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, step := range []struct {
		label string
		ends  bool
		value float64 // 0 for none
		goal  string
	}{
		{`"value":5,"fidelity":10,"goal":"min"`, false, 0, "min"},
		{`"failed":true`, true, 0, "min"},
		{`"value":3,"seed":1`, true, 3, "min"},
		{`"value":6,"seed":2,"goal":"max"`, true, 4.5, "max"},
		{`"value":NaN,"seed":2`, true, 4.5, "max"},
		{`"value":null,"seed":2`, true, 3, "max"},
		{`"value":null,"seed":1,"fidelity":10`, true, 3, "max"},
		{`"value":null`, false, 0, "max"},
		{`"value":null,"seed":1`, false, 0, "max"},
		{`"value":NaN,"goal":"min"`, true, 0, "min"},
	} {
		l, refused := labels.decoder.Label([]byte(`{"space":"own","id":1,"task":"loss",` + step.label + `}`))
		if refused != nil {
			t.Fatal(refused)
		}
		labels.take(&l)
		ends, value := labels.await(ended, []int{0}) == nil, labels.of(0, 0)
		if ends != step.ends || value != step.value && (step.value != 0 || value == value) {
			t.Errorf("%s: ends %v, value %v", step.label, ends, value)
		}
		if err := labels.opposed(); (err == nil) != (step.goal == "min") {
			t.Errorf("%s: %v", step.label, err)
		}
	}
}

// TestLabelsOfPartitions: a request waits for the labels of every partition of their
// topic, and they are read from all of them.
func TestLabelsOfPartitions(t *testing.T) {
	c, err := parse([]string{"search", "own", "--task", "acc", "--brokers", kafkatest.Fake(t)})
	if err != nil {
		t.Fatal(err)
	}
	kafkatest.Topics(t, kafkatest.Client(t, c.Brokers[0]), 2, kafka.TopicsOf(c.TopicPrefix).Labels)
	topics, err := pipeline.Dial(t.Context(), &c.Config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer topics.Close()
	s := &search{searcher: searcher{Options: c.Search, pool: strategies.NewPool(c.Limits())}, Connected: topics, config: &c.Config}
	if err := s.setObjectives(); err != nil {
		t.Fatal(err)
	}
	writer := topics.Writer(topics.Topics.Labels)
	for id := range 40 {
		err = errors.Join(err, s.pool.Add(fmt.Appendf(nil, `{"space":"own","id":%d,"ops":["a","b%d"],"edges":[[0,1]]}`, id, id)),
			writer.Write(t.Context(), fmt.Append(nil, id), fmt.Appendf(nil, `{"space":"own","id":%d,"task":"acc","value":%d}`, id, id), nil))
	}
	if err := errors.Join(err, writer.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	labels := newTopicLabels(s)
	if err := labels.follow(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	var zero, one int
	if n, err := fmt.Sscanf(labels.through(), "0:%d,1:%d", &zero, &one); n != 2 || zero < 1 || one < 1 || zero+one != 40 || len(labels.values) != 40 {
		t.Errorf("%s, %v, %d labels", labels.through(), err, len(labels.values))
	}
}

// serve runs an archflow in this process.
func serve(ctx context.Context, c *pipeline.Config, report *ops.Telemetry) (remote.Client, func() error, error) {
	server, err := remote.New(c)
	if err != nil {
		return server, nil, err
	}
	_, stop, err := connect(ctx, c, report, server, "test")
	return server, stop, err
}

// TestSearchRefusals: what cannot be searched is said before anything starts.
func TestSearchRefusals(t *testing.T) {
	for _, args := range [][]string{
		{"search", "nb201"},
		{"search", "nb201", "--task", "acc", "--budget", "0"},
		{"search", "nb201", "--task", "acc", "--strategy", "luck"},
		{"search", "nb201", "--task", "acc", "--table", "nowhere.jsonl.gz"},
		{"search", "nb201", "--task", "acc", "--http", "off"},
		{"search", "nb201", "--task", "acc,ms", "--strategy", "local"},
		{"search", "nb201", "--task", "acc,ms", "--goal", "max,least"},
		{"search", "nb201", "--task", "acc,ms", "--goal", "max,min,max"},
		{"search", "nb201", "--task", "acc,acc"},
		{"search", "nb201", "--task", "acc,"},
	} {
		var said bytes.Buffer
		if status := run(t.Context(), args, console.Streams{In: nil, Out: io.Discard, Err: &said}); status != console.ExitRefused {
			t.Errorf("%q: status %d, %s", args, status, said.String())
		}
	}
}

// TestSearchFront searches for high acc and low ms through the topics: the stated
// front is that of its trials, and it misses less of the table's hypervolume than
// chance does with the same trials.
func TestSearchFront(t *testing.T) {
	dir := t.TempDir()
	file, _ := searchtest.Table(t, dir)
	address := kafkatest.FreeAddress(t)
	missing := map[string]float64{}
	for _, strategy := range []string{"ours", "random"} {
		var out bytes.Buffer
		args := []string{"search", "nb201", "--task", "acc,ms", "--goal", "max,min", "--table", file, "--strategy", strategy, "--budget", "50", "--batch", "10",
			"--data", filepath.Join(dir, "data"), "--http", address, "--width", "16", "--layers", "2", "--epochs", "1", "--json"}
		if status := run(t.Context(), args, console.Streams{In: nil, Out: &out, Err: io.Discard}); status != console.ExitStopped {
			t.Fatalf("%s: status %d: %s", strategy, status, out.String())
		}
		var r Result
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(out.String(), err)
		}
		var points [][]float64
		var ids, stated []string
		for _, trial := range r.Trials {
			points = append(points, []float64{*trial.Values["acc"], -*trial.Values["ms"]})
		}
		for _, i := range front(points) {
			ids = append(ids, r.Trials[i].ID)
		}
		for _, trial := range r.Front {
			stated = append(stated, trial.ID)
		}
		if !slices.Equal(ids, stated) || len(r.Trials) != 50 {
			t.Errorf("%s: the front of %d trials is %v, stated %v", strategy, len(r.Trials), ids, stated)
		}
		missing[strategy] = r.Regret["50"]
	}
	if !(missing["ours"] < missing["random"]) {
		t.Errorf("of the hypervolume is missing: %v", missing)
	}
}

// TestHypervolume compares with volumes that were worked out by hand, and in three
// dimensions with a count of the unit cubes below the points.
func TestHypervolume(t *testing.T) {
	points := [][]float64{{3, 1}, {1, 3}, {2, 2}, {1, 1}, {2, 2}, {-5, 9}, {0, 4}}
	if got := hypervolume(points, []float64{0, 0}); got != 6 {
		t.Errorf("two dimensions: %v", got)
	}
	if got := front(points); !slices.Equal(got, []int{0, 1, 2, 5, 6}) {
		t.Errorf("the front: %v", got)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var three [][]float64
	cubes := map[[3]int]bool{}
	for range 30 {
		p := [3]int{random.IntN(9), random.IntN(9), random.IntN(9)}
		three = append(three, []float64{float64(p[0]), float64(p[1]), float64(p[2])})
		for x := range p[0] {
			for y := range p[1] {
				for z := range p[2] {
					cubes[[3]int{x, y, z}] = true
				}
			}
		}
	}
	if got := hypervolume(three, []float64{0, 0, 0}); got != float64(len(cubes)) {
		t.Errorf("three dimensions: %v of %d", got, len(cubes))
	}
}

// TestNoSuchTable: the name of a file that is not there is not taken for a folder of Delta
// tables, which would be made.
func TestNoSuchTable(t *testing.T) {
	for name, refused := range map[string]bool{
		"rows.jsonl": true, "rows.jsonl.gz": true, "rows.json": true, "rows.csv": true,
		"tables": false, "tables.v2": false, "s3://bucket/tables": false,
	} {
		c := pipeline.Config{Table: name}
		var o Options
		if err := o.takeTable(&c); (err != nil) != refused || o.file != "" {
			t.Errorf("--table %s: %v", name, err)
		}
	}
}
