package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"archflow/encoders"
	"archflow/sinks"
)

// scored is a row of the table scores.
type scored struct {
	Network string  `parquet:"network,optional"`
	Task    string  `parquet:"task,optional"`
	Model   string  `parquet:"model,optional"`
	Score   float64 `parquet:"score,optional"`
	Value   float64 `parquet:"value,optional"`
	Low     float64 `parquet:"low,optional"`
	High    float64 `parquet:"high,optional"`
}

func scoresIn(t *testing.T, b sinks.Bucket) map[string]scored {
	t.Helper()
	all := map[string]scored{}
	for _, r := range rows[scored](t, b, "scores") {
		key := r.Network + " " + r.Model + " " + r.Task
		if _, twice := all[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		all[key] = r
	}
	return all
}

// predictedIn returns the answers of the predictions table as rows of scores.
func predictedIn(t *testing.T, b sinks.Bucket) map[string]scored {
	t.Helper()
	all := map[string]scored{}
	for _, r := range rows[struct {
		Network     string               `parquet:"network,optional"`
		Model       string               `parquet:"model,optional"`
		Predictions map[string]answered6 `parquet:"predictions,optional"`
	}](t, b, "predictions") {
		for task, a := range r.Predictions {
			all[r.Network+" "+r.Model+" "+task] = scored{r.Network, task, r.Model, a.Score, a.Value, a.Low, a.High}
		}
		if len(r.Predictions) == 0 {
			all[r.Network+" "] = scored{Network: r.Network}
		}
	}
	return all
}

// rescoring returns a rescorer of a process.
func rescoring(p *Process, limit int) *rescorer {
	return &rescorer{tables: p.tables, registry: p.registry, config: sinks.TableConfig{Group: "g"}, limits: p.config.Limits(), workers: 2, limit: limit}
}

// TestRescoreOfNothing: a place without a table, and a store without a model, are
// named, and nothing is taken for done.
func TestRescoreOfNothing(t *testing.T) {
	c := settings(t)
	rescore := func() string {
		err := Rescore(t.Context(), c, slog.New(slog.DiscardHandler), nil, 0, func(Rescored) error { return nil })
		if err == nil {
			t.Fatal("done")
		}
		return err.Error()
	}
	if said := rescore(); !strings.Contains(said, c.TablePlace()) {
		t.Error(said)
	}
	tables, err := sinks.OpenBucket(t.Context(), c.TablePlace())
	if err != nil {
		t.Fatal(err)
	}
	defer tables.Close()
	if said := rescore(); !strings.Contains(said, "no table predictions") {
		t.Error(said)
	}
	predictions, err := sinks.NewPredictionsTable(t.Context(), tables, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: c.Group}})
	if err != nil {
		t.Fatal(err)
	}
	predictions.Close()
	if said := rescore(); !strings.Contains(said, c.StorePlace()) {
		t.Error(said)
	}
	store, err := sinks.OpenBucket(t.Context(), c.StorePlace())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if said := rescore(); !strings.Contains(said, "no model yet") {
		t.Error(said)
	}
}

// TestRescore: candidates that no model had answered, and those that an older one had
// answered, get the answers of the newest, with the bits of the predictions topic, once,
// whatever kills it and however often. With a limit those never answered come first.
func TestRescore(t *testing.T) {
	config := learning(t)
	two := models(t, config)
	inBubble(t, func(t *testing.T) {
		points := []string{"none"}
		for i := 0; i < len(points); i++ {
			w := newWorld(t, config)
			unanswered := w.round(t, 1)
			w.serve(two[0])
			w.round(t, 3)
			w.serve(two[1])
			limit := 0
			if i == 0 {
				limit = unanswered
			}
			l, err := w.live(t.Context(), crash{point: points[i]}, func(p *Process, stop context.Context) error {
				_, err := rescoring(p, limit).space(stop, "dag")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			tables := w.bucket("tables") // after a crash
			if i == 0 {
				points = append(points, l.visited...)
				w.firstUnanswered(t, tables, unanswered)
			}
			w.rescoreTwice(t)
			got := scoresIn(t, tables)
			w.round(t, 1) // the newest model answers the same candidates in the stream
			w.round(t, 3)
			same := 0
			for key, want := range predictedIn(t, tables) {
				if want.Model == two[1].Name() {
					same++
					if got[key] != want {
						t.Errorf("killed %s: %+v, want %+v", points[i], got[key], want)
					}
				}
			}
			if same == 0 || same != len(got) {
				t.Errorf("killed %s: %d answers, %d scores", points[i], same, len(got))
			}
			if err := tables.Close(); err != nil {
				t.Fatal(err)
			}
			w.close()
			if t.Failed() {
				return
			}
		}
		if len(points) < 3 {
			t.Errorf("only %q were visited", points)
		}
	})
}

// round publishes candidates, lets a worker answer them and returns how many
// distinct networks the table has.
func (w *world) round(t *testing.T, seed uint64) int {
	t.Helper()
	w.ask(seed, 8)
	_, err := w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
		p.ends = w.ends()
		return p.answer(stop, candidatesOf(p))
	})
	if err != nil {
		t.Fatal(err)
	}
	tables := w.bucket("tables")
	defer tables.Close()
	networks := map[string]bool{}
	for _, r := range predictedIn(t, tables) {
		networks[r.Network] = true
	}
	return len(networks)
}

