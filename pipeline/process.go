package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"archflow/encoders/learner"
	"archflow/internal/kafka"
	"archflow/internal/kafka/embedded"
	"archflow/ops"
	"archflow/pipeline/api"
	"archflow/pipeline/decisions"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// drainLimit is how long a session may take to finish and commit what it has
// read once it is told to stop: less than the group waits for a member when
// partitions move, and than the 30 s a signal leaves.
const drainLimit = 15 * time.Second

// Process is one running archflow: its connections, its stores and its state.
type Process struct {
	config  *Config
	report  *ops.Telemetry
	health  *ops.Health
	ready   *readiness
	server  *ops.Server // nil when HTTP is off
	served  chan error  // what the server ended with
	unserve sync.Once
	*Connected
	tables   sinks.Bucket
	store    sinks.Bucket
	registry *Registry
	history  *decisions.History // as far as this process answers with their models
	flows    *stages.Flows
	board    *board
	backlog  *backlog
	lag      *lag
	suspects map[string]*suspects        // of each group
	until    map[schemas.Partition]int64 // with exit-at-end: where the topics ended at start
	training atomic.Bool                 // the trainer of this process has work that is due
	topics   topicIDs
	refused  tableTrouble
	panics   atomic.Int64          // sessions that ended with a *goPanic
	tune     func(*learner.Config) // by a test; may be nil
	notices  notices
	width    atomic.Int64 // partitions of the candidates' topic
	labelled atomic.Int64 // partitions of the labels' topic

	promoted, promotedScores promotions // for the tables models and scores
}

