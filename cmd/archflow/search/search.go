// Package search runs a whole search: it chooses candidates by a strategy, has them
// trained, and learns from their labels.
//
// A search is a client like any other. Candidates and labels go through the HTTP API
// and trials through their topic. A search that was killed reads its trials and labels
// back from the topics and goes on. A Replay does the same on a benchmark table,
// without topics.
package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"time"

	"archflow/cmd/archflow/console"
	"archflow/cmd/archflow/remote"
	"archflow/cmd/archflow/strategies"
	"archflow/internal/cli"
	"archflow/internal/progress"
	"archflow/ops"
	"archflow/pipeline"
	"archflow/schemas"
)

// Options are the flags of a search.
type Options struct {
	Space        string        `arg:"" help:"The search space."`
	Task         string        `required:"" placeholder:"TASK,..." help:"What is to be good; several, parted by commas, for their front."`
	Goal         string        `default:"max" placeholder:"max|min,..." help:"min where less of the task is better; one for all tasks or one for each."`
	Strategy     string        `enum:"ours,random,evolution,local,bananas,npenas,reinforce,reinforce-alone" default:"ours" help:"ours: what /api/ask says; random; evolution: regularised; local; bananas and npenas: mutations of the best, by draws from the predictions or by the predictions; reinforce: a policy that learns from results and predictions; reinforce-alone: from results."`
	Acquisition  string        `enum:"top,ucb,ei,thompson" default:"ei" help:"What ours goes by."`
	Budget       int           `default:"150" help:"Trials in all."`
	Batch        int           `default:"10" help:"Trials at a time."`
	Name         string        `placeholder:"NAME" help:"Of the search; the same name goes on with it. Default: SPACE-TASK-STRATEGY-SEED."`
	TrialTimeout time.Duration `default:"1h" help:"After how long a trial without a label is asked for again."`

	file       string // the benchmark table, "" for none
	objectives []objective
}

// dataFile matches the names of files, which are no folders of tables.
var dataFile = regexp.MustCompile(`\.(jsonl?|ndjson|csv|parquet)(\.gz)?$|\.gz$`)

// takeTable takes the benchmark table out of --table, which for every other command
// is the folder of the Delta tables.
func (o *Options) takeTable(c *pipeline.Config) error {
	info, err := os.Stat(c.Table)
	switch {
	case err == nil && info.Mode().IsRegular():
		o.file, c.Table = c.Table, ""
	case err != nil && dataFile.MatchString(c.Table):
		return fmt.Errorf("--table %s: no such benchmark table", c.Table)
	}
	return nil
}

// Run searches until the budget is spent. The result is nil when ctx ends before.
func Run(ctx context.Context, o Options, c *pipeline.Config, version string, std console.Streams) (*Result, error) {
	if o.Budget < 1 || o.Batch < 1 {
		return nil, cli.Refuse(fmt.Errorf("budget %d and batch %d: both are at least 1", o.Budget, o.Batch))
	}
	if err := o.setObjectives(); err != nil {
		return nil, cli.Refuse(err)
	}
	if o.Name == "" {
		o.Name = fmt.Sprintf("%s-%s-%s-%d", o.Space, o.Task, o.Strategy, c.Seed)
	}
	if err := o.takeTable(c); err != nil {
		return nil, cli.Refuse(err)
	}
	server, err := remote.New(c)
	if err != nil {
		return nil, err
	}
	report, err := ops.Start(ctx, ops.Options{Version: version, Group: c.Group, LogFormat: c.LogFormat, LogOutput: std.Err, LogLevel: slog.LevelWarn})
	if err != nil {
		return nil, cli.Refuse(err)
	}
	defer func() { _ = report.Shutdown(context.WithoutCancel(ctx)) }() // the result is complete without it
	running, finish := context.WithCancel(ctx)
	defer finish()
	connected, stop, err := connect(running, c, report, server, version)
	if err != nil {
		return nil, console.StoppedOr(ctx, err)
	}
	server.Patient = true
	s := &search{searcher: searcher{Options: o, server: server, seed: c.Seed}, Connected: connected, config: c, std: std}
	result, err := s.run(running)
	err = console.StoppedOr(ctx, err)
	finish()
	return result, errors.Join(err, stop())
}

