// Package demo is the first minute with archflow: a small real search, streamed through
// the whole system. Every accuracy is that of a network that is trained here and now,
// and every prediction goes through the topics.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/micro"
	"archflow/encoders/metrics"
	"archflow/internal/cli"
	"archflow/internal/finite"
	"archflow/internal/kafka"
	"archflow/internal/progress"
	"archflow/ops"
	"archflow/pipeline"
	"archflow/pipeline/decisions"
	"archflow/schemas"
)

const (
	searchCount = 3   // side by side, each with a task and seeds of its own
	trainings   = 72  // of each search
	roundSize   = 8   // trainings between two looks at the predictions
	proposals   = 150 // candidates of each search a round
	patience    = 6 * time.Second
)

// demo is a running demo.
type demo struct {
	std      console.Streams
	process  *pipeline.Process
	writer   struct{ candidates, labels *kafka.Writer }
	task     *micro.Task
	table    []micro.Row
	searches []*micro.Search
	answers  *answers
	decided  *decisions.History // of the trainer, read from the models topic
	labels   int64              // published, into a topic that had none
	progress *progress.Bar
	best     highest // of the first search
}

// highest is the best result so far.
type highest struct {
	mu    sync.Mutex
	value float64
}

// raise takes a result in and returns the best.
func (h *highest) raise(value float64) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.value = max(h.value, value)
	return h.value
}

// Run streams a search through the whole system and prints the result.
func Run(ctx context.Context, c pipeline.Config, version string, asJSON bool, std console.Streams) error {
	began := time.Now()
	config := settings(c)
	if err := os.RemoveAll(config.Data); err != nil {
		return fmt.Errorf("clear the folder of the last demo: %w", err)
	}
	report, err := ops.Start(ctx, ops.Options{Version: version, Group: config.Group, LogFormat: c.LogFormat, LogOutput: std.Err, LogLevel: slog.LevelWarn})
	if err != nil {
		return cli.Refuse(err)
	}
	defer func() { _ = report.Shutdown(context.WithoutCancel(ctx)) }() // the result is complete without it
	p, err := pipeline.Open(ctx, &config, report, version)
	if err != nil {
		return console.InterruptedOr(ctx, err, "the searches have not begun")
	}
	defer p.Close()

	ctx, finish := context.WithCancel(ctx)
	defer finish()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Run(ctx) })
	d := &demo{std: std, process: p, task: micro.NewTask(micro.TaskSeed), answers: newAnswers(), decided: decisions.NewHistory()}
	if d.table, err = micro.Table(); err != nil {
		return err
	}
	group.Go(func() error {
		defer finish()
		return d.search(ctx, p)
	})
	group.Go(func() error { return d.answers.follow(ctx, p) })
	group.Go(func() error { return d.followModels(ctx, p) })
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if len(d.searches) == 0 || d.searches[0].Trainings() < trainings {
		return fmt.Errorf("%w: the searches are not finished", console.ErrInterrupted)
	}
	return d.conclude(config, time.Since(began), asJSON)
}

// settings keeps the demo apart from real data and makes it quick.
func settings(c pipeline.Config) pipeline.Config {
	c.Data = filepath.Join(c.Data, "demo")
	c.Table, c.Store = filepath.Join(c.Data, "tables"), filepath.Join(c.Data, "store")
	c.Brokers = nil
	c.Partitions = 2
	c.TableInterval = time.Second
	c.Epochs = 8
	c.Width = 64
	c.TrainShare = 1
	// The page is a bonus: a demo beside a running archflow does without it.
	if probe, err := net.Listen("tcp", c.HTTP); err != nil {
		c.HTTP = "off"
	} else {
		probe.Close()
	}
	return c
}

