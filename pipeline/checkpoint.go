package pipeline

import (
	"bytes"
	"cmp"
	"encoding/gob"
	"fmt"
	"slices"

	"archflow/encoders/learner"
	"archflow/schemas"
)

// A checkpoint is one object, checkpoints/N.bin: the state of the trainer after entry N
// of the journal, as checksummed gob of saved. It follows from the journal, so that
// anybody may store it at any time. It only saves replaying every step from the
// beginning.
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

func encodeCheckpoint(s *saved) ([]byte, error) {
	out := newChecksummed(checkpointFormat)
	if err := gob.NewEncoder(out).Encode(s); err != nil {
		return nil, err
	}
	return out.bytes(), nil
}

func decodeCheckpoint(data []byte) (*saved, error) {
	body, err := verifyChecksummed(checkpointFormat, data)
	if err != nil {
		return nil, err
	}
	s := &saved{}
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(s); err != nil {
		return nil, err
	}
	return s, nil
}

// outcome is the result of a task's last fit. It follows from the journal and is part of
// a checkpoint, so that a trainer that was killed before it could publish a decision
// publishes it after its restart.
type outcome struct {
	Space, Task   string
	Decision, Why string
	Learnt        []savedPosition // of labels, when the fit began
	Tau           float64         // NaN where undefined
	Student       bool            // only the student is new
}

func savePositions(at map[schemas.TopicPartition]int64) (list []savedPosition) {
	for p, next := range at {
		list = append(list, savedPosition{p.Topic, p.Number, next})
	}
	slices.SortFunc(list, func(a, b savedPosition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
	})
	return list
}

func loadPositions(list []savedPosition) map[schemas.TopicPartition]int64 {
	at := make(map[schemas.TopicPartition]int64, len(list))
	for _, p := range list {
		at[schemas.TopicPartition{Topic: p.Topic, Number: p.Number}] = p.Next
	}
	return at
}
