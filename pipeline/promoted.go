package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"archflow/encoders"
	"archflow/schemas"
	"archflow/sinks"
)

// Two tables follow promotions in the background: models, and with --rescore scores.
// Both are derived from the registry, the store and the tables, so that a kill only
// delays them.

// recordOf describes the last fit of a space.
func (t *trainer) recordOf(space string, model *encoders.Model) *modelRecord {
	r := &modelRecord{Tasks: map[string]taskRecord{}, Settings: t.journal.settings}
	for i := range model.Tasks {
		task := &model.Tasks[i]
		r.Tasks[task.Name] = taskRecord{Labels: int64(task.Labels)}
	}
	for _, key := range sortedKeys(t.decided.outcomes) {
		o := t.decided.outcomes[key]
		task, answered := r.Tasks[o.Task]
		if o.Space != space || !answered {
			continue
		}
		task.Decision, task.Why = o.Decision, o.Why
		if !math.IsNaN(o.Tau) && !math.IsInf(o.Tau, 0) {
			task.Tau = &o.Tau
		}
		r.Tasks[o.Task] = task
		r.Student = r.Student || o.Student
		if r.Learnt == nil {
			r.Learnt = map[string]int64{}
		}
		for _, p := range o.Learnt {
			place := fmt.Sprintf("%s/%d", p.Topic, p.Number)
			r.Learnt[place] = max(r.Learnt[place], p.Next)
		}
	}
	return r
}

// row is the row of a model that came in a version of the registry.
func (r *Registry) row(ctx context.Context, m *Manifest, space string, model ModelFile) (sinks.ModelRow, error) {
	row := sinks.ModelRow{
		Space: space, Model: model.Model, Version: int64(number(model.Model)), Registry: m.Version, Time: m.Time, Tasks: map[string]sinks.ModelTask{},
	}
	for _, task := range model.Tasks {
		row.Tasks[task] = sinks.ModelTask{}
	}
	text, err := r.store.Read(ctx, recordKey(model.Model))
	if errors.Is(err, fs.ErrNotExist) {
		return row, nil // of an earlier version
	}
	if err != nil {
		return row, err
	}
	var record modelRecord
	if err := json.Unmarshal(text, &record); err != nil {
		return row, nil //nolint:nilerr // damaged: the model is not
	}
	row.Learnt, row.Settings, row.Student = record.Learnt, record.Settings, &record.Student
	for name, task := range record.Tasks {
		row.Tasks[name] = sinks.ModelTask{Labels: &task.Labels, Decision: task.Decision, Why: task.Why, Tau: task.Tau}
	}
	return row, nil
}

// modelsChunk is how many versions of the registry are looked at for one commit.
const modelsChunk = 500

// recordModels brings the table models up to the registry. The table has each version's
// models once, whoever calls this and however often.
func recordModels(ctx context.Context, tables sinks.Bucket, registry *Registry, config sinks.TableConfig) error {
	table, err := sinks.NewModelsTable(ctx, tables, config)
	if err != nil {
		return err
	}
	defer table.Close()
	at, err := table.Positions(ctx, []schemas.TopicPartition{sinks.Registry})
	if err != nil {
		return err
	}
	next := max(1, at[sinks.Registry])
	before, err := registry.read(ctx, next-1)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !damaged(err) {
		return err
	}
	for {
		versions, err := registry.after(ctx, next-1, modelsChunk)
		if err != nil || len(versions) == 0 {
			return err
		}
		var rows []sinks.ModelRow
		for _, version := range versions {
			m, err := registry.read(ctx, version)
			if damaged(err) {
				continue // doctor says so
			}
			if err != nil {
				return err
			}
			for _, space := range sortedKeys(m.Spaces) {
				s, old := m.Spaces[space], before.Spaces[space]
				if model := s.trained(); model.File != "" && model.Model != old.trained().Model {
					row, err := registry.row(ctx, &m, space, model)
					if err != nil {
						return err
					}
					rows = append(rows, row)
				}
			}
			before = m
		}
		last := versions[len(versions)-1]
		if err := table.Append(ctx, next, last+1, rows); err != nil {
			return err
		}
		if err := table.Commit(ctx); err != nil {
			return err
		}
		next = last + 1
	}
}