// search runs all searches round by round.
func (d *demo) search(ctx context.Context, p *pipeline.Process) error {
	d.writer.candidates, d.writer.labels = p.Writer(p.Topics.Architectures), p.Writer(p.Topics.Labels)
	fmt.Fprintf(d.std.Err, "Searching cells of 4 to 6 operations: %d searches of %d real trainings each, %s candidates predicted on the way.\n",
		searchCount, trainings, progress.Thousands(int64(len(d.table)+searchCount*proposals*trainings/roundSize)))
	if err := d.publishTable(ctx, "first"); err != nil {
		return err
	}
	for s := range searchCount {
		d.searches = append(d.searches, micro.NewSearch(uint64(s+1)))
	}
	d.progress = progress.NewBar(d.std.Err, "trained", searchCount*trainings)
	for d.searches[0].Trainings() < trainings {
		if err := d.round(ctx); err != nil {
			return err
		}
	}
	d.progress.Finish()
	// The last models predict the architectures that were not trained: the score
	// below compares these predictions with the results.
	if err := d.publishTable(ctx, "last"); err != nil {
		return err
	}
	return d.answers.wait(ctx, len(d.table), patience, func() int { return d.answers.count("last") })
}

// publishTable streams the architectures of the benchmark, without results.
func (d *demo) publishTable(ctx context.Context, pass string) error {
	for i := range d.table {
		row := &d.table[i]
		if err := d.publish(ctx, row.Architecture(), fmt.Sprintf("%s/%d", pass, row.ID), row.Proxies); err != nil {
			return err
		}
	}
	return d.writer.candidates.Flush(ctx)
}

func (d *demo) publish(ctx context.Context, a micro.Architecture, id string, proxies map[string]float64) error {
	value, err := candidateOf(a, id, proxies)
	if err != nil {
		return err
	}
	return d.writer.candidates.Write(ctx, []byte(id), value, nil)
}

func candidateOf(a micro.Architecture, id string, proxies map[string]float64) ([]byte, error) {
	return json.Marshal(map[string]any{"space": micro.Space, "id": id, "ops": a.Ops, "edges": a.Edges, "proxies": proxies})
}

// round proposes, waits for the predictions, trains the most promising and
// publishes how it did.
func (d *demo) round(ctx context.Context) error {
	round := d.searches[0].Trainings() / roundSize
	want := 0
	proposed := make([][]micro.Architecture, len(d.searches))
	for s, search := range d.searches {
		proposed[s] = search.Propose(proposals)
		for _, a := range proposed[s] {
			if err := d.publish(ctx, a, proposalID(s, round, a), micro.Proxies(a, d.task)); err != nil {
				return err
			}
			want++
		}
	}
	if err := d.writer.candidates.Flush(ctx); err != nil {
		return err
	}
	pass := fmt.Sprintf("round %d", round)
	if err := d.answers.wait(ctx, want, patience, func() int { return d.answers.count(pass) }); err != nil {
		return err
	}
	for s, search := range d.searches {
		for _, a := range proposed[s] {
			if answer := d.answers.of(proposalID(s, round, a), taskName(s)); answer != nil && answer.Value != nil && answer.High != nil {
				search.Predicted(a.Arch, *answer.Value, *answer.High)
			}
		}
	}
	if err := d.train(ctx); err != nil {
		return err
	}
	return d.awaitDecision(ctx)
}

func proposalID(search, round int, a micro.Architecture) string {
	return fmt.Sprintf("round %d/search %d/%s", round, search+1, a.Arch)
}

func taskName(search int) string { return fmt.Sprintf("accuracy_%d", search+1) }