// rescoreTwice scores everything, and then finds nothing to do.
func (w *world) rescoreTwice(t *testing.T) {
	t.Helper()
	for again := range 2 {
		_, err := w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			done, err := rescoring(p, 0).space(stop, "dag")
			if err == nil && (done.ScoredBefore+done.Scored != done.Networks || again == 1 && done.Scored > 0) {
				err = fmt.Errorf("time %d: %+v", again, done)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// firstUnanswered checks that as many were scored as were never answered, and these
// if they came in no later row.
func (w *world) firstUnanswered(t *testing.T, tables sinks.Bucket, limit int) {
	t.Helper()
	answered, never := map[string]bool{}, map[string]bool{}
	for _, r := range predictedIn(t, tables) {
		answered[r.Network] = answered[r.Network] || r.Model != ""
	}
	for network, yes := range answered {
		if !yes {
			never[network] = true
		}
	}
	got := scoresIn(t, tables)
	for _, r := range got {
		delete(never, r.Network)
	}
	if len(got) != limit || len(never) > 0 {
		t.Errorf("%d networks were scored, want %d; %d never answered are not among them", len(got), limit, len(never))
	}
}

// TestModelsFollowTheRegistry: each promoted model is in the table once, with what
// is known of it, whatever operators pin and whatever kills the writer; one that an
// earlier version has made too.
func TestModelsFollowTheRegistry(t *testing.T) {
	config := learning(t)
	two := models(t, config)
	type modelRow struct {
		Model    string           `parquet:"model,optional"`
		Registry int64            `parquet:"registry,optional"`
		Learnt   map[string]int64 `parquet:"learnt,optional"`
		Student  *bool            `parquet:"student,optional"`
	}
	record := &modelRecord{Tasks: map[string]taskRecord{"acc": {Labels: 20, Decision: "promoted"}}, Learnt: map[string]int64{"labels/0": 21}, Settings: "seed=1"}
	inBubble(t, func(t *testing.T) {
		points := []string{"none"}
		for i := 0; i < len(points); i++ {
			w := newWorld(t, config)
			w.serve(two[0]) // without a record
			follow := func(c crash) *life {
				l, err := w.live(t.Context(), c, func(p *Process, stop context.Context) error {
					return recordModels(stop, p.tables, p.registry, sinks.TableConfig{Group: "g"})
				})
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			l := follow(crash{point: points[i]})
			if i == 0 {
				points = append(points, l.visited...)
			}
			w.promote(t, two[1], record)
			follow(crash{point: points[i]})
			follow(crash{point: "none"})
			tables := w.bucket("tables")
			got := rows[modelRow](t, tables, "models")
			slices.SortFunc(got, func(a, b modelRow) int { return int(a.Registry - b.Registry) })
			if len(got) != 2 || got[0].Model != two[0].Name() || got[0].Student != nil || got[1].Model != two[1].Name() || got[1].Student == nil || got[1].Learnt["labels/0"] != 21 {
				t.Errorf("killed %s: %+v", points[i], got)
			}
			if err := tables.Close(); err != nil {
				t.Fatal(err)
			}
			w.close()
		}
		if len(points) < 5 {
			t.Errorf("only %q were visited", points)
		}
	})
}

// promote lets an operator pin the model that answers, promotes another and
// releases it.
func (w *world) promote(t *testing.T, model *encoders.Model, record *modelRecord) {
	t.Helper()
	store := w.bucket("store")
	defer store.Close()
	r, err := OpenRegistry(t.Context(), store)
	if err == nil {
		_, _, err = r.Pin(t.Context(), "dag", r.Manifest().Spaces["dag"].Model)
	}
	if err == nil {
		_, err = r.Publish(t.Context(), SpaceManifest{Space: "dag", record: record}, model)
	}
	if err == nil {
		_, _, err = r.Release(t.Context(), "dag")
	}
	if err == nil {
		_, err = r.Publish(t.Context(), SpaceManifest{Space: "dag", Waiting: map[string]string{"x": "few"}}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}
