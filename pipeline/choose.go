package pipeline

import (
	"context"
	"fmt"
	"slices"

	"archflow/internal/finite"
	"archflow/ops"
)

// Operators choose which model answers. A choice is a version of the registry like those
// of the trainer: every process follows it, a replay asks the model that answered then,
// and a restart finds it. It pins the model: later promotions by the trainer are stored
// and wait until the pin is released.

// Pin lets a model of the store answer until Release. An empty model selects the one
// before the current one. It returns the space's entry before and after.
func (r *Registry) Pin(ctx context.Context, space, model string) (before, now SpaceManifest, err error) {
	list, err := r.Models(ctx, space)
	if err != nil {
		return before, now, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(ctx); err != nil {
		return before, now, err
	}
	now, err = r.next(ctx, space, byOperator, func(m *SpaceManifest) error {
		before = *m
		chosen := model
		if chosen == "" {
			if chosen = olderThan(list, m.Model); chosen == "" {
				return fmt.Errorf("%w: the store has no model of %s older than %s", ops.ErrConflict, space, m.Model)
			}
		}
		if !slices.ContainsFunc(list, func(s StoredModel) bool { return s.Name == chosen }) {
			return fmt.Errorf("%w: the store has no model %s of space %s", ops.ErrUnknown, chosen, space)
		}
		file := modelsFolder + chosen + ".safetensors"
		loaded, err := r.model(ctx, file)
		if err != nil {
			return err
		}
		trained := m.trained()
		m.ModelFile, m.Trained = ModelFile{Model: chosen, File: file}, &trained
		for _, task := range loaded.Tasks {
			m.Tasks = append(m.Tasks, task.Name)
		}
		return nil
	})
	return before, now, err
}

func olderThan(list []StoredModel, model string) string {
	for _, s := range list {
		if model != "" && number(s.Name) < number(model) {
			return s.Name
		}
	}
	return ""
}

// Release lets the model answer that the trainer promoted last, and those that
// it will promote.
func (r *Registry) Release(ctx context.Context, space string) (before, now SpaceManifest, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(ctx); err != nil {
		return before, now, err
	}
	now, err = r.next(ctx, space, byOperator, func(m *SpaceManifest) error {
		before = *m
		if !m.pinned() {
			return fmt.Errorf("%w: no model of %s is pinned", ops.ErrConflict, space)
		}
		m.ModelFile, m.Trained = m.trained(), nil
		return nil
	})
	return before, now, err
}

// choose carries out an operator's choice and announces it to every process.
func (m *modelsTopic) choose(ctx context.Context, c ops.ModelChoice) (ops.ModelState, error) {
	var before, now SpaceManifest
	var err error
	decision := "pinned"
	switch c.Do {
	case ops.ChoosePromote:
		before, now, err = m.registry.Pin(ctx, c.Space, c.Model)
		if err == nil && number(now.Model) < number(before.Model) {
			decision = "rolled_back"
		}
	case ops.ChooseRollBack:
		decision = "rolled_back"
		before, now, err = m.registry.Pin(ctx, c.Space, "")
	case ops.ChooseRelease:
		decision = "released"
		before, now, err = m.registry.Release(ctx, c.Space)
	}
	if err != nil {
		return ops.ModelState{}, err
	}
	m.report.Metrics.Decision(c.Space, decision)
	m.report.Log.InfoContext(ctx, "an operator chose a model", "space", c.Space, "decision", decision, "model", now.Model, "before", before.Model, "pinned", now.pinned(), "registry", now.Registry)
	m.serving(ctx)
	if err := m.announce(ctx, now); err != nil {
		return ops.ModelState{}, fmt.Errorf("%s answers in this process and is stored, but could not be announced to the others: %w; ask again when the broker answers", now.Model, err)
	}
	return m.dashboard.model(c.Space), nil
}

// announce publishes a space's registry entry to the models topic.
func (m *modelsTopic) announce(ctx context.Context, s SpaceManifest) error {
	value, err := finite.Marshal(s)
	if err != nil {
		return err
	}
	return m.produce(ctx, modelsRecord(s.Space, value))
}