// connect returns the topics of the archflow that runs at the address of the
// configuration. Where none answers it starts one in this process.
func connect(ctx context.Context, c *pipeline.Config, report *ops.Telemetry, server remote.Client, version string) (*pipeline.Connected, func() error, error) {
	if body, err := server.Get(ctx, "/livez"); err == nil {
		body.Close()
		d, err := pipeline.Dial(ctx, c, report.Log)
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	}
	p, err := pipeline.Open(ctx, c, report, version)
	if err != nil {
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop := func() error { return errors.Join(<-ended, p.Close()) }
	for {
		body, err := server.Get(ctx, "/readyz")
		if err == nil {
			body.Close()
			d, err := pipeline.Dial(ctx, c, report.Log)
			if err != nil {
				return nil, nil, errors.Join(err, stop())
			}
			return d, func() error { return errors.Join(d.Close(), stop()) }, nil
		}
		select {
		case err := <-ended:
			return nil, nil, errors.Join(err, p.Close())
		default:
		}
		if err := console.Sleep(ctx, 50*time.Millisecond); err != nil {
			return nil, nil, errors.Join(err, stop())
		}
	}
}

// search is one that runs through the topics.
type search struct {
	searcher
	*pipeline.Connected
	config *pipeline.Config
	std    console.Streams
	labels *topicLabels
	batch  int // number of the first trial of the last batch
}

func (s *search) run(ctx context.Context) (*Result, error) {
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if err := s.EnsureTrials(ctx); err != nil {
		return nil, err
	}
	if err := s.resume(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.labels = newTopicLabels(s)
	s.results = s.labels
	if err := s.labels.follow(ctx, true); err != nil {
		return nil, err
	}
	following := make(chan error, 1)
	go func() { following <- s.labels.follow(ctx, false) }()
	if err := s.spend(ctx); err != nil {
		return nil, err
	}
	cancel()
	if err := <-following; err != nil && !errors.Is(err, context.Canceled) {
		return nil, err
	}
	return s.result()
}

// spend chooses and trains batches until the budget is spent or nothing is left.
func (s *search) spend(ctx context.Context) error {
	bar := progress.NewBar(s.std.Err, "trials", int64(s.Budget))
	bar.Add(int64(len(s.trials)), "")
	if len(s.trials) > 0 { // some of them may have no label yet
		if err := s.train(ctx, s.batch); err != nil {
			return err
		}
	}
	for len(s.trials) < s.Budget {
		if s.table == nil && s.asks() { // a search of a table publishes the goal with its labels
			if err := s.labels.opposed(); err != nil {
				return err
			}
		}
		places, err := s.choose(ctx, min(s.Batch, s.Budget-len(s.trials)))
		if err != nil {
			return err
		}
		if len(places) == 0 {
			break
		}
		first := len(s.trials)
		s.trials = append(s.trials, places...)
		if err := s.publishMade(ctx, places); err != nil {
			return err
		}
		if err := s.announce(ctx, first); err != nil {
			return err
		}
		if err := s.train(ctx, first); err != nil {
			return err
		}
		bar.Add(int64(len(places)), s.soFar())
	}
	bar.Finish()
	if len(s.trials) < s.Budget {
		left := "was no trial yet"
		if s.Strategy == "ours" {
			left = "is neither trained nor asked for in the last hour"
		}
		fmt.Fprintf(s.std.Err, "archflow: the search ends after %d of %d trials: no candidate is left that %s\n", len(s.trials), s.Budget, left)
	}
	return nil
}

// load fills the pool from the table, publishing its rows as candidates, or from
// the candidates' topic.
func (s *search) load(ctx context.Context) error {
	if s.file != "" {
		if err := s.read(s.config, s.std.In); err != nil {
			return err
		}
		return s.publishCandidates(ctx)
	}
	s.pool = strategies.NewPool(s.config.Limits())
	s.pool.Open = true
	return s.Follow(ctx, s.Topics.Architectures, pipeline.From{Start: true}, true, func(_ schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			if value := m.Value.At(i); spaceOf(value) == s.Space {
				_ = s.pool.Add(value) // the pipeline makes a dead letter of a message that is refused here
			}
		}
		return nil
	})
}

func spaceOf(message []byte) string {
	var m struct{ Space string }
	_ = json.Unmarshal(message, &m) // "" is no space
	return m.Space
}

// resume reads which trials the search has already asked for.
func (s *search) resume(ctx context.Context) error {
	numbers, batches := map[int]int{}, map[int]*int{}
	err := s.Follow(ctx, s.Topics.Trials, pipeline.From{Start: true}, true, func(_ schemas.TopicPartition, m *schemas.Messages) error {
		for i := range m.Len() {
			var t struct {
				Search string
				Trial  int
				Batch  *int
			}
			if json.Unmarshal(m.Value.At(i), &t) != nil || t.Search != s.Name {
				continue
			}
			if place, ok, err := s.pool.Find(m.Value.At(i)); ok && err == nil {
				if _, again := numbers[t.Trial]; !again {
					numbers[t.Trial], batches[t.Trial] = place, t.Batch
				}
			}
		}
		return nil
	})
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		s.trials = append(s.trials, numbers[n])
		if s.batch = max(0, len(s.trials)-s.Batch); batches[n] != nil {
			s.batch = min(*batches[n], len(s.trials)-1)
		}
	}
	return err
}

// announce writes the trials from a number on to their topic, with that number as
// their batch, and of one task its goal, for the labels that are made of them. The
// labels of a batch are one request, which a search that goes on after a kill repeats
// unchanged.
func (s *search) announce(ctx context.Context, first int) error {
	writer := s.Writer(s.Topics.Trials)
	goal := ""
	if len(s.objectives) == 1 {
		goal = fmt.Sprintf(`,"goal":%q`, s.objectives[0].goal)
	}
	for n := first; n < len(s.trials); n++ {
		message := s.pool.Candidates[s.trials[n]].Message
		trial := fmt.Appendf(message[:len(message)-1:len(message)-1], `,"search":%q,"trial":%d,"batch":%d%s}`, s.Name, n, first, goal)
		if err := writer.Write(ctx, []byte(s.Name), trial, nil); err != nil {
			return err
		}
	}
	return writer.Flush(ctx)
}

// train returns once the trials from a number on have labels, which come from the
// table where there is one.
func (s *search) train(ctx context.Context, first int) error {
	if s.table != nil {
		if err := s.publishLabels(ctx, first); err != nil {
			return err
		}
	}
	for {
		waiting, cancel := context.WithTimeout(ctx, s.TrialTimeout)
		err := s.labels.await(waiting, s.trials[first:])
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if err := s.announce(ctx, first); err != nil {
			return err
		}
	}
}