// Open connects to everything that a run needs and refuses what cannot work.
// It waits for a broker that is away until ctx ends.
func Open(ctx context.Context, c *Config, report *ops.Telemetry, version string) (_ *Process, err error) {
	p := &Process{config: c, report: report, board: newBoard(c, version), backlog: newBacklog(), lag: newLag(report.Metrics), flows: stages.NewFlows(c.Seed), suspects: map[string]*suspects{},
		promoted: make(promotions, 1), promotedScores: make(promotions, 1), history: decisions.NewHistory()}
	for _, group := range p.groups() {
		p.suspects[group] = newSuspects()
	}
	p.health, p.ready = ops.NewHealth(report.Log, report.Metrics), newReadiness(p.groups()...)
	p.ready.register(p.health, report.Metrics)
	p.health.Note("training", p.board.fits)
	p.health.Note("table", p.refused.said)
	p.health.Note("publisher", p.lag.unread)
	p.declare()
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err = p.serve(); err != nil {
		return nil, err
	}
	if p.tables, err = sinks.OpenBucket(ctx, c.Table); err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	if p.store, err = sinks.OpenBucket(ctx, c.Store); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for _, b := range []sinks.Bucket{p.tables, p.store} {
		if err = sinks.ProveCreate(ctx, b); err != nil {
			return nil, err
		}
	}
	if p.registry, err = OpenRegistry(ctx, p.store); err != nil {
		return nil, err
	}
	if damage := p.registry.Damage(); damage != "" {
		report.Log.Warn("the newest models cannot be loaded; those before answer", "error", damage)
	}
	p.health.Note("registry", p.registry.Damage)
	p.serving(ctx)
	if p.Connected, err = Dial(ctx, c, report.Log); err != nil {
		return nil, err
	}
	if p.Broker != nil {
		report.Log.Info("Kafka clients find the broker inside this process, or its owner's", "address", p.Broker.Address)
	}
	if p.server != nil {
		p.server.Models(p.choose)
		if c.Role != RoleTrainer {
			p.server.Predict(p.newSingle().predict)
		}
		p.server.API(api.New(p.apiOptions()))
	}
	p.width.Store(int64(p.Partitions[p.Topics.Architectures]))
	p.labelled.Store(int64(p.Partitions[p.Topics.Labels]))
	if c.ExitAtEnd {
		if err = p.markEnds(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// groups lists the consumer groups of the roles of this process.
func (p *Process) groups() []string { return p.config.Groups() }

// trainers is the group of those that would train.
func trainers(group string) string { return group + "-trainer" }

// Close gives everything back.
func (p *Process) Close() error {
	errs := []error{p.stopServing(context.Background())}
	for _, b := range []sinks.Bucket{p.tables, p.store} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	if p.Connected != nil {
		errs = append(errs, p.Connected.Close())
	}
	return errors.Join(errs...)
}

// Run answers and learns, as the role says, until ctx ends or, with
// exit-at-end, until everything that the topics held has been processed.
func (p *Process) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	if p.server != nil {
		group.Go(func() error { return <-p.served })
	}
	background, stopBackground := context.WithCancel(ctx)
	defer stopBackground()
	for name, f := range map[string]func(context.Context){
		"readiness": p.watch, "models": p.followModels, "page": p.show,
		"health": func(ctx context.Context) { p.health.Watch(ctx, time.Second) },
	} {
		group.Go(func() error { p.beside(background, name, f); return nil })
	}
	group.Go(func() error { return p.watchTopics(background) })

	// The process drains before its roles let go of anything, so that nobody takes
	// the end for a fault.
	var roles errgroup.Group
	work, working := errgroup.WithContext(ctx)
	sessions, endSessions := context.WithCancel(context.WithoutCancel(ctx))
	roles.Go(func() error {
		<-working.Done()
		p.health.Enter(ops.Draining)
		endSessions()
		return nil
	})
	if p.config.Role != RoleTrainer {
		work.Go(func() error { return p.hold(sessions, p.config.Group, p.Topics.Architectures, p.answer) })
	}
	if p.config.Role != RoleWorker {
		work.Go(func() error { return p.hold(sessions, trainers(p.config.Group), p.Topics.Labels, p.learn) })
	}
	endFollowing := p.followPromotions(context.WithoutCancel(ctx))
	err := work.Wait()
	endFollowing()
	cancel()
	stopBackground()
	err = errors.Join(err, roles.Wait(), p.stopServing(ctx), group.Wait())
	p.health.Enter(ops.Stopped)
	return err
}

// hold joins a group and runs a session for each assignment. Faults that pass
// end a session and begin another, from the sinks' positions; others end the
// process. With exit-at-end, the first session that ends by itself is the last.
func (p *Process) hold(ctx context.Context, group, topic string, session func(context.Context, kafka.Assignment) error) error {
	ctx, finish := context.WithCancel(ctx)
	defer finish()
	warn := func(err error) {
		p.ready.waits(group, err)
		p.report.Log.Warn("waiting for the group", "group", group, "error", err)
	}
	return kafka.Membership{Group: group, Topic: topic, Session: p.config.Session}.Hold(ctx, p.Connection, warn, func(stop context.Context, a kafka.Assignment) error {
		p.ready.member(group, true)
		if p.ready.assigned() == nil {
			p.health.Enter(ops.Running)
		}
		ended := false // the role has done all that it will do
		defer func() {
			if !ended {
				p.ready.member(group, false)
			}
		}()
		p.report.Log.Info("assigned", "group", group, "generation", a.Generation, "partitions", numbers(a.Partitions))
		for wait := kafka.NewBackoff(); ; {
			err := caught(group, func() error { return session(stop, a) })
			switch {
			case err == nil:
				if p.config.ExitAtEnd && stop.Err() == nil {
					ended = true
					finish()
				}
				return nil
			case stop.Err() != nil && errors.Is(err, context.Canceled):
				return nil //nolint:nilerr // not drained in time; the next session goes on from the last commit
			case p.panicked(group, err):
			case !recoverable(err):
				return err
			}
			p.ready.failed(group, err)
			p.report.Log.Warn("the session ended; beginning again from the last commit", "group", group, "error", err)
			if wait.Wait(stop) != nil {
				return nil //nolint:nilerr // asked to stop while resting
			}
		}
	})
}

// recoverable says that a new session may succeed where this one failed.
func recoverable(err error) bool {
	return sinks.Recoverable(err) || errors.Is(err, ErrReplaced) || errors.Is(err, errGrown) || errors.Is(err, errTableBack)
}

func numbers(partitions []schemas.Partition) []int32 {
	list := make([]int32, len(partitions))
	for i, p := range partitions {
		list[i] = p.Number
	}
	return list
}

// drainable returns the context of a session: it goes on for drainLimit after
// stop, so that what has been read can be finished and committed.
func drainable(stop context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(stop))
	unhook := context.AfterFunc(stop, func() {
		timer := time.AfterFunc(drainLimit, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() {
		unhook()
		cancel()
	}
}

func (p *Process) tableConfig() sinks.TableConfig {
	return sinks.TableConfig{Group: p.config.Group, Log: p.report.Log, Conflict: p.report.Metrics.Conflict}
}

func (p *Process) predictionsTable() sinks.PredictionsTableConfig {
	return sinks.PredictionsTableConfig{TableConfig: p.tableConfig(), Surrogates: true}
}

// openPredictions returns the sink of the predictions and dead-letters topics.
func (p *Process) openPredictions(ctx context.Context, a kafka.Assignment) (*sinks.Predictions, error) {
	id := p.config.TopicPrefix + a.Group
	var had func(context.Context, schemas.Partition, schemas.Partition) (int64, error)
	if p.Broker != nil {
		id += "/" + p.Broker.Start() // the embedded broker forgets producers when it starts
		had = p.had
	}
	return sinks.OpenPredictions(ctx, p.Client, sinks.DeliveryConfig{
		Predictions: p.Topics.Predictions, DeadLetters: p.Topics.DeadLetters, Member: a.Member,
		LowLatency: p.config.Delivery == "low-latency", TransactionalID: id, Surrogate: p.config.Surrogate, Had: had,
	})
}

// candidatePartitions lists those of the candidates' topic.
func (p *Process) candidatePartitions() []schemas.Partition {
	return partitionsOf(p.Topics.Architectures, p.width.Load())
}

// labelPartitions lists those of the labels' topic.
func (p *Process) labelPartitions() []schemas.Partition {
	return partitionsOf(p.Topics.Labels, p.labelled.Load())
}

func partitionsOf(topic string, count int64) []schemas.Partition {
	list := make([]schemas.Partition, count)
	for i := range list {
		list[i] = schemas.Partition{Topic: topic, Number: int32(i)}
	}
	return list
}

// source reads partitions for a group's session from positions on; -1 stands for the first offset
// that the broker has.
func (p *Process) source(ctx context.Context, stage, group string, from map[schemas.Partition]int64) (*source, error) {
	for partition, at := range from {
		if at >= 0 {
			continue
		}
		start, _, err := kafka.Ends(ctx, p.Client, partition)
		if err != nil {
			return nil, err
		}
		from[partition] = start
	}
	budget := kafka.NewBudget(budgetBytes(stage))
	return &source{
		open: func(partition schemas.Partition, at int64) *kafka.PartitionReader {
			return kafka.OpenPartition(p.Client, partition, at, kafka.Limits{Bytes: fetchBytes(), Value: p.config.longestValue(), Budget: budget})
		},
		budget: budget,
		from:   from, until: p.until, report: p.report, stage: stage, skipLost: p.config.SkipLost, suspects: p.suspects[group],
	}, nil
}

// show publishes the state to the live page twice a second.
func (p *Process) show(ctx context.Context) {
	if p.server == nil {
		return
	}
	rates := p.report.Metrics.StageRates()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		state := p.board.state()
		state.Stages, state.Lag = rates.Next(), p.lag.states()
		ready := p.health.Readiness()
		state.Phase, state.Ready, state.Reasons = ready.Phase, ready.OK, failing(ready)
		p.server.Publish(state)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// failing returns the checks of a report that do not pass.
func failing(r ops.Report) map[string]string {
	reasons := map[string]string{}
	for name, said := range r.Checks {
		if said != "ok" {
			reasons[name] = said
		}
	}
	return reasons
}

// serve starts the HTTP server unless it is off. It answers from the start, so
// that a process that waits for its broker can say so.
func (p *Process) serve() error {
	if p.config.HTTP == "off" {
		return nil
	}
	server, err := ops.Listen(ops.ServerOptions{
		Address: p.config.HTTP, Hosts: p.config.HTTPHost, Token: p.config.HTTPToken, Pprof: p.config.Pprof,
		Scrape: p.report.Scrape(), Health: p.health, Taps: p.report.Taps, Log: p.report.Log,
	})
	if err != nil {
		return err
	}
	p.report.Log.Info("live page", "url", "http://"+server.Address()+"/")
	p.server, p.served = server, make(chan error, 1)
	go func() {
		p.served <- server.Serve()
		close(p.served)
	}()
	return nil
}

// stopServing ends the HTTP server, if it runs.
func (p *Process) stopServing(ctx context.Context) error {
	if p.server == nil {
		return nil
	}
	var err error
	p.unserve.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		err = errors.Join(p.server.Shutdown(ctx), <-p.served)
	})
	return err
}

// Connected is what every command that talks to Kafka begins with.
type Connected struct {
	Broker     *embedded.Broker // nil when brokers are named
	Connection *kafka.Connection
	Client     *kafka.Client
	Topics     kafka.Topics
	Partitions map[string]int
}

// Dial reaches the brokers that are named, or the embedded one of the data
// folder, and makes the topics that are absent.
func Dial(ctx context.Context, c *Config, log *slog.Logger) (*Connected, error) {
	return dial(ctx, c, log, func(d *Connected) (err error) {
		d.Partitions, err = d.Topics.Ensure(ctx, d.Client, c.Partitions)
		return err
	})
}

// Attach is Dial for those who only read: topics that are absent stay so and
// have no partitions, and a data folder without a broker is refused.
func Attach(ctx context.Context, c *Config, log *slog.Logger) (*Connected, error) {
	if len(c.Brokers) == 0 && !embedded.There(c.Data) {
		return nil, fmt.Errorf("no broker is named, and none has run in the folder %s; name brokers with --brokers, or the folder of a run with --data", c.Data)
	}
	return dial(ctx, c, log, func(d *Connected) (err error) {
		d.Partitions, err = kafka.PartitionCounts(ctx, d.Client, append(d.Topics.All(), d.Topics.Trials))
		return err
	})
}

func dial(ctx context.Context, c *Config, log *slog.Logger, topics func(*Connected) error) (_ *Connected, err error) {
	d := &Connected{Topics: kafka.TopicsOf(c.TopicPrefix), Connection: c.Connection()}
	d.Connection.Topics = append(d.Topics.All(), d.Topics.Trials)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if len(c.Brokers) == 0 {
		at, err := c.brokerAt()
		if err != nil {
			return nil, err
		}
		if d.Broker, err = embedded.OpenAt(ctx, c.Data, at); err != nil {
			return nil, err
		}
		d.Connection.Brokers = []string{d.Broker.Address}
	}
	d.Client, err = d.Connection.Connect(ctx, func(err error) { log.Warn("waiting for Kafka", "error", err) })
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for wait := kafka.NewBackoff(); ; {
		// A broker that answers and then goes away is waited for as well.
		if err = topics(d); err == nil {
			return d, nil
		}
		gathering := errors.Is(err, kafkago.InvalidReplicationFactor) && time.Since(began) < gatheringFor
		if !sinks.Recoverable(err) && !gathering {
			return nil, err
		}
		log.Warn("waiting for Kafka", "error", err)
		if wait.Wait(ctx) != nil {
			return nil, err
		}
	}
}

// gatheringFor is how long a cluster may have fewer brokers than a topic has replicas:
// those that start with it come one after the other.
const gatheringFor = time.Minute

// Close gives back what Dial opened.
func (d *Connected) Close() error {
	if d.Broker == nil {
		return nil
	}
	return d.Broker.Close()
}

// Training says whether the trainer of this process has work that is due.
func (p *Process) Training() bool { return p.training.Load() }

// ModelName returns the model that answers a space, "" before the first.
func (p *Process) ModelName(space string) string { return p.registry.Manifest().Spaces[space].Model }
