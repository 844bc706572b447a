package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"archflow/internal/kafka"
	"archflow/internal/progress"
	"archflow/ops"
	"archflow/pipeline"
	"archflow/schemas"
)

// streamLabels is how many labels the settled model learns from, as in the
// paper's protocol.
const streamLabels = 78

// stream is a broker of its own with candidates, and a store with a model
// that has settled.
type stream struct {
	data    string // folder of everything
	config  pipeline.Config
	version string
	report  *ops.Telemetry
	table   *dataset
	waits   int64 // candidates that the topic holds
	turns   int
}

// streamed prepares the stream, once.
func (b *bench) streamed(ctx context.Context) (*stream, error) {
	if b.stream != nil {
		return b.stream, nil
	}
	pipeline.KeepSmall() // as the command run does
	t, err := b.tableOr()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "archflow-bench-")
	if err != nil {
		return nil, err
	}
	report, err := ops.Start(ctx, ops.Options{Version: b.version, Group: "bench", LogFormat: b.config.LogFormat, LogOutput: b.err, LogLevel: slog.LevelWarn})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	s := &stream{data: folder, version: b.version, report: report, table: t, config: *b.config}
	s.config.Brokers, s.config.HTTP, s.config.Group = nil, "off", "settle"
	s.config.Data = filepath.Join(folder, "settle")
	s.config.Table, s.config.Store = filepath.Join(folder, "settled-tables"), filepath.Join(folder, "store")
	s.config.Role, s.config.ExitAtEnd, s.config.Epochs = pipeline.RoleAll, true, 4
	b.stream = s
	b.status.Say("  a model settles")
	if err := s.settle(ctx, b.config.Seed); err != nil {
		return nil, fmt.Errorf("settle a model: %w", err)
	}
	s.config.Data = filepath.Join(folder, "stream")
	b.status.Say(fmt.Sprintf("  %s candidates are published", progress.Thousands(int64(b.Stream))))
	kafka, err := pipeline.Dial(ctx, &s.config, report.Log)
	if err != nil {
		return nil, err
	}
	defer kafka.Close()
	if err := s.publish(ctx, kafka, b.Stream); err != nil {
		return nil, err
	}
	return s, s.label(ctx, kafka, b.config.Seed)
}

func (s *stream) close() {
	_ = s.report.Shutdown(context.Background()) // the result is complete without it
	_ = os.RemoveAll(s.data)
}

// settle trains a model on the table and some labels, on a broker of its own.
func (s *stream) settle(ctx context.Context, seed uint64) error {
	kafka, err := pipeline.Dial(ctx, &s.config, s.report.Log)
	if err != nil {
		return err
	}
	err = errors.Join(s.publish(ctx, kafka, len(s.table.lines)), s.label(ctx, kafka, seed), kafka.Close())
	s.waits = 0
	if err != nil {
		return err
	}
	p, err := pipeline.Open(ctx, &s.config, s.report, s.version)
	if err != nil {
		return err
	}
	err = errors.Join(p.Run(ctx), p.Close())
	if space := s.table.space(); err == nil && ctx.Err() == nil && p.ModelName(space) == "" {
		err = fmt.Errorf("no model of %s came of %d labels", space, streamLabels)
	}
	return err
}

func (t *dataset) space() string { return schemas.Name(t.rows.Space[0]) }

// publish sends n candidates: the rows of the table over and over.
func (s *stream) publish(ctx context.Context, kafka *pipeline.Connected, n int) error {
	w := kafka.Writer(kafka.Topics.Architectures)
	for range n {
		key := strconv.AppendInt(nil, s.waits, 10)
		if err := w.Write(ctx, key, s.table.lines[s.waits%int64(len(s.table.lines))], nil); err != nil {
			return err
		}
		s.waits++
	}
	return w.Close(ctx)
}

// label publishes the results of some rows, drawn at random.
func (s *stream) label(ctx context.Context, kafka *pipeline.Connected, seed uint64) error {
	w := kafka.Writer(kafka.Topics.Labels)
	sent := 0
	for _, i := range rand.New(rand.NewPCG(seed, 2)).Perm(len(s.table.lines)) {
		value := s.table.labels[i]
		if value != value || sent == streamLabels {
			continue
		}
		text, err := json.Marshal(map[string]any{
			"space": s.table.space(), "architecture": s.table.rows.Architecture[i].String(), "task": taskOf[s.table.name], "value": value,
		})
		if err != nil {
			return err
		}
		if err := w.Write(ctx, nil, text, nil); err != nil {
			return err
		}
		sent++
	}
	return w.Close(ctx)
}

// next returns the configuration of another turn: the same topics from their
// beginning, and tables of its own.
func (s *stream) next(role string) pipeline.Config {
	s.turns++
	c := s.config
	c.Role, c.Group = role, fmt.Sprintf("turn-%d", s.turns)
	c.Table = filepath.Join(s.data, fmt.Sprintf("tables-%d", s.turns))
	return c
}

