package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"archflow/encoders"
	"archflow/encoders/learner"
	"archflow/internal/kafka"
	"archflow/ops"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// trainer owns the train stage, the labels table and the checkpoints of one
// session.
type trainer struct {
	*Process
	stage     *stages.Train
	table     *sinks.LabelsTable
	journal   *journal
	stored    int64                        // entry of the journal that the newest checkpoint stands behind
	positions map[schemas.Partition]int64  // next offset of candidates and labels
	announced map[string]map[string]string // space -> tasks that the registry knows to be waiting -> why
	givenUp   map[string]int64             // space -> labels that are counted as given up
	decided   decided
	pacer     pacer
	notBefore time.Time // training yields to the stream until then
	looked    time.Time // for new partitions
}

// openTrainer goes on from the newest checkpoint of the store, the journal since
// and the newest models of the registry. The trainer before can write no more.
func (p *Process) openTrainer(ctx, stop context.Context) (_ *trainer, err error) {
	table, err := sinks.NewLabelsTable(ctx, p.tables, p.tableConfig())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = table.Close() // it holds nothing that the journal has not
		}
	}()
	t := &trainer{
		Process:   p,
		table:     table,
		journal:   &journal{store: p.store, settings: p.config.learning()},
		positions: map[schemas.Partition]int64{},
		announced: map[string]map[string]string{},
		givenUp:   map[string]int64{},
		decided:   newDecided(),
		pacer:     pacer{share: p.config.TrainShare, behind: p.board.behind},
	}
	t.stage = stages.NewTrain(p.config.Limits(), func(space string) *learner.Learner { return learner.New(t.learnerConfig(space)) })
	past, err := t.journal.open(ctx, p.report.Log)
	if err != nil {
		return nil, err
	}
	if err := t.journal.begin(ctx, past); err != nil {
		return nil, err
	}
	// Only now, so that what the trainer before has published is seen.
	if err := p.registry.Refresh(ctx, 0); err != nil {
		return nil, err
	}
	if past.state != nil {
		if err := t.restore(ctx, past.state); err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", past.version, err)
		}
		t.stored = past.version
		p.report.Log.InfoContext(ctx, "training goes on from a checkpoint", "checkpoint", past.version, "spaces", len(past.state.Spaces), "entries", len(past.entries))
	}
	if err := t.replay(ctx, stop, past.entries); err != nil {
		return nil, err
	}
	ahead, err := t.settle(ctx)
	if err != nil {
		return nil, err
	}
	if ahead || past.broken || len(past.entries) > 0 {
		if err := t.store(ctx); err != nil {
			return nil, err
		}
	}
	return t, t.resume(ctx)
}

// settle brings learners and registry together: what a trainer before had no
// time to publish is published, and where the registry is ahead, because
// checkpoints and journal were damaged, its models are taken over. What an
// operator lets answer is no concern of theirs.
func (t *trainer) settle(ctx context.Context) (ahead bool, err error) {
	for _, l := range t.stage.Learners() {
		theirs, err := t.registry.Trained(ctx, l.Space())
		if err != nil {
			return false, err
		}
		own := l.Champion()
		switch {
		case own != nil && (theirs == nil || theirs.Version < own.Version):
			if err := t.publish(ctx, l, own); err != nil {
				return false, err
			}
		case theirs != nil:
			ahead = ahead || own == nil || own.Version < theirs.Version
			l.Serve(theirs)
		}
	}
	return ahead, nil
}

func (t *trainer) learnerConfig(space string) learner.Config {
	p := t.Process
	encoder, width, layers := p.config.encoder()
	return learner.Config{
		Space:       space,
		Flow:        p.flows.Of(schemas.MustIntern(space)),
		Predictor:   p.config.Predictor,
		Encoder:     encoder,
		Width:       width,
		Layers:      layers,
		Epochs:      p.config.Epochs,
		Buffer:      p.config.Buffer,
		Remember:    p.config.Remember,
		Waiting:     p.config.WaitLabels,
		FirstLabels: p.config.FirstLabels,
		Growth:      p.config.LabelGrowth,
		Seed:        p.config.Seed,
		Pace:        t.pacer.pace,
	}
}