// after lists versions of the store after one, in order, at most n.
func (r *Registry) after(ctx context.Context, version int64, n int) (list []int64, err error) {
	for object, err := range r.store.List(ctx, registryFolder, registryKey(version)) {
		if err != nil {
			return nil, fmt.Errorf("read the registry of the store: %w", err)
		}
		var found int64
		if _, err := fmt.Sscanf(object.Key, registryFolder+"%d.json", &found); err != nil || found <= version {
			continue // refresh names it
		}
		if list = append(list, found); len(list) == n {
			break
		}
	}
	return list, nil
}

const (
	promotedRetry = 10 * time.Second
	promotedLast  = 10 * time.Second // for the rest at the end
	rescoreEvery  = 10 * time.Minute // a space at most
)

// keepModels brings the table models up to the registry after each promotion.
func (p *Process) keepModels(ctx context.Context) {
	for {
		if err := recordModels(ctx, p.tables, p.registry, p.tableConfig()); err != nil && ctx.Err() == nil {
			p.report.Log.WarnContext(ctx, "the table models lacks the newest; trying again", "error", err)
			select {
			case <-time.After(promotedRetry):
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-p.promoted:
		case <-ctx.Done():
			return
		}
	}
}

// scorekeeper scores networks again after promotions, a bounded number and not too
// often: the scores of a newer model are worth as much a while later.
type scorekeeper struct {
	registry *Registry
	tables   sinks.Bucket
	config   sinks.TableConfig
	limits   schemas.Limits
	limit    int        // networks of a space that are scored after a promotion
	promoted promotions // wakes keep
	backlog  *backlog
	log      *slog.Logger

	last  map[string]string    // space -> model that has scored, or answered at the start
	began map[string]time.Time // space -> when it was scored last
}

func newScorekeeper(p *Process) *scorekeeper {
	k := &scorekeeper{
		registry: p.registry, tables: p.tables, config: p.tableConfig(), limits: p.config.Limits(), limit: p.config.Rescore,
		promoted: p.promotedScores, backlog: p.backlog, log: p.report.Log, last: map[string]string{}, began: map[string]time.Time{},
	}
	for space, s := range p.registry.Manifest().Spaces {
		k.last[space] = s.Model
	}
	return k
}

// keep scores until ctx ends.
func (k *scorekeeper) keep(ctx context.Context) {
	for {
		var again <-chan time.Time
		if k.score(ctx, false) {
			again = time.After(promotedRetry)
		}
		select {
		case <-k.promoted:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// score scores the spaces that have a new model; left says that there are some which
// have to wait, which they do not with now.
func (k *scorekeeper) score(ctx context.Context, now bool) (left bool) {
	spaces := k.registry.Manifest().Spaces
	for _, space := range sortedKeys(spaces) {
		model := spaces[space].Model
		if model == "" || model == k.last[space] {
			continue
		}
		if at, known := k.began[space]; known && !now && time.Since(at) < rescoreEvery {
			left = true
			continue
		}
		k.began[space] = time.Now()
		r := &rescorer{tables: k.tables, registry: k.registry, config: k.config, limits: k.limits, workers: 1, limit: k.limit, pause: k.yields}
		done, err := r.space(ctx, space)
		if err != nil {
			left = true
			if ctx.Err() == nil {
				k.log.WarnContext(ctx, "networks could not be scored again; trying again", "space", space, "error", err)
			}
			continue
		}
		k.last[space] = model
		k.log.InfoContext(ctx, "networks were scored again", "space", space, "model", done.Model, "scored", done.Scored, "networks", done.Networks, "took", time.Duration(done.Seconds*float64(time.Second)).Round(time.Millisecond))
	}
	return left
}

// yields waits while candidates do.
func (k *scorekeeper) yields(ctx context.Context) error {
	for k.backlog.any() {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// followPromotions keeps the tables that follow promotions, as far as this process may train,
// until the function that it returns is called, which brings them up to date.
func (p *Process) followPromotions(ctx context.Context) (end func()) {
	if p.config.Role == RoleWorker {
		return func() {}
	}
	background, stop := context.WithCancel(ctx)
	var all errgroup.Group
	all.Go(func() error { p.keepModels(background); return nil })
	keeper := newScorekeeper(p)
	if p.config.Rescore > 0 {
		all.Go(func() error { keeper.keep(background); return nil })
	}
	return func() {
		stop()
		_ = all.Wait() // they return nil
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), promotedLast)
		defer cancel()
		if err := recordModels(last, p.tables, p.registry, p.tableConfig()); err != nil {
			p.report.Log.WarnContext(ctx, "the table models gets the newest at the next start", "error", err)
		}
		if p.config.Rescore > 0 && p.config.ExitAtEnd {
			keeper.score(ctx, true)
		}
	}
}
