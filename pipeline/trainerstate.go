package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"archflow/encoders/learner"
)

// store makes the journal, the labels table and then the trainer's state
// durable, in this order: the journal entry comes before any output that depends
// on it, and the table is never behind a checkpoint. While a fit is under way there
// is no state to store; it is stored when the fit has ended.
func (t *trainer) store(ctx context.Context) error {
	if err := t.commit(ctx); err != nil {
		return err
	}
	if t.stored == t.journal.at {
		return nil
	}
	if !t.stage.Quiet() {
		if t.overdue.IsZero() {
			t.overdue = time.Now()
		}
		return nil // the journal has everything; the state follows when fits have ended
	}
	return t.checkpoint(ctx, t.journal.at)
}

// checkpoint stores the state, which is that after an entry of the journal.
func (t *trainer) checkpoint(ctx context.Context, number int64) error {
	s, err := t.state()
	if err != nil {
		return err
	}
	if err := t.journal.checkpoint(ctx, number, s); err != nil {
		return err
	}
	t.stored, t.overdue = number, time.Time{}
	return nil
}

func (t *trainer) state() (*saved, error) {
	s := &saved{Turn: t.stage.Turn(), Positions: savePositions(t.positions)}
	for _, key := range slices.Sorted(maps.Keys(t.decided.outcomes)) {
		s.Outcomes = append(s.Outcomes, t.decided.outcomes[key])
	}
	for _, l := range t.stage.Learners() {
		state, err := l.State()
		if err != nil {
			return nil, fmt.Errorf("checkpoint of space %s: %w", l.Space(), err)
		}
		s.Spaces = append(s.Spaces, state)
	}
	return s, nil
}

func (t *trainer) restore(ctx context.Context, s *saved) error {
	t.positions = loadPositions(s.Positions)
	for _, o := range s.Outcomes {
		t.decided.outcomes[taskKey(o.Space, o.Task)] = o
	}
	for _, state := range s.Spaces {
		l, err := learner.Restore(t.learnerConfig(state.Space), state)
		if err != nil {
			return err
		}
		if was := l.Replaced(); was != "" {
			t.report.Log.InfoContext(ctx, "the encoder is another: pre-training begins anew, and the model goes on answering until one of the new encoder ranks no worse", "space", state.Space, "before", was)
		}
		if err := t.stage.Adopt(l); err != nil {
			return err
		}
	}
	return t.stage.SetTurn(s.Turn)
}

// commit makes the journal and then the labels table durable: the prediction in a row
// depends on the order of steps.
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