// endToEnd measures a worker from the candidates' topic to the predictions topic
// and the table, the embedded broker in the same process.
func (b *bench) endToEnd(ctx context.Context) (*Figure, error) {
	s, err := b.streamed(ctx)
	if err != nil {
		return nil, err
	}
	var busy []float64 // microseconds of processor time a candidate
	v, err := b.turns(ctx, func(ctx context.Context) (float64, error) {
		c := s.next(pipeline.RoleWorker)
		before := processorTime()
		rate, err := s.answer(ctx, &c)
		busy = append(busy, float64((processorTime()-before).Microseconds())/float64(b.Stream))
		return rate, errors.Join(err, os.RemoveAll(c.Table))
	})
	if err != nil {
		return nil, err
	}
	remembered := "a model that remembers every network of the table, as models of the default predictor do"
	if s.config.Predictor != "best" {
		remembered = "a model that remembers nothing, so that each answer is inferred"
	}
	b.note("end_to_end", "%s candidates of %s that wait in the topic, %s, by %s; from the worker's start to its last commit of the table; the embedded broker included, %.1f µs of processor time a candidate",
		progress.Thousands(int64(b.Stream)), s.table.name, s.config.Delivery, remembered, median(busy[1:]))
	return rates("candidates/s", v[0], "", nil), nil
}

// answer runs a worker over everything that the topic holds and returns the
// rate.
func (s *stream) answer(ctx context.Context, c *pipeline.Config) (float64, error) {
	p, err := pipeline.Open(ctx, c, s.report, s.version)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	err = p.Run(ctx)
	took := time.Since(began).Seconds()
	if err = errors.Join(err, p.Close()); err != nil {
		return 0, err
	}
	done := p.Summary()
	if ctx.Err() == nil && (done.Predictions != s.waits || len(done.DeadLetters) > 0) {
		return 0, fmt.Errorf("%d candidates gave %d predictions and the dead letters %v", s.waits, done.Predictions, done.DeadLetters)
	}
	return float64(s.waits) / took, nil
}

// endToEndTraining is endToEnd with a trainer beside it that begins from
// nothing, so that there is training to do all the while.
func (b *bench) endToEndTraining(ctx context.Context) (*Figure, error) {
	s, err := b.streamed(ctx)
	if err != nil {
		return nil, err
	}
	shares := []float64{}
	v, err := b.turns(ctx, func(ctx context.Context) (float64, error) {
		c := s.next(pipeline.RoleAll)
		c.ExitAtEnd, c.Epochs = false, b.config.Epochs
		c.Store = filepath.Join(s.data, fmt.Sprintf("store-%d", s.turns))
		rate, share, err := s.answerAndLearn(ctx, &c)
		shares = append(shares, share)
		return rate, errors.Join(err, os.RemoveAll(c.Table), os.RemoveAll(c.Store))
	})
	if err != nil {
		return nil, err
	}
	b.note("end_to_end_training", "%s candidates of %s that wait in the topic, %s, all roles in one process, a trainer that begins with an empty store; until the predictions topic has the last answer; training was due in %.0f %% of the time",
		progress.Thousands(int64(b.Stream)), s.table.name, s.config.Delivery, 100*median(shares[1:]))
	return rates("candidates/s", v[0], "", nil), nil
}

