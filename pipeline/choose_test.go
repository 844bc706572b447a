package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"archflow/encoders/learner"
	"archflow/ops"
)

// choice posts an operator's choice and returns the status and the body.
func choice(t *testing.T, p *Process, body string) (int, string) {
	t.Helper()
	return answerOf(t, func(url string) (*http.Response, error) {
		return http.Post(url+"/api/models", "application/json", strings.NewReader(body))
	}, p)
}

// chosenOf returns which model of nb201 the registry lets answer, and which one
// the trainer has promoted.
func chosenOf(r *Registry) (model, trained string) {
	m := r.Manifest().Spaces["nb201"]
	return m.Model, m.trained().Model
}

// TestOperatorsChoose: the chosen model answers in every process, outlives the trainer
// and its next promotion, and ends with the release.
func TestOperatorsChoose(t *testing.T) {
	c := settings(t)
	p, err := Open(t.Context(), c, telemetry(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	elsewhere := *c
	elsewhere.Brokers, elsewhere.Role, elsewhere.HTTP = []string{p.Broker.Address}, RoleWorker, "off"
	worker, err := Open(t.Context(), &elsewhere, telemetry(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = worker.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	followed := make(chan struct{})
	go func() { worker.models().follow(ctx); close(followed) }()
	defer func() { stop(); <-followed }()

	tr, err := p.openTrainer(t.Context(), t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, challenger := promotion(t, tr)
	promote := func(tr *trainer, l *learner.Learner, version int64) {
		t.Helper()
		m := *challenger.Model
		m.Version = version
		l.Serve(&m)
		if err := tr.decide(t.Context(), l, &learner.Challenger{Model: &m, Promoted: true}, 0); err != nil {
			t.Fatal(err)
		}
		if err := tr.store(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	promote(tr, l, 1)
	if status, body := choice(t, p, `{"space":"nb201","do":"roll-back"}`); status != http.StatusConflict || !strings.Contains(body, "older than nb201/1") {
		t.Errorf("back from the first model: %d %s", status, body)
	}
	promote(tr, l, 2)

	status, body := choice(t, p, `{"space":"nb201","do":"roll-back"}`)
	var now ops.ModelState
	if err := json.Unmarshal([]byte(body), &now); err != nil || status != http.StatusOK || now.Version != 1 || !now.Pinned || now.Waiting != "nb201/2" || len(now.Stored) != 2 {
		t.Fatalf("rolled back: %d %s", status, body)
	}
	follows := func(want string) {
		t.Helper()
		await(t, func() string {
			if got, _ := chosenOf(worker.registry); got != want {
				return "the worker answers with " + got + ", want " + want
			}
			return ""
		})
	}
	follows("nb201/1")

	// The trainer knows nothing of it yet, promotes, and obeys.
	promote(tr, l, 3)
	if model, trained := chosenOf(p.registry); model != "nb201/1" || trained != "nb201/3" {
		t.Errorf("after a promotion %s answers and %s waits", model, trained)
	}
	tr.table.Close()
	if p.registry, err = OpenRegistry(t.Context(), p.store); err != nil {
		t.Fatal(err)
	}
	if tr, err = p.openTrainer(t.Context(), t.Context()); err != nil {
		t.Fatal(err)
	}
	defer tr.table.Close()
	if l = tr.stage.Learners()[0]; l.Champion().Version != 3 {
		t.Errorf("after a restart the trainer goes on from version %d, want its own 3", l.Champion().Version)
	}
	if model, _ := chosenOf(p.registry); model != "nb201/1" {
		t.Errorf("after a restart %s answers", model)
	}
	promote(tr, l, 4)
	if model, trained := chosenOf(p.registry); model != "nb201/1" || trained != "nb201/4" {
		t.Errorf("after a restart and a promotion %s answers and %s waits", model, trained)
	}

	for body, want := range map[string]int{
		`{"space":"nb201","do":"promote","model":"nb201/9"}`: http.StatusNotFound,
		`{"space":"micro","do":"promote","model":"nb201/1"}`: http.StatusNotFound,
		`{"space":"micro","do":"release"}`:                   http.StatusConflict,
		`{"space":"nb201","do":"promote"}`:                   http.StatusBadRequest,
		`{"space":"nb201","do":"delete"}`:                    http.StatusBadRequest,
		`{"space":"nb201"`:                                   http.StatusBadRequest,
	} {
		if status, said := choice(t, p, body); status != want {
			t.Errorf("%s: %d %s, want %d", body, status, said, want)
		}
	}
	if status, body = choice(t, p, `{"space":"nb201","do":"promote","model":"nb201/2"}`); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	follows("nb201/2")
	if status, body = choice(t, p, `{"space":"nb201","do":"release"}`); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	follows("nb201/4")
	promote(tr, l, 5)
	follows("nb201/5")
	_, metrics := get(t, p, "/metrics")
	for series, want := range map[string]float64{
		`archflow_model_decisions_total{decision="rolled_back"`: 1,
		`archflow_model_decisions_total{decision="pinned"`:      1,
		`archflow_model_decisions_total{decision="released"`:    1,
		`archflow_model_decisions_total{decision="promoted"`:    5,
		`archflow_model_version{space="nb201"`:                  5,
		`archflow_model_pinned{space="nb201"`:                   0,
	} {
		if got := value(metrics, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// TestTrainersFollowOperatorsOnly: a trainer goes on where operators have chosen
// meanwhile, and is replaced where another trainer has published.
func TestTrainersFollowOperatorsOnly(t *testing.T) {
	ctx, store := t.Context(), folder(t)
	open := func() *Registry {
		r, err := OpenRegistry(ctx, store)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	say := func(r *Registry) error {
		_, err := r.Publish(ctx, SpaceManifest{Space: "nb201", Waiting: map[string]string{"a": "few"}}, nil)
		return err
	}
	first := open()
	if err := say(first); err != nil {
		t.Fatal(err)
	}
	operator := open()
	if _, err := operator.next(ctx, "nb201", byOperator, func(m *SpaceManifest) error { m.Trained = &ModelFile{}; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := say(first); err != nil {
		t.Errorf("after an operator: %v", err)
	}
	if m := first.Manifest(); m.Version != 3 || m.Spaces["nb201"].Trained == nil {
		t.Errorf("the operator's choice is lost: %+v", m)
	}
	if err := say(open()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := operator.Release(ctx, "nb201"); err != nil {
		t.Fatal(err)
	}
	if err := say(first); !errors.Is(err, ErrReplaced) {
		t.Errorf("after another trainer and an operator: %v", err)
	}
}

// TestStoreOfAnotherGroup: a process whose store lacks the version that its group answers
// with is told which store to give.
func TestStoreOfAnotherGroup(t *testing.T) {
	r, err := OpenRegistry(t.Context(), folder(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ModelSet(t.Context(), 5); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--store") {
		t.Error(err)
	}
}
