package stages

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"archflow/encoders/learner"
	"archflow/schemas"
)

// Train is the trainer's stage: it feeds candidates and labels to the learner
// of their space, in the order in which they come, and gives the time between
// to learning.
type Train struct {
	newLearner func(space string) *learner.Learner
	learners   []*learner.Learner // in the order in which their spaces appeared
	bySpace    map[string]*learner.Learner
	decoder    *schemas.Decoder
	capacity   int // for learners of spaces that users have named
	own        int // of learners, those
	bytes      int // that all of them may keep of candidates and networks
	next       int // learner whose turn it is to work
	warn       func(notice string)
}

// NewTrain returns a stage without data that learns at most spaces spaces that users have
// named, beside those that are built in.
func NewTrain(limits schemas.Limits, spaces int, newLearner func(space string) *learner.Learner) *Train {
	return &Train{newLearner: newLearner, capacity: spaces, bySpace: map[string]*learner.Learner{}, decoder: schemas.NewDecoder(limits), bytes: keptBytes}
}

// Warn makes the stage report members of labels that nothing reads, results that are not
// numbers, and goals that contradict each other.
func (t *Train) Warn(f func(notice string)) *Train {
	t.warn = f
	return t
}

// keptBytes bounds the memory of candidates that labels may name, and of networks to
// learn from, in all spaces, with the copies that learning makes. It is some 130,000
// candidates of NAS-Bench-301, or three times as many smaller ones; ids have up to four
// kilobytes and graphs up to 320. A checkpoint takes three times as much beside it.
const keptBytes = 128 << 20

// Learners returns the learners in the order in which their spaces appeared.
func (t *Train) Learners() []*learner.Learner { return t.learners }

