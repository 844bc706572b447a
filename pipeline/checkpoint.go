package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"archflow/encoders"
	"archflow/encoders/learner"
	"archflow/schemas"
	"archflow/sinks"
)

// A checkpoint is one object, checkpoints/VERSION.bin: a line that names the
// format, a line with the SHA-256 of the rest, and the gob of saved. It is
// created only if absent, so that a trainer that was replaced cannot store
// another one over its successor's.
const (
	checkpointFolder = "checkpoints/"
	checkpointFormat = "archflow checkpoint 1\n"
	keptCheckpoints  = 3
)

// saved is the state of a trainer.
type saved struct {
	Positions []savedPosition
	Spaces    []*learner.State
	Turn      int      // of Spaces: which works next
	Promoted  [][]byte // models that the registry may not have yet
}

type savedPosition struct {
	Topic  string
	Number int32
	Next   int64
}

// checkpointLog is the checkpoints of a store.
type checkpointLog struct {
	store   sinks.Bucket
	version int64 // of the newest, ours or the one we began with
}

func checkpointKey(version int64) string {
	return fmt.Sprintf("%s%020d.bin", checkpointFolder, version)
}

// newest returns the newest checkpoint that is whole, nil when there is none.
// A damaged one is left where it is, reported, and the one before it is taken.
func (c *checkpointLog) newest(ctx context.Context, log *slog.Logger) (*saved, error) {
	var versions []int64
	for object, err := range c.store.List(ctx, checkpointFolder, "") {
		if err != nil {
			return nil, fmt.Errorf("checkpoints of the store: %w", err)
		}
		var version int64
		if _, err := fmt.Sscanf(object.Key, checkpointFolder+"%d.bin", &version); err == nil {
			versions = append(versions, version)
		}
	}
	for _, version := range slices.Backward(versions) {
		c.version = max(c.version, version)
		data, err := c.store.Read(ctx, checkpointKey(version))
		if err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", version, err)
		}
		s, err := decodeCheckpoint(data)
		if err == nil {
			return s, nil
		}
		log.WarnContext(ctx, "checkpoint refused; the one before it is taken", "checkpoint", checkpointKey(version), "error", err)
	}
	if len(versions) > 0 {
		return nil, fmt.Errorf("none of the %d checkpoints under %s%s can be read: move them away to train anew", len(versions), c.store.URL(), checkpointFolder)
	}
	return nil, nil
}

// add stores the next checkpoint and removes the oldest. It fails with
// ErrReplaced when another trainer has stored one since.
func (c *checkpointLog) add(ctx context.Context, s *saved) error {
	data, err := encodeCheckpoint(s)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	err = c.store.Create(ctx, checkpointKey(c.version+1), data)
	if errors.Is(err, fs.ErrExist) {
		return ErrReplaced
	}
	if err != nil {
		return fmt.Errorf("store checkpoint %d: %w", c.version+1, err)
	}
	c.version++
	if old := c.version - keptCheckpoints; old > 0 {
		if err := c.store.Delete(ctx, checkpointKey(old)); err != nil {
			return fmt.Errorf("remove checkpoint %d: %w", old, err)
		}
	}
	return nil
}

func encodeCheckpoint(s *saved) ([]byte, error) {
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(s); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body.Bytes())
	return slices.Concat([]byte(checkpointFormat), []byte(hex.EncodeToString(sum[:])+"\n"), body.Bytes()), nil
}

func decodeCheckpoint(data []byte) (*saved, error) {
	rest, ours := bytes.CutPrefix(data, []byte(checkpointFormat))
	if !ours {
		return nil, errors.New("it is not a checkpoint of this format")
	}
	written, body, _ := bytes.Cut(rest, []byte("\n"))
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != string(written) {
		return nil, errors.New("it is torn or damaged: its checksum does not match")
	}
	s := &saved{}
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(s); err != nil {
		return nil, err
	}
	return s, nil
}

// store makes the labels table and then the trainer's state durable, in this
// order, so that the table is never behind the checkpoint.
func (t *trainer) store(ctx context.Context) error {
	if err := t.commit(ctx); err != nil {
		return err
	}
	s := &saved{}
	for p, next := range t.positions {
		s.Positions = append(s.Positions, savedPosition{p.Topic, p.Number, next})
	}
	slices.SortFunc(s.Positions, func(a, b savedPosition) int {
		if a.Topic != b.Topic {
			if a.Topic < b.Topic {
				return -1
			}
			return 1
		}
		return int(a.Number - b.Number)
	})
	for _, l := range t.stage.Learners() {
		state, err := l.State()
		if err != nil {
			return fmt.Errorf("checkpoint of space %s: %w", l.Space(), err)
		}
		s.Spaces = append(s.Spaces, state)
	}
	s.Turn = t.stage.Turn()
	for _, m := range t.promoted {
		var file bytes.Buffer
		if err := m.Write(&file); err != nil {
			return fmt.Errorf("checkpoint of model %s: %w", m.Name(), err)
		}
		s.Promoted = append(s.Promoted, file.Bytes())
	}
	return t.log.add(ctx, s)
}

func (t *trainer) restore(s *saved) error {
	for _, p := range s.Positions {
		t.positions[schemas.Partition{Topic: p.Topic, Number: p.Number}] = p.Next
	}
	for _, state := range s.Spaces {
		l, err := learner.Restore(t.learnerConfig(state.Space), state)
		if err != nil {
			return fmt.Errorf("checkpoint %d: %w", t.log.version, err)
		}
		if err := t.stage.Adopt(l); err != nil {
			return err
		}
	}
	for _, file := range s.Promoted {
		m, err := encoders.ReadModel(bytes.NewReader(file))
		if err != nil {
			return fmt.Errorf("checkpoint %d: %w", t.log.version, err)
		}
		t.promoted = append(t.promoted, m)
	}
	return t.stage.SetTurn(s.Turn)
}
