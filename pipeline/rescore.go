package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"golang.org/x/sync/errgroup"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// Rescored is the result of scoring the networks of a space again.
type Rescored struct {
	Space        string  `json:"space"`
	Model        string  `json:"model"`
	Networks     int     `json:"networks"` // distinct ones of the predictions table
	ScoredBefore int     `json:"had"`      // that the model had scored before
	Scored       int     `json:"scored"`   // now
	Refused      int     `json:"refused"`  // whose row is no candidate
	Seconds      float64 `json:"seconds"`
	Reading      float64 `json:"reading"` // seconds of them in which networks were chosen
}

// Rescore answers the networks of the predictions table again with the current models
// and writes their scores to the table scores, once for each network and model. It needs
// the tables and the store, and no broker. Without names of spaces it takes all that
// have a model. With a limit, networks of each space that were never answered come
// first, then the newest.
func Rescore(ctx context.Context, c *Config, log *slog.Logger, spaces []string, limit int, report func(Rescored) error) error {
	tables, err := OpenTables(ctx, c)
	if err != nil {
		return err
	}
	defer tables.Close()
	if _, err := sinks.TableFiles(ctx, tables, "predictions"); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no table predictions; name the place with --table", tables.URL())
	}
	store, err := openExisting(ctx, "store", c.StorePlace())
	if err != nil {
		return err
	}
	defer store.Close()
	registry, err := OpenRegistry(ctx, store)
	if err != nil {
		return err
	}
	manifest, served := registry.Manifest(), []string(nil)
	for _, space := range sortedKeys(manifest.Spaces) {
		if manifest.Spaces[space].File != "" {
			served = append(served, space)
		}
	}
	if len(served) == 0 {
		return fmt.Errorf("%s has no model yet; publish labels, or name the place with --store", store.URL())
	}
	if len(spaces) == 0 {
		spaces = served
	}
	for _, space := range spaces {
		if !slices.Contains(served, space) {
			return fmt.Errorf("no model answers the space %q; models answer %q", space, served)
		}
	}
	r := &rescorer{tables: tables, registry: registry, config: sinks.TableConfig{Group: c.Group, Log: log}, limits: c.Limits(), workers: runtime.GOMAXPROCS(0), limit: limit}
	for _, space := range spaces {
		done, err := r.space(ctx, space)
		if err == nil {
			err = report(done)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rescorer scores networks again.
type rescorer struct {
	tables   sinks.Bucket
	registry *Registry
	config   sinks.TableConfig
	limits   schemas.Limits
	workers  int
	limit    int // networks, 0 for all

	pause func(context.Context) error // between batches; may be nil
}

const (
	rescoreRows  = 4 << 20 // rows of a space whose networks are held in memory at once
	rescoreBatch = 512     // networks that are answered at a time
	rescoreChunk = 50_000  // networks that are committed at a time
)

// chosen is the candidate that represents a network: the newest of it.
type chosen struct {
	key      sinks.CandidateKey
	id       schemas.ID
	file     int
	row      int64
	answered bool // a row of the network has a model
}

// space scores the networks that the newest model of a space has not scored.
func (r *rescorer) space(ctx context.Context, space string) (Rescored, error) {
	began := time.Now()
	generation, err := r.registry.ModelSet(ctx, schemas.NewestRegistry)
	if err != nil {
		return Rescored{}, err
	}
	symbol, err := schemas.Intern(space)
	if err != nil {
		return Rescored{}, err
	}
	champion := generation.Spaces[symbol]
	if champion == nil || champion.Model == nil {
		return Rescored{Space: space}, nil
	}
	done := Rescored{Space: space, Model: champion.Model.Name()}
	files, err := sinks.TableFiles(ctx, r.tables, "predictions")
	if errors.Is(err, fs.ErrNotExist) {
		return done, nil
	}
	if err != nil {
		return done, err
	}
	folder := sinks.Folder("space", space) + "/"
	files = slices.DeleteFunc(files, func(f string) bool { return !strings.HasPrefix(f, folder) })
	table, err := sinks.NewScoresTable(ctx, r.tables, r.config)
	if err != nil {
		return done, err
	}
	defer table.Close()
	if err := table.Of(ctx, space, done.Model); err != nil {
		return done, err
	}
	model := &publishedModel{&stages.ModelSet{Version: generation.Version, Spaces: map[schemas.Symbol]*stages.Champion{symbol: champion}}}
	for pass, passes := 0, 1; pass < passes; pass++ {
		list, rows, err := r.choose(ctx, files, pass, passes, table, &done)
		if err != nil {
			return done, err
		}
		if more := int(rows/rescoreRows) + 1; pass == 0 && more > 1 && r.limit == 0 {
			// Too many for one map: again, a share of the networks at a time.
			passes = more
			done.Networks, done.ScoredBefore = 0, 0
			if list, _, err = r.choose(ctx, files, 0, passes, table, &done); err != nil {
				return done, err
			}
		}
		done.Reading = time.Since(began).Seconds()
		if err := r.score(ctx, files, list, space, model, table, &done); err != nil {
			return done, err
		}
	}
	done.Seconds = time.Since(began).Seconds()
	return done, nil
}

// choose finds the candidates that represent the networks to be scored, in the order of
// files and rows. Each pass takes its share of the networks.
func (r *rescorer) choose(ctx context.Context, files []string, pass, passes int, table *sinks.ScoresTable, done *Rescored) (list []*chosen, rows int64, err error) {
	networks := map[schemas.ID]*chosen{}
	for n, file := range files {
		body, err := r.read(ctx, file)
		if err != nil || body == nil {
			return nil, 0, err
		}
		keys, err := sinks.ReadCandidateKeys(body)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", file, err)
		}
		for i := range keys {
			id, err := schemas.ParseID(keys[i].Network)
			if rows++; err != nil || (int(id[0])<<8|int(id[1]))%passes != pass {
				continue
			}
			have := networks[id]
			if have == nil {
				have = &chosen{id: id, key: keys[i], file: n, row: int64(i)}
				networks[id] = have
			} else if keys[i].Compare(&have.key) > 0 {
				have.key, have.file, have.row = keys[i], n, int64(i)
			}
			have.answered = have.answered || keys[i].Model != ""
		}
	}
	done.Networks += len(networks)
	for id, c := range networks {
		if table.Holds(id) {
			done.ScoredBefore++
			continue
		}
		list = append(list, c)
	}
	if r.limit > 0 && len(list) > r.limit {
		slices.SortFunc(list, func(a, b *chosen) int {
			if a.answered != b.answered {
				if b.answered {
					return -1
				}
				return 1
			}
			return -a.key.Compare(&b.key)
		})
		list = list[:r.limit]
	}
	slices.SortFunc(list, func(a, b *chosen) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.row, b.row))
	})
	return list, rows, nil
}

