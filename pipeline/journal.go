package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"archflow/schemas"
	"archflow/sinks"
	"archflow/stages"
)

// The journal is the trainer's input in order: the messages that it took and the number
// of pieces of work between them. It is a sequence of objects, journal/NUMBER, each
// created only if absent and without gaps, so that it has one order whoever writes it.
// The trainer's whole state follows from it: checkpoints/N.bin is the state after entry
// N, and that state and the entries after N give the current one.
//
// A trainer begins with an entry of its own. An earlier trainer that is still alive
// finds the number of its next entry taken, and knows that it was replaced.
const (
	journalFolder = "journal/"
	journalFormat = "archflow journal 1\n"

	// journalEvery bounds the input whose order a kill may lose. Steps that were not
	// stored have changed no output.
	journalEvery = time.Second
)

// step is one action of the trainer: it took the messages of a partition up to an
// offset, or it did Work pieces of work. The first step of a partition takes no message
// and gives the offset at which it begins.
type step struct {
	Topic     string `json:"topic,omitempty"`
	Partition int32  `json:"partition,omitempty"`
	Next      int64  `json:"next,omitempty"`
	Skipped   bool   `json:"skipped,omitempty"` // the messages up to Next are lost or were given up
	Work      int64  `json:"work,omitempty"`
	Eager     bool   `json:"eager,omitempty"`  // how the work was done
	Finish    bool   `json:"finish,omitempty"` //
	GiveUp    bool   `json:"give_up,omitempty"`
}

// entry is one object of the journal.
type entry struct {
	Settings string `json:"settings"` // under which the steps were taken
	Steps    []step `json:"steps"`

	number int64
}

// journal is the journal of a store. One goroutine uses it.
type journal struct {
	store    sinks.Bucket
	settings string

	at    int64   // number of the newest entry
	steps []step  // taken since, in no entry yet
	kept  []int64 // checkpoints that the store holds, oldest first
	first int64   // entries below it are gone

}

func journalKey(number int64) string { return fmt.Sprintf("%s%020d", journalFolder, number) }

// past is the stored state of earlier trainers.
type past struct {
	state   *saved  // nil without a checkpoint
	version int64   // of the checkpoint, 0 without
	entries []entry // after it
	broken  bool    // the entries that follow cannot be read
}

// open reads the newest checkpoint that is whole and the entries after it. Damaged
// objects are reported and left where they are: a damaged checkpoint is replaced by the
// one before, and entries are read up to the first damaged one, so that the input after
// it is learnt again in an order of its own. open changes nothing.
func (j *journal) open(ctx context.Context, log *slog.Logger) (*past, error) {
	numbers, err := numbersOf(ctx, j.store, journalFolder, "%d")
	if err != nil {
		return nil, fmt.Errorf("journal of the trainer: %w", err)
	}
	p := &past{}
	if err := j.newestCheckpoint(ctx, log, p, len(numbers) > 0 && numbers[0] == 1); err != nil {
		return nil, err
	}
	j.at, j.first = p.version, 1
	if len(numbers) > 0 {
		j.at, j.first = max(p.version, numbers[len(numbers)-1]), numbers[0]
	}
	refuse := func(number int64, err error) {
		p.broken = true
		log.WarnContext(ctx, "journal of the trainer ends early; what followed is learnt again in an order of its own", "entry", journalKey(number), "error", err)
	}
	for _, number := range numbers {
		if number <= p.version {
			continue
		}
		want := p.version + int64(len(p.entries)) + 1
		if number != want {
			refuse(want, errors.New("it is missing"))
			break
		}
		e, err := j.read(ctx, number)
		if damaged(err) {
			refuse(number, err)
			break
		}
		if err != nil {
			return nil, err
		}
		p.entries = append(p.entries, e)
	}
	return p, nil
}

// errDamaged reports an object that could be read and has the wrong contents.
type errDamaged struct{ error }

func damaged(err error) bool {
	var d errDamaged
	return errors.As(err, &d)
}

func (j *journal) read(ctx context.Context, number int64) (entry, error) {
	data, err := j.store.Read(ctx, journalKey(number))
	if err != nil {
		return entry{}, fmt.Errorf("%s: %w", journalKey(number), err)
	}
	e, err := decodeEntry(data)
	if err != nil {
		return entry{}, errDamaged{err}
	}
	e.number = number
	return e, nil
}

func decodeEntry(data []byte) (e entry, err error) {
	body, err := verifyChecksummed(journalFormat, data)
	if err != nil {
		return entry{}, err
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return entry{}, err
	}
	for _, s := range e.Steps {
		if s.Work < 0 || s.Next < 0 || s.Partition < 0 || (s.Work > 0) == (s.Topic != "") || s.Skipped && s.Work > 0 {
			return entry{}, fmt.Errorf("%+v is no step", s)
		}
	}
	return e, nil
}