// train trains the choice of every search on all cores and publishes the
// labels in a fixed order.
func (d *demo) train(ctx context.Context) error {
	type job struct {
		search   int
		a        micro.Architecture
		accuracy float64
	}
	var jobs []*job
	for s, search := range d.searches {
		for _, a := range search.Choose(roundSize) {
			jobs = append(jobs, &job{search: s, a: a})
		}
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, j := range jobs {
		group.Go(func() error {
			j.accuracy = d.task.Train(j.a, uint64(100+j.search))
			best := d.best.raise(0)
			if j.search == 0 {
				best = d.best.raise(j.accuracy)
			}
			d.progress.Add(1, fmt.Sprintf("best of search 1 %.2f %%", best))
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, j := range jobs {
		d.searches[j.search].Trained(j.a, j.accuracy)
		value, err := json.Marshal(map[string]any{"space": micro.Space, "ops": j.a.Ops, "edges": j.a.Edges, "task": taskName(j.search), "value": j.accuracy})
		if err != nil {
			return err
		}
		if err := d.writer.labels.Write(ctx, nil, value, nil); err != nil {
			return err
		}
		d.labels++
	}
	return d.writer.labels.Flush(ctx)
}

// awaitDecision gives the trainer a moment to consider the labels that were
// published, and to say so on the models topic, where every client hears it.
func (d *demo) awaitDecision(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := d.decided.Wait(waiting, []string{micro.Space}, map[int32]int64{0: d.labels})
	if err != nil && ctx.Err() == nil {
		return nil // the predictions of the model before will do
	}
	return err
}

// followModels reads the decisions on the models topic until ctx ends.
func (d *demo) followModels(ctx context.Context, p *pipeline.Process) error {
	err := p.Follow(ctx, p.Topics.Models, pipeline.From{Start: true}, false, func(_ schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			decision, err := decisions.Parse(m.Value.At(i))
			if err != nil {
				return err
			}
			if decision != nil {
				d.decided.Add(*decision)
			}
		}
		return nil
	})
	return console.StoppedOr(ctx, err)
}

// conclude prints the table, the score, and the next commands.
func (d *demo) conclude(c pipeline.Config, took time.Duration, asJSON bool) error {
	var taus, found []float64
	for s, search := range d.searches {
		trained := map[string]bool{}
		for _, t := range search.Best(trainings) {
			trained[t.Arch] = true
		}
		var truth, predicted []float64
		for i := range d.table {
			row := &d.table[i]
			answer := d.answers.of(fmt.Sprintf("last/%d", row.ID), taskName(s))
			if answer != nil && !trained[row.Architecture().Arch] {
				truth, predicted = append(truth, row.Labels.Accuracy), append(predicted, answer.Score)
			}
		}
		taus = append(taus, metrics.KendallTau(truth, predicted))
		found = append(found, search.Best(1)[0].Accuracy)
	}
	random, _ := micro.ExpectedBest(d.table, trainings)
	r := result{
		Tau: mean(taus), Best: mean(found), Random: random, Searches: searchCount, Trainings: trainings,
		Predictions: d.process.Summary().Predictions, Seconds: took.Seconds(), Table: c.Table + "/predictions",
		Candidates: filepath.Join(c.Data, "candidates.jsonl"), Labels: filepath.Join(c.Data, "labels.jsonl"),
	}
	if err := d.samples(r.Candidates, r.Labels); err != nil {
		return err
	}
	if asJSON {
		return finite.Encode(d.std.Out, r)
	}
	return r.print(d.std.Out, d.searches[0])
}

func mean(v []float64) float64 {
	sum := 0.
	for _, x := range v {
		sum += x / float64(len(v))
	}
	return sum
}

// result is the outcome of a demo.
type result struct {
	Tau         float64 `json:"tau"`    // on architectures that were not trained
	Best        float64 `json:"best"`   // accuracy in percent, mean over the searches
	Random      float64 `json:"random"` // of random search with as many trainings
	Searches    int     `json:"searches"`
	Trainings   int     `json:"trainings"`
	Predictions int64   `json:"predictions"`
	Seconds     float64 `json:"seconds"`
	Table       string  `json:"table"`
	Candidates  string  `json:"candidates"` // file to publish
	Labels      string  `json:"labels"`     // file to publish
}

func (r result) print(out io.Writer, search *micro.Search) error {
	fmt.Fprintf(out, "\nThe best of search 1, as trained:\n")
	for i, t := range search.Best(5) {
		fmt.Fprintf(out, "  %d.  %6.2f %%   %s\n", i+1, t.Accuracy, t.Arch)
	}
	fmt.Fprintf(out, `
Best found with %d trainings   %6.2f %%   mean of %d searches
Random search with as many     %6.2f %%
Kendall tau                    %6.2f     predictions against results, architectures that were not trained
Predictions                    %6s     in %.0f s, every one in the table

The table   %s
  python    %s
  duckdb    SELECT space, count(*), avg(predictions['accuracy_1'].value) FROM delta_scan('%s') GROUP BY 1;

`, r.Trainings, r.Best, r.Searches, r.Random, r.Tau, progress.Thousands(r.Predictions), r.Seconds, r.Table, pythonLine(r.Table), r.Table)
	archflow := invoked()
	for i, next := range [][2]string{
		{"run", "the pipeline; open http://127.0.0.1:8099/ and, in another terminal,"},
		{"publish candidates " + r.Candidates, "architectures of the demo, or a file of yours"},
		{"publish labels " + r.Labels, "32 of their results, enough for a first model"},
		{"read predictions --from start", ""},
	} {
		head := ""
		if i == 0 {
			head = "Next"
		}
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-11s %-58s  %s", head, archflow+" "+next[0], next[1]), " "))
	}
	return nil
}

// pythonLine reads a table into Python.
func pythonLine(table string) string {
	return fmt.Sprintf("import polars; polars.read_delta(%q)", table)
}

// invoked is the command of this program: its name when the shell finds it under
// that, else the path with which it was started.
func invoked() string {
	self, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	found, err := exec.LookPath(filepath.Base(self))
	if err != nil {
		return os.Args[0]
	}
	a, errA := os.Stat(self)
	b, errB := os.Stat(found)
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		return os.Args[0]
	}
	return filepath.Base(self)
}

// samples writes architectures of the benchmark and some results as files to
// publish.
func (d *demo) samples(candidates, labels string) error {
	var architectures, results bytes.Buffer
	for i := range d.table {
		row := &d.table[i]
		id := fmt.Sprint("sample-", row.ID)
		value, err := candidateOf(row.Architecture(), id, row.Proxies)
		if err != nil {
			return err
		}
		architectures.Write(append(value, '\n'))
		if i%(len(d.table)/sampleLabels) == 0 && bytes.Count(results.Bytes(), []byte("\n")) < sampleLabels {
			fmt.Fprintf(&results, `{"space":%q,"id":%q,"task":"accuracy","value":%v}`+"\n", micro.Space, id, row.Labels.Accuracy)
		}
	}
	return errors.Join(os.WriteFile(candidates, architectures.Bytes(), 0o644), os.WriteFile(labels, results.Bytes(), 0o644))
}

const sampleLabels = 32

// answers collects the predictions as a searcher reads them.
type answers struct {
	mu     sync.Mutex
	byID   map[string]map[string]*schemas.TaskPrediction
	passes map[string]int
}

func newAnswers() *answers {
	return &answers{byID: map[string]map[string]*schemas.TaskPrediction{}, passes: map[string]int{}}
}

// follow reads the predictions topic until ctx ends.
func (a *answers) follow(ctx context.Context, p *pipeline.Process) error {
	err := p.Follow(ctx, p.Topics.Predictions, pipeline.From{Start: true}, false, func(_ schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			if err := a.take(m.Value.At(i)); err != nil {
				return err
			}
		}
		return nil
	})
	return console.StoppedOr(ctx, err)
}

func (a *answers) take(value []byte) error {
	prediction, err := schemas.ParsePrediction(value)
	if err != nil {
		return err
	}
	var id string
	if err := json.Unmarshal(prediction.ID, &id); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.byID[id] = prediction.Tasks
	pass, _, _ := strings.Cut(id, "/")
	a.passes[pass]++
	return nil
}

func (a *answers) count(pass string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.passes[pass]
}

func (a *answers) of(id, task string) *schemas.TaskPrediction {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byID[id][task]
}

// wait returns when the wanted number of answers is there, or when none has come for
// as long as patience.
func (a *answers) wait(ctx context.Context, want int, patience time.Duration, have func() int) error {
	last, since := have(), time.Now()
	for last < want && time.Since(since) < patience {
		if err := console.Sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
		if now := have(); now != last {
			last, since = now, time.Now()
		}
	}
	return ctx.Err()
}