// answerAndLearn runs all roles until the topic has been answered. It returns
// the rate, and the share of the time in which the trainer had work.
func (s *stream) answerAndLearn(ctx context.Context, c *pipeline.Config) (rate, training float64, err error) {
	p, err := pipeline.Open(ctx, c, s.report, s.version)
	if err != nil {
		return 0, 0, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	began := time.Now()
	go func() { ran <- p.Run(ctx) }()
	looks, busy, answered := 0, 0, int64(0)
	for err == nil && answered < s.waits {
		if looks%4 == 0 {
			if answered, err = s.answered(ctx, p, c.Group); err != nil {
				break
			}
		}
		select {
		case err = <-ran:
			ran <- nil
			if err == nil {
				err = errors.New("the pipeline ended before its topic did")
			}
		case <-time.After(5 * time.Millisecond):
			looks++
			if p.Training() {
				busy++
			}
		}
	}
	took := time.Since(began).Seconds()
	stop()
	if err = errors.Join(err, <-ran, p.Close()); err != nil {
		return 0, 0, err
	}
	return float64(s.waits) / took, float64(busy) / float64(max(looks, 1)), nil
}

// answered returns how many candidates have an answer in the predictions topic: the
// offsets of the group, which are committed with the answers.
func (s *stream) answered(ctx context.Context, p *pipeline.Process, group string) (n int64, err error) {
	var partitions []schemas.TopicPartition
	for i := range p.Partitions[p.Topics.Architectures] {
		partitions = append(partitions, schemas.TopicPartition{Topic: p.Topics.Architectures, Number: int32(i)})
	}
	at, err := kafka.ReadOffsets(ctx, p.Client, group, partitions)
	for _, position := range at {
		n += position.Next
	}
	return n, err
}

const (
	latencyRate    = 5000 // candidates a second
	latencySeconds = 6
	latencyWarmUp  = 2                    // seconds of them that do not count
	latencyLinger  = 5 * time.Millisecond // between two flushes, as Kafka's own producer waits
)

// latency measures the time from publishing a candidate to reading its
// prediction, by both deliveries.
func (b *bench) latency(ctx context.Context) (*Figure, error) {
	s, err := b.streamed(ctx)
	if err != nil {
		return nil, err
	}
	var middle []float64
	delivery := func(name string) turn {
		return func(ctx context.Context) (float64, error) {
			c := s.next(pipeline.RoleWorker)
			c.Delivery, c.ExitAtEnd = name, false
			c.Data = filepath.Join(s.data, fmt.Sprintf("quiet-%d", s.turns)) // a broker without a backlog
			half, p99, err := s.delays(ctx, &c)
			if name == "low-latency" {
				middle = append(middle, half)
			}
			return p99, errors.Join(err, os.RemoveAll(c.Table), os.RemoveAll(c.Data))
		}
	}
	v, err := b.turns(ctx, delivery("low-latency"), delivery("exactly-once"))
	if err != nil {
		return nil, err
	}
	b.note("latency_p99", "%s candidates/s, low-latency delivery, a settled worker, publisher, reader and embedded broker in one process, flushed every %v, from the moment a candidate is due to its prediction's arrival at a reader; median %.2g ms; exactly-once p99 %.3g ms (quartiles %.3g apart)",
		progress.Thousands(latencyRate), latencyLinger, median(middle[1:]), median(v[1]), quartiles(v[1]))
	return rates("ms", v[0], "", nil), nil
}

// delays publishes at a steady rate and returns the median and the 99th
// percentile of the delays in milliseconds.
func (s *stream) delays(ctx context.Context, c *pipeline.Config) (half, p99 float64, err error) {
	p, err := pipeline.Open(ctx, c, s.report, s.version)
	if err != nil {
		return 0, 0, err
	}
	const n = latencyRate * latencySeconds
	due, delay := make([]time.Time, n), make([]float64, 0, n)
	var mu sync.Mutex // of due and delay
	work, stop := context.WithCancel(ctx)
	defer stop()
	all, work := errgroup.WithContext(work)
	all.Go(func() error { return p.Run(work) })
	all.Go(func() error {
		err := p.Follow(work, p.Topics.Predictions, pipeline.From{}, false, func(_ schemas.TopicPartition, m *schemas.Messages) error {
			now := time.Now()
			mu.Lock()
			defer mu.Unlock()
			for i := range m.Len() {
				at, err := strconv.Atoi(string(m.Key.At(i)))
				if err != nil {
					return err
				}
				if at >= latencyRate*latencyWarmUp {
					delay = append(delay, float64(now.Sub(due[at]).Microseconds())/1000)
				}
			}
			if len(delay) >= n-latencyRate*latencyWarmUp {
				stop()
			}
			return nil
		})
		return unlessStopped(work, err)
	})
	all.Go(func() error {
		err := s.pacePublish(work, p.Connected, n, func(i int, at time.Time) {
			mu.Lock()
			due[i] = at
			mu.Unlock()
		})
		return unlessStopped(work, err)
	})
	if err = errors.Join(all.Wait(), p.Close()); err != nil {
		return 0, 0, err
	}
	return quantile(delay, .5), quantile(delay, .99), nil
}

// pacePublish publishes n candidates at latencyRate, with their numbers as keys;
// those that come due within latencyLinger go together.
func (s *stream) pacePublish(ctx context.Context, kafka *pipeline.Connected, n int, sends func(i int, due time.Time)) error {
	w := kafka.Writer(kafka.Topics.Architectures)
	began := time.Now().Add(time.Second) // the worker joins its group meanwhile
	for i := 0; i < n; {
		due := began.Add(time.Duration(i) * time.Second / latencyRate)
		if wait := time.Until(due); wait > 0 {
			if err := w.Flush(ctx); err != nil {
				return err
			}
			if err := sleep(ctx, time.Until(due.Add(latencyLinger))); err != nil {
				return err
			}
			continue
		}
		sends(i, due)
		if err := w.Write(ctx, strconv.AppendInt(nil, int64(i), 10), s.table.lines[i%len(s.table.lines)], nil); err != nil {
			return err
		}
		i++
	}
	return w.Close(ctx)
}

// sleep waits for d unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unlessStopped returns err unless ctx has ended, which explains it.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // a stop is no error
	}
	return err
}