// read returns a file of the predictions table.
func (r *rescorer) read(ctx context.Context, file string) ([]byte, error) {
	body, err := r.tables.Read(ctx, "predictions/"+file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("predictions/%s is gone: %w; run it again, and archflow maintain --refill if it is missing then too", file, err)
	}
	return body, err
}

// batchOf are candidates to be scored.
type batchOf struct {
	chosen []*chosen
	graphs []schemas.StoredGraph
}

// scoredBatch are rows of networks, in order.
type scoredBatch struct {
	rows              []sinks.ScoreRow
	networks, refused int
}

// score answers candidates and gives their scores to the table.
func (r *rescorer) score(ctx context.Context, files []string, list []*chosen, space string, model stages.Models, table *sinks.ScoresTable, done *Rescored) error {
	group, ctx := errgroup.WithContext(ctx)
	batches, scored := make(chan batchOf, r.workers), make(chan scoredBatch, r.workers)
	group.Go(func() error {
		defer close(batches)
		return r.load(ctx, files, list, batches)
	})
	var workers errgroup.Group
	for range r.workers {
		workers.Go(func() error { return r.answer(ctx, space, model, batches, scored) })
	}
	group.Go(func() error {
		defer close(scored)
		return workers.Wait()
	})
	group.Go(func() error {
		var rows []sinks.ScoreRow
		networks := 0
		insert := func() error {
			if len(rows) == 0 {
				return nil
			}
			n, err := table.Insert(ctx, rows, time.Now())
			done.Scored += n
			rows, networks = nil, 0
			return err
		}
		for b := range scored {
			rows, networks, done.Refused = append(rows, b.rows...), networks+b.networks, done.Refused+b.refused
			if networks >= rescoreChunk {
				if err := insert(); err != nil {
					return err
				}
			}
		}
		return insert()
	})
	return group.Wait()
}