// Adopt takes over the learner of a checkpoint.
func (t *Train) Adopt(l *learner.Learner) error {
	if t.bySpace[l.Space()] != nil {
		return fmt.Errorf("space %q twice", l.Space())
	}
	t.learners = append(t.learners, l)
	t.bySpace[l.Space()] = l
	if !schemas.BuiltIn(l.Space()) {
		t.own++
	}
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

// learner returns the learner of a space, nil when there is no room for one more.
//
// Where all places are taken a new space gets that of the one without labels of
// which the fewest networks have come, the latest of those: names that appear
// once do not keep out spaces that are searched.
func (t *Train) learner(space string) *learner.Learner {
	l := t.bySpace[space]
	if l != nil {
		return l
	}
	switch {
	case schemas.BuiltIn(space):
	case t.own < t.capacity:
		t.own++
	default:
		return t.takePlace(space)
	}
	l = t.newLearner(space)
	t.learners = append(t.learners, l)
	t.bySpace[space] = l
	return l
}

func (t *Train) takePlace(space string) *learner.Learner {
	at := -1
	for i, l := range t.learners {
		if !schemas.BuiltIn(l.Space()) && !l.Labelled() && (at < 0 || l.Networks() <= t.learners[at].Networks()) {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	delete(t.bySpace, t.learners[at].Space())
	l := t.newLearner(space)
	t.learners[at], t.bySpace[space] = l, l
	return l
}

// Candidates learns that the candidates of b exist. Their rejections are the
// workers' to record.
func (t *Train) Candidates(b *schemas.Batch) {
	c := schemas.ViewCandidates(b.Rows)
	for i, space := range c.Space {
		if l := t.learner(c.NameOf(i, space)); l != nil {
			l.Observe(&c, i)
			t.shed()
		}
	}
}

// shed has the largest learner drop its least useful data, until all of it is within the
// limit. The choice follows from the input, in its order.
func (t *Train) shed() {
	for {
		total, largest := 0, t.learners[0]
		for _, l := range t.learners {
			total += l.Size()
			if l.Size() > largest.Size() {
				largest = l
			}
		}
		if total <= t.bytes || !largest.Shed() {
			return
		}
	}
}

// LabelRow is a label as it came, beside the prediction made before its use.
type LabelRow struct {
	learner.Outcome
	Partition schemas.TopicPartition
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
			b.Rejects = append(b.Rejects, Reject(b, &in, i, refused))
			continue
		}
		outcome := learner.Outcome{Label: label}
		if in.Offset[i] >= known && !label.Missing {
			l := t.learner(label.Space)
			if l == nil {
				b.Rejects = append(b.Rejects, Reject(b, &in, i, t.spaceLimit(label.Space)))
				continue
			}
			outcome = l.Label(label)
			if outcome.Turned && t.warn != nil {
				t.warn(turned(&label))
			}
		}
		rows = append(rows, LabelRow{
			Outcome:   outcome,
			Partition: b.TopicPartition,
			Offset:    in.Offset[i],
			Time:      in.Time[i],
			Trace:     in.Header(i, "traceparent"),
		})
	}
	if t.warn != nil {
		for _, notice := range t.decoder.Notices() {
			t.warn(inTopic(b.Topic, notice))
		}
	}
	return rows
}

// turned tells of a label whose goal is the opposite of that of the labels before it.
func turned(x *schemas.Label) string {
	return fmt.Sprintf("labels of task %.80q of space %.80q have both goals, max and min: the last one counts, and turns all of them round; send one goal", x.Task, x.Space)
}

func (t *Train) spaceLimit(space string) *schemas.Rejection {
	return &schemas.Rejection{Class: schemas.ClassTooManyNames, Reason: fmt.Sprintf(
		`field "space": %q is one space too many; %d others have labels already, which is what --spaces allows; raise it, or give the labels another space`, space, t.capacity)}
}

// Mode is how to work.
type Mode struct {
	Eager  bool // any new label calls for a fit, and not only the growth of labels
	Finish bool // begin nothing, so that every learner comes to be quiet
	GiveUp bool // drop the work that is due, because it panics
}

// WorkPanic is a panic of a piece of work as an error. The learner's state after it is
// not defined.
type WorkPanic struct {
	Space string
	Tasks map[string]int // its tasks and how many labels each has
	Value any            // that it panicked with
	Stack []byte
}

// Error names the place.
func (e *WorkPanic) Error() string {
	var tasks []string
	for _, name := range slices.Sorted(maps.Keys(e.Tasks)) {
		tasks = append(tasks, fmt.Sprintf("%s (%d labels)", name, e.Tasks[name]))
	}
	return fmt.Sprintf("training space %s, tasks %s: a fault of archflow: %v", e.Space, strings.Join(tasks, ", "), e.Value)
}

// work does a piece of work of a learner.
func (m Mode) work(ctx context.Context, l *learner.Learner) (p learner.Progress, err error) {
	if m.GiveUp {
		return l.GiveUp(m.Eager, m.Finish), nil
	}
	defer func() {
		if value := recover(); value != nil {
			err = &WorkPanic{Space: l.Space(), Tasks: l.About(), Value: value, Stack: debug.Stack()}
		}
	}()
	if m.Finish {
		return l.Finish(ctx)
	}
	return l.Work(ctx, m.Eager)
}

// Due says that a learner has work.
func (t *Train) Due(mode Mode) bool {
	for _, l := range t.learners {
		if mode.due(l) {
			return true
		}
	}
	return false
}

func (m Mode) due(l *learner.Learner) bool {
	if m.Finish && l.Quiet() {
		return false
	}
	return l.Due(m.Eager)
}

// Yields says that a learner is at work that it gives up for labels.
func (t *Train) Yields() bool {
	return slices.ContainsFunc(t.learners, (*learner.Learner).Yields)
}

// Unprepared returns a learner whose next fit would have to look at its networks first,
// nil without one. Of spaces without labels only a single one counts, because preparation
// takes memory.
func (t *Train) Unprepared() *learner.Learner {
	for _, l := range t.learners {
		if (l.Labelled() || len(t.learners) == 1) && l.Unprepared() {
			return l
		}
	}
	return nil
}

// Quiet says that every learner is.
func (t *Train) Quiet() bool {
	for _, l := range t.learners {
		if !l.Quiet() {
			return false
		}
	}
	return true
}

// Work does one piece of the work that is due, each space in turn, those first whose
// labels wait. It reports false when nothing is due. After an error nothing has changed
// and the turn is the same.
func (t *Train) Work(ctx context.Context, mode Mode) (*learner.Learner, learner.Progress, bool, error) {
	for _, labelled := range []bool{true, false} {
		for i := range t.learners {
			turn := (t.next + i) % len(t.learners)
			l := t.learners[turn]
			if !mode.due(l) || labelled && !l.Fits(mode.Eager) {
				continue
			}
			progress, err := mode.work(ctx, l)
			if err != nil {
				return l, progress, true, fmt.Errorf("train space %s: %w", l.Space(), err)
			}
			t.next = (turn + 1) % len(t.learners)
			return l, progress, true, nil
		}
	}
	return nil, learner.Progress{}, false, nil
}
