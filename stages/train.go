package stages

import (
	"context"
	"fmt"

	"archflow/encoders/learner"
	"archflow/schemas"
)

// Train is the trainer's stage: it feeds candidates and labels to the learner
// of their space, in the order in which they come, and gives the time between
// to learning.
type Train struct {
	newLearner func(space string) *learner.Learner
	learners   []*learner.Learner // in the order in which their spaces appeared
	bySpace    map[schemas.Symbol]*learner.Learner
	decoder    *schemas.Decoder
	next       int // learner whose turn it is to work
}

// NewTrain returns a stage that has seen nothing.
func NewTrain(limits schemas.Limits, newLearner func(space string) *learner.Learner) *Train {
	return &Train{newLearner: newLearner, bySpace: map[schemas.Symbol]*learner.Learner{}, decoder: schemas.NewDecoder(limits)}
}

// Learners returns the learners in the order in which their spaces appeared.
func (t *Train) Learners() []*learner.Learner { return t.learners }

// Adopt takes over the learner of a checkpoint.
func (t *Train) Adopt(l *learner.Learner) error {
	space, err := schemas.Intern(l.Space())
	if err != nil {
		return err
	}
	t.learners = append(t.learners, l)
	t.bySpace[space] = l
	return nil
}

// Turn returns which of the learners works next.
func (t *Train) Turn() int { return t.next }

// SetTurn goes on where Turn was.
func (t *Train) SetTurn(next int) error {
	if next < 0 || next > 0 && next >= len(t.learners) {
		return fmt.Errorf("turn %d of %d spaces", next, len(t.learners))
	}
	t.next = next
	return nil
}

func (t *Train) learner(space schemas.Symbol) *learner.Learner {
	l := t.bySpace[space]
	if l == nil {
		l = t.newLearner(schemas.Name(space))
		t.learners = append(t.learners, l)
		t.bySpace[space] = l
	}
	return l
}

// Candidates learns that the candidates of b exist. Their rejections are the
// workers' to record.
func (t *Train) Candidates(b *schemas.Batch) {
	c := schemas.ViewCandidates(b.Rows)
	for i, space := range c.Space {
		t.learner(space).Observe(&c, i)
	}
}

// LabelRow is a label as it came, beside the prediction made before its use.
type LabelRow struct {
	learner.Outcome
	Partition schemas.Partition
	Offset    int64
	Time      int64 // milliseconds since 1970
	Trace     []byte
}

// Labels takes in the labels of b, which holds Messages; b keeps its rows and
// gains the rejections. The learners already have the labels below known.
func (t *Train) Labels(b *schemas.Batch, known int64) []LabelRow {
	in := schemas.ViewMessages(b.Rows)
	rows := make([]LabelRow, 0, in.Len())
	for i := range in.Len() {
		label, refused := t.decoder.Label(in.Value.At(i))
		if refused != nil {
			b.Rejects = append(b.Rejects, reject(b, &in, i, refused))
			continue
		}
		space, err := schemas.Intern(label.Space)
		if err != nil {
			b.Rejects = append(b.Rejects, reject(b, &in, i, &schemas.Rejection{Class: schemas.ClassTooLarge, Reason: err.Error()}))
			continue
		}
		outcome := learner.Outcome{Label: label}
		if in.Offset[i] >= known && (label.Valued() || label.Withdrawn) {
			outcome = t.learner(space).Label(label)
		}
		rows = append(rows, LabelRow{
			Outcome:   outcome,
			Partition: b.Partition,
			Offset:    in.Offset[i],
			Time:      in.Time[i],
			Trace:     in.Header(i, "traceparent"),
		})
	}
	return rows
}

// Work does one piece of what is due: a fit if labels call for one, otherwise a
// step of pre-training, each space in turn. It reports false when nothing is
// due. After an error nothing has changed and the turn is the same.
func (t *Train) Work(ctx context.Context) (*learner.Learner, learner.Progress, bool, error) {
	for i := range t.learners {
		turn := (t.next + i) % len(t.learners)
		l := t.learners[turn]
		if !l.Due() {
			continue
		}
		progress, err := l.Work(ctx)
		if err != nil {
			return l, progress, true, fmt.Errorf("train space %s: %w", l.Space(), err)
		}
		t.next = (turn + 1) % len(t.learners)
		return l, progress, true, nil
	}
	return nil, learner.Progress{}, false, nil
}