// load reads the graphs of the candidates, file by file.
func (r *rescorer) load(ctx context.Context, files []string, list []*chosen, batches chan<- batchOf) error {
	for len(list) > 0 {
		n := list[0].file
		last := slices.IndexFunc(list, func(c *chosen) bool { return c.file != n })
		if last < 0 {
			last = len(list)
		}
		body, err := r.read(ctx, files[n])
		if err != nil {
			return err
		}
		for of := range slices.Chunk(list[:last], rescoreBatch) {
			rows := make([]int64, len(of))
			for i, c := range of {
				rows[i] = c.row
			}
			graphs, err := sinks.ReadGraphs(body, rows)
			if err != nil {
				return fmt.Errorf("%s: %w", files[n], err)
			}
			if r.pause != nil {
				if err := r.pause(ctx); err != nil {
					return err
				}
			}
			select {
			case batches <- batchOf{of, graphs}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		list = list[last:]
	}
	return nil
}

// answer is one worker: it answers batches as the predict stage answers the stream.
func (r *rescorer) answer(ctx context.Context, space string, model stages.Models, batches <-chan batchOf, scored chan<- scoredBatch) error {
	decoder, predict := schemas.NewDecoder(r.limits), stages.NewPredict(model, false)
	for b := range batches {
		out := scoredBatch{networks: len(b.chosen)}
		var c schemas.Candidates
		for i := range b.graphs {
			if refused := decoder.Stored(&c, space, &b.graphs[i]); refused != nil {
				out.refused++
				continue
			}
			if c.Network[c.Len()] != b.chosen[i].id {
				return fmt.Errorf("a row of predictions (%s/%d offset %d) is of network %s, and its graph is %s", b.chosen[i].key.Topic, b.chosen[i].key.Partition, b.chosen[i].key.Offset, b.chosen[i].id, c.Network[c.Len()])
			}
			c.Append(b.chosen[i].key.Offset, 0, nil, nil)
		}
		if c.Len() > 0 {
			batch := &schemas.Batch{Registry: schemas.NewestRegistry, Rows: noSurrogates(&c)}
			err := predict.Process(ctx, batch)
			if err == nil {
				out.rows = scoreRows(batch)
			}
			batch.Rows.Release()
			if err != nil {
				return err
			}
		}
		select {
		case scored <- out:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// noSurrogates returns candidates with empty surrogates, of which answers make no
// use.
func noSurrogates(c *schemas.Candidates) arrow.Record {
	rows := c.Record()
	defer rows.Release()
	return schemas.WithSurrogates(rows, schemas.Surrogates{Start: make([]int32, c.Len()+1)})
}

// scoreRows returns the answers of a batch, task by task.
func scoreRows(b *schemas.Batch) (rows []sinks.ScoreRow) {
	c, y := schemas.ViewCandidates(b.Rows), schemas.ViewPredictions(b.Rows)
	for i := range c.Len() {
		for k := y.TaskStart[i]; k < y.TaskStart[i+1]; k++ {
			if math.IsNaN(y.Score[k]) || math.IsInf(y.Score[k], 0) {
				continue // no answer for this task
			}
			own := [...]float64{y.Value[k], y.Low[k], y.High[k], y.SD[k]} // the record's are released
			rows = append(rows, sinks.ScoreRow{
				Network: c.Network[i], Task: schemas.Name(y.Task[k]), Score: y.Score[k],
				Value: &own[0], Low: &own[1], High: &own[2], SD: &own[3],
			})
		}
	}
	return rows
}