// Name is for errors.
func (t *trainer) Name() string { return "checkpoint" }

// Positions returns what the checkpoint and the labels table both have.
func (t *trainer) Positions(ctx context.Context, of []schemas.Partition) (map[schemas.Partition]int64, error) {
	positions, err := t.table.Positions(ctx, of)
	if err != nil {
		return nil, err
	}
	for p, at := range positions {
		if own, ok := t.positions[p]; !ok {
			delete(positions, p)
		} else {
			positions[p] = min(at, own)
		}
	}
	return positions, nil
}

// candidatePositions returns where to go on reading candidates.
func (t *trainer) candidatePositions(partitions []schemas.Partition) map[schemas.Partition]int64 {
	from := map[schemas.Partition]int64{}
	for _, p := range partitions {
		from[p] = -1
		if at, ok := t.positions[p]; ok {
			from[p] = at
		}
	}
	return from
}

// train joins candidates and labels in the train stage and passes the labels'
// batches on, without rows, so that their rejections are recorded. Between
// batches it trains, as long as something is due.
func (t *trainer) train(stop context.Context, candidates, labels stream) stream {
	out := stream{candidates.flow, make(chan *schemas.Batch, queue)}
	meter := candidates.measure(stageTrain)
	out.group.Go(func() error {
		defer close(out.batches)
		worker := meter.Worker()
		defer worker.Stop()
		err := t.run(stop, worker, candidates, labels, out)
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		ctx := context.WithoutCancel(out.ctx)
		if err := t.store(ctx); err != nil {
			return err
		}
		return t.consider(ctx)
	})
	return out
}

// run takes input first, then works; it returns when stop has ended or, with
// exit-at-end, when there is neither input nor work left.
func (t *trainer) run(stop context.Context, worker *ops.Worker, candidates, labels, out stream) error {
	checkpoint := time.NewTicker(t.config.Checkpoint)
	defer checkpoint.Stop()
	commit := time.NewTicker(t.config.TableInterval)
	defer commit.Stop()
	consider := time.NewTicker(considerEvery)
	defer consider.Stop()
	journal := time.NewTicker(journalEvery)
	defer journal.Stop()
	seen, told := candidates.batches, labels.batches
	idle := make(chan struct{})
	close(idle)
	defer t.training.Store(false)
	for seen != nil || told != nil || t.due() {
		t.training.Store(t.due())
		var work <-chan struct{}
		var later <-chan time.Time
		if t.due() {
			if wait := time.Until(t.notBefore); wait > 0 {
				later = time.After(wait)
			} else {
				work = idle
			}
		}
		if len(seen) > 0 || len(told) > 0 {
			work = nil // input first
		}
		worker.Idle()
		select {
		case <-out.ctx.Done():
			return out.ctx.Err()
		case <-stopped(stop, seen == nil && told == nil):
			return nil
		case b, open := <-seen:
			worker.Busy()
			if !open {
				seen = nil
				continue
			}
			if err := guard(stageTrain, b, func() error { return t.observe(out.ctx, worker, b) }); err != nil {
				return err
			}
		case b, open := <-told:
			worker.Busy()
			if !open {
				told = nil
				continue
			}
			if err := guard(stageTrain, b, func() error { return t.label(out, worker, b) }); err != nil {
				return err
			}
		case <-commit.C:
			worker.Busy()
			if err := t.commit(out.ctx); err != nil {
				return err
			}
			if t.grown(out.ctx) {
				return errGrown
			}
			for _, l := range t.stage.Learners() {
				t.report.Metrics.Replay(l.Space(), l.Networks())
				t.board.remembers(l)
				t.waiting(out.ctx, l)
			}
		case <-journal.C:
			worker.Busy()
			if err := t.journal.append(out.ctx); err != nil {
				return err
			}
		case <-consider.C:
			worker.Busy()
			if err := t.consider(out.ctx); err != nil {
				return err
			}
		case <-checkpoint.C:
			worker.Busy()
			if err := t.store(out.ctx); err != nil {
				return err
			}
		case <-work:
			worker.Busy()
			if err := t.work(out.ctx, stop, worker); err != nil {
				return err
			}
		case <-later:
		}
	}
	return nil
}

