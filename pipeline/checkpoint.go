package pipeline

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"archflow/encoders/learner"
)

// A checkpoint is one object, checkpoints/N.bin: the state of the trainer after
// entry N of the journal, sealed gob of saved. It follows from the journal, so
// that who stores it and when is all the same; it only saves the work of taking
// every step since the beginning again.
const (
	checkpointFolder = "checkpoints/"
	checkpointFormat = "archflow checkpoint 1\n"
	keptCheckpoints  = 3
)

// saved is the state of a trainer.
type saved struct {
	Positions []savedPosition
	Spaces    []*learner.State
	Turn      int // of Spaces: which works next
	Outcomes  []outcome
}

type savedPosition struct {
	Topic  string
	Number int32
	Next   int64
}

func checkpointKey(version int64) string {
	return fmt.Sprintf("%s%020d.bin", checkpointFolder, version)
}

// newestCheckpoint finds the newest checkpoint that is whole. A damaged one is
// left where it is, reported, and the one before it is taken; when there is none
// left, the journal must be whole.
func (j *journal) newestCheckpoint(ctx context.Context, log *slog.Logger, p *past, whole bool) error {
	versions, err := numbersOf(ctx, j.store, checkpointFolder, "%d.bin")
	if err != nil {
		return fmt.Errorf("checkpoints of the store: %w", err)
	}
	for i, version := range slices.Backward(versions) {
		data, err := j.store.Read(ctx, checkpointKey(version))
		if err != nil {
			return fmt.Errorf("checkpoint %d: %w", version, err)
		}
		if p.state, err = decodeCheckpoint(data); err == nil {
			p.version, j.kept = version, versions[:i+1]
			return nil
		}
		log.WarnContext(ctx, "checkpoint refused; the one before it is taken", "checkpoint", checkpointKey(version), "error", err)
	}
	if len(versions) > 0 && !whole {
		return fmt.Errorf("none of the %d checkpoints under %s/%s can be read: move them away, and %s with them, to train anew", len(versions), j.store.URL(), checkpointFolder, journalFolder)
	}
	return nil
}

// checkpoint stores the state after an entry and forgets what is too old.
func (j *journal) checkpoint(ctx context.Context, number int64, s *saved) error {
	data, err := encodeCheckpoint(s)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := j.store.Write(ctx, checkpointKey(number), data); err != nil {
		return fmt.Errorf("store checkpoint %d: %w", number, err)
	}
	if n := len(j.kept); n == 0 || j.kept[n-1] < number {
		j.kept = append(j.kept, number)
	}
	return j.forget(ctx)
}

func encodeCheckpoint(s *saved) ([]byte, error) {
	out := newSealed(checkpointFormat)
	if err := gob.NewEncoder(out).Encode(s); err != nil {
		return nil, err
	}
	return out.bytes(), nil
}

func decodeCheckpoint(data []byte) (*saved, error) {
	body, err := unseal(checkpointFormat, data)
	if err != nil {
		return nil, err
	}
	s := &saved{}
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(s); err != nil {
		return nil, err
	}
	return s, nil
}

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