// begin appends an entry without steps, after which no earlier trainer can write. It
// adds to p the entries that were written until then.
func (j *journal) begin(ctx context.Context, p *past) error {
	for {
		err := j.create(ctx)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		e, err := j.read(ctx, j.at+1)
		if err != nil {
			return fmt.Errorf("journal of the trainer: %w", err)
		}
		j.at++
		if !p.broken {
			p.entries = append(p.entries, e)
		}
	}
}

// create stores the steps as the next entry.
func (j *journal) create(ctx context.Context) error {
	body, err := json.Marshal(entry{Settings: j.settings, Steps: j.steps})
	if err != nil {
		return err
	}
	if err := j.store.Create(ctx, journalKey(j.at+1), encodeChecksummed(journalFormat, body)); err != nil {
		return fmt.Errorf("journal of the trainer: %w", err)
	}
	j.at++
	j.steps = j.steps[:0]
	return nil
}

// append makes the steps durable. It fails with ErrReplaced when another trainer
// has begun since.
func (j *journal) append(ctx context.Context) error {
	if len(j.steps) == 0 {
		return nil
	}
	err := j.create(ctx)
	if errors.Is(err, fs.ErrExist) {
		return ErrReplaced
	}
	return err
}

// took notes that the messages of b were taken, or skipped.
func (j *journal) took(b *schemas.Batch, known bool) {
	p := b.TopicPartition
	if !known {
		j.steps = append(j.steps, step{Topic: p.Topic, Partition: p.Number, Next: b.First})
	}
	if n := len(j.steps); n > 0 && known {
		last := &j.steps[n-1]
		if last.Topic == p.Topic && last.Partition == p.Number && last.Skipped == b.Skipped {
			last.Next = b.Next
			return
		}
	}
	j.steps = append(j.steps, step{Topic: p.Topic, Partition: p.Number, Next: b.Next, Skipped: b.Skipped})
}

// mode is how the work of a step was done.
func (s *step) mode() stages.Mode {
	return stages.Mode{Eager: s.Eager, Finish: s.Finish, GiveUp: s.GiveUp}
}

// worked notes a piece of work.
func (j *journal) worked(mode stages.Mode) {
	if n := len(j.steps); n > 0 && j.steps[n-1].Work > 0 && j.steps[n-1].mode() == mode {
		j.steps[n-1].Work++
		return
	}
	j.steps = append(j.steps, step{Work: 1, Eager: mode.Eager, Finish: mode.Finish, GiveUp: mode.GiveUp})
}

// numbersOf lists the numbers of a folder's objects in order. name is the format of a
// key after the folder; objects with other names are ignored.
func numbersOf(ctx context.Context, store sinks.Bucket, folder, name string) ([]int64, error) {
	var numbers []int64
	for object, err := range store.List(ctx, folder, "") {
		if err != nil {
			return nil, err
		}
		var number int64
		_, err := fmt.Sscanf(object.Key, folder+name, &number)
		if err == nil && number > 0 && object.Key == folder+fmt.Sprintf(strings.Replace(name, "%d", "%020d", 1), number) {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// forget removes the entries and checkpoints that only checkpoints before the last few
// need.
func (j *journal) forget(ctx context.Context) error {
	if len(j.kept) <= keptCheckpoints {
		return nil
	}
	old := j.kept[:len(j.kept)-keptCheckpoints]
	j.kept = slices.Clone(j.kept[len(old):])
	var keys []string
	for _, version := range old {
		keys = append(keys, checkpointKey(version))
	}
	for ; j.first <= j.kept[0]; j.first++ {
		keys = append(keys, journalKey(j.first))
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, key := range keys {
		group.Go(func() error { return j.store.Delete(ctx, key) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("remove what is older than the last %d checkpoints: %w", keptCheckpoints, err)
	}
	return nil
}

// Kept summarises the objects that a store holds of a trainer.
type Kept struct {
	Checkpoint int64 // its number
	Spaces     int   // in it
	Entries    int   // of the journal after it
	None       bool  // no checkpoint is there
	Damaged    bool  // the journal is, after those entries
}

// KeptIn reads the newest checkpoint that is whole and the journal after it, and
// changes nothing.
func KeptIn(ctx context.Context, store sinks.Bucket) (Kept, error) {
	past, err := (&journal{store: store}).open(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return Kept{}, err
	}
	k := Kept{Checkpoint: past.version, Entries: len(past.entries), None: past.state == nil, Damaged: past.broken}
	if past.state != nil {
		k.Spaces = len(past.state.Spaces)
	}
	return k, nil
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

// checkpoint stores the state after an entry and removes the objects that are too old.
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