// errGrown ends a session so that the next one reads the new partitions.
var errGrown = errors.New("the candidates' topic has more partitions than before")

// grownEvery is how often the trainer, which no group tells of them, looks for
// new partitions.
const grownEvery = 5 * time.Second

// grown says whether the candidates' topic has got more partitions.
func (t *trainer) grown(ctx context.Context) bool {
	if time.Since(t.looked) < grownEvery {
		return false
	}
	t.looked = time.Now()
	topic := t.Topics.Architectures
	have, err := kafka.PartitionCounts(ctx, t.Client, []string{topic})
	if err != nil || int64(have[topic]) <= t.width.Load() {
		return false // a broker that is away is noticed elsewhere
	}
	t.width.Store(int64(have[topic]))
	return true
}

// commit makes the journal and then the labels table durable: what a row says
// of a prediction depends on the order.
func (t *trainer) commit(ctx context.Context) error {
	if err := t.journal.append(ctx); err != nil {
		return err
	}
	rows, _ := t.table.Pending()
	began := time.Now()
	if err := t.table.Commit(ctx); err != nil {
		t.report.Metrics.CommitFailed(t.table.Name())
		return err
	}
	if rows > 0 {
		t.report.Metrics.Commit(ctx, t.table.Name(), rows, time.Since(began))
	}
	return nil
}

// waiting reports the labels whose candidates have not come. Their rows are in
// the labels table, without an architecture.
func (t *trainer) waiting(ctx context.Context, l *learner.Learner) {
	labels, gone := l.Waiting()
	t.report.Metrics.Waiting(l.Space(), labels)
	if fresh := gone - t.givenUp[l.Space()]; fresh > 0 {
		t.givenUp[l.Space()] = gone
		t.report.Metrics.GivenUp(l.Space(), int(fresh))
		t.report.Log.WarnContext(ctx, "labels were given up: their candidates did not come and no more may wait; publish the candidates and the labels again, or raise wait-labels",
			"space", l.Space(), "labels", fresh, "waiting", labels)
	}
}

// longestFit bounds how long one piece of training counts as alive.
const longestFit = 15 * time.Minute

// keepAlive gives signs of life for a worker whose one piece of work may take
// minutes, until the function that it returns is called.
func keepAlive(worker *ops.Worker, every time.Duration) (done func()) {
	ctx, cancel := context.WithTimeout(context.Background(), longestFit)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				worker.Beat()
			case <-ctx.Done():
				return
			}
		}
	}()
	return cancel
}

// stopped is stop's channel once the sources have ended; before, the sources
// see stop themselves and what they have read is taken in.
func stopped(stop context.Context, drained bool) <-chan struct{} {
	if !drained {
		return nil
	}
	return stop.Done()
}

func (t *trainer) due() bool {
	for _, l := range t.stage.Learners() {
		if l.Due() {
			return true
		}
	}
	return false
}

func (t *trainer) observe(ctx context.Context, worker *ops.Worker, b *schemas.Batch) error {
	rows := int(b.Rows.NumRows())
	_, known := t.positions[b.Partition]
	t.journal.took(b, known)
	t.stage.Candidates(b)
	pass(t.report.Taps, stageTrain, b)
	t.positions[b.Partition] = b.Next
	b.Rows.Release()
	worker.Done(ctx, rows, rows)
	return nil
}

func (t *trainer) label(out stream, worker *ops.Worker, b *schemas.Batch) error {
	at, known := t.positions[b.Partition] // below it are replays of what is known
	if b.Next > at {
		t.journal.took(b, known)
	}
	before := len(b.Rejects)
	rows := t.stage.Labels(b, at)
	pass(t.report.Taps, stageTrain, b)
	n := int(b.Rows.NumRows())
	for _, d := range b.Rejects[before:] {
		t.report.Metrics.DeadLetters(d.Class, 1)
	}
	if err := t.table.Append(out.ctx, b.Partition, b.First, b.Next, labelRows(rows)); err != nil {
		return err
	}
	for i := range rows {
		if rows[i].Offset >= at {
			t.report.Metrics.Labels(rows[i].Label.Space+"/"+rows[i].Label.Task, 1)
		}
	}
	t.positions[b.Partition] = max(at, b.Next)
	t.decided.touch(rows)
	t.board.labelled(rows, b.Rejects)
	if err := t.announce(out.ctx); err != nil {
		return err
	}
	b.Rows.Release()
	b.Rows = schemas.NoPredictions()
	worker.Blocked()
	if err := out.send(b); err != nil {
		return err
	}
	worker.Done(out.ctx, n, len(rows))
	t.scores()
	return nil
}

// scores reports the running scores of every task.
func (t *trainer) scores() {
	for _, l := range t.stage.Learners() {
		for _, task := range l.Tasks() {
			t.board.scored(l.Space(), task)
			name := l.Space() + "/" + task.Name
			if s := task.Score; s.Pairs > 1 {
				t.report.Metrics.Score(name, s.Tau, s.P1, s.P5, s.Coverage, s.Pairs)
			}
		}
	}
}

// work does one piece of training and, while candidates wait, rests in
// proportion.
func (t *trainer) work(session, stop context.Context, worker *ops.Worker) error {
	began := time.Now()
	ctx, cancel := context.WithCancel(session)
	defer cancel()
	unhook := context.AfterFunc(stop, cancel)
	defer unhook()
	still := keepAlive(worker, stallLimit/4)
	t.pacer.begin(ctx, func(on bool) {
		if on {
			worker.Busy()
		} else {
			worker.Idle()
		}
	})
	l, progress, worked, err := t.stage.Work(ctx)
	still()
	if stop.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // the labels are kept; the fit is done again after the start
	}
	if err != nil || !worked {
		return err
	}
	t.journal.worked()
	worker.Beat()
	took := time.Since(began)
	t.decided.worked(l, progress.Challenger, t.labelPositions())
	t.notBefore = time.Now().Add(t.pacer.owed())
	if progress.Challenger == nil {
		t.report.Metrics.Steps(l.Space(), "pretrain", 1)
		t.report.Metrics.Loss(l.Space(), "flow", progress.Losses.Flow)
		t.report.Metrics.Loss(l.Space(), "proxies", progress.Losses.Proxy)
		t.board.step(l, progress.Losses)
		return nil
	}
	t.report.Metrics.FineTune(ctx, l.Space(), took)
	return t.decide(session, l, progress.Challenger, took)
}

// decide publishes a challenger that won in a task and says how each was decided.
func (t *trainer) decide(ctx context.Context, l *learner.Learner, c *learner.Challenger, took time.Duration) error {
	outcome := "refused"
	if c.Promoted {
		outcome = "promoted"
	}
	t.report.Metrics.Decision(l.Space(), outcome)
	for _, trial := range c.Trials {
		decision := "kept the champion"
		if trial.Promoted {
			decision = "promoted"
		}
		t.report.Log.InfoContext(ctx, "fitted "+c.Model.Name()+": "+decision, "task", trial.Task, "why", trial.Why, "labels", trial.Labels,
			"tau_held_out", round(trial.HeldOut), "fresh", trial.Fresh, "tau_champion", round(trial.Champion), "tau_challenger", round(trial.Challenger), "took", took.Round(time.Millisecond))
	}
	for _, task := range c.Dropped {
		t.report.Log.InfoContext(ctx, "fitted "+c.Model.Name()+": dropped a task", "task", task, "why", "all of its labels were withdrawn")
	}
	t.board.fitted(l)
	if !c.Promoted {
		return t.tellFit(ctx, l)
	}
	// What leaves the trainer leaves after the journal that explains it: a model
	// that came first would have learnt from labels that the trainer, after a
	// kill, believes it has not seen. And only one trainer can write the journal,
	// so that a replaced one touches no model. The checkpoint saves the next
	// trainer the fit.
	if err := t.store(ctx); err != nil {
		return err
	}
	if err := t.publish(ctx, l, c.Model); err != nil {
		return err
	}
	t.serving(ctx)
	return t.tellFit(ctx, l)
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// announce tells the workers of tasks that have labels but no model yet, so
// that their candidates are told the reason, and again when it is another.
func (t *trainer) announce(ctx context.Context) error {
	for _, l := range t.stage.Learners() {
		if waiting := unserved(l); len(waiting) > 0 && !maps.Equal(waiting, t.announced[l.Space()]) {
			if err := t.publish(ctx, l, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// unserved returns the tasks that no model answers, and why.
func unserved(l *learner.Learner) map[string]string {
	waiting := map[string]string{}
	for _, task := range l.Tasks() {
		if !task.Served {
			waiting[task.Name] = task.Reason
		}
	}
	return waiting
}

// publish stores the next version of the registry, with a new model or without,
// and tells the workers through the models topic.
func (t *trainer) publish(ctx context.Context, l *learner.Learner, model *encoders.Model) error {
	if err := t.journal.append(ctx); err != nil {
		return err
	}
	m := SpaceManifest{Space: l.Space(), Waiting: unserved(l)}
	t.announced[l.Space()] = m.Waiting
	m, err := t.registry.Publish(ctx, m, model)
	if err != nil {
		return err
	}
	if model != nil && m.pinned() {
		t.report.Log.InfoContext(ctx, model.Name()+" waits: an operator has pinned another", "pinned", m.Model)
	}
	if err := t.tell(ctx, m); err != nil {
		// The registry has the model and workers look there when they start, so
		// a broker that is away only delays the news.
		t.report.Log.WarnContext(ctx, "cannot tell the workers of a model; they hear of the next", "topic", t.Topics.Models, "error", err)
	}
	return nil
}

// labelRows turns outcomes into rows of the labels table.
func labelRows(rows []stages.LabelRow) []sinks.LabelRow {
	list := make([]sinks.LabelRow, len(rows))
	for i := range rows {
		r := &rows[i]
		row := sinks.LabelRow{
			Space: r.Label.Space, CandidateID: plainID(r.Label.ID), Task: r.Label.Task, Goal: "max",
			Offset: r.Offset, Time: time.UnixMilli(r.Time),
		}
		if r.Minimise {
			row.Goal = "min"
		}
		if r.Label.Valued() {
			row.Value = &r.Label.Value
		}
		if r.Known {
			row.Architecture, row.Network = r.Architecture.String(), r.Network.String()
		}
		if r.Answered {
			row.Model, row.Score, row.PredictedValue, row.Low, row.High, row.Percentile = r.Model, &r.Score, &r.Value, &r.Low, &r.High, &r.Percentile
		}
		if context, ok := ops.ParseTraceparent(r.Trace); ok {
			row.TraceID = context.TraceID().String()
		}
		list[i] = row
	}
	return list
}

// standBy waits while another process trains.
func (p *Process) standBy(stop context.Context) error {
	p.report.Log.InfoContext(stop, "standing by: another process of the group trains")
	<-stop.Done()
	return nil
}
