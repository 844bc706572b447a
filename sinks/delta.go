package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"time"
)

// deltaLog is the log of one Delta table: the only place that says which files
// belong to it. A commit is a file with the next number, created only if there
// is none, so that of two writers one wins and the other looks again.
type deltaLog struct {
	bucket Bucket
	table  string   // the table's folder in the bucket
	ours   metaData // of the table as we write it
	state  *deltaSnapshot
	now    func() time.Time

	checkpointed int64                  // version of the last checkpoint known
	due          bool                   // a checkpoint, and ours to write
	claims       map[string]int64       // on upkeep: the version of ours
	conflict     func(operation string) // called when another writer was faster
	notice       func(text string)      // called with a fault of another program
	poor         []string               // files without full statistics
	thorough     bool                   // every folder is merged as if it were quiet
	apart        map[string]bool        // files that were found to go with no other of their folder
}

// errSchema says that the table is no longer one that we can write.
var errSchema = fmt.Errorf("%w: its schema was changed by another program", ErrRefused)

const logFolder = "_delta_log/"

func commitKey(version int64) string { return fmt.Sprintf(logFolder+"%020d.json", version) }

func (l *deltaLog) key(name string) string { return l.table + "/" + name }

// wrap names the table in an error.
func (l *deltaLog) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("table %s/%s: %w", l.bucket.URL(), l.table, err)
}

// openDelta opens the table in a folder of the bucket with the given metadata.
// It creates the table when there is none, and adds the fields that one of an
// earlier version lacks.
func openDelta(ctx context.Context, bucket Bucket, table string, meta metaData, now func() time.Time) (*deltaLog, error) {
	l := &deltaLog{bucket: bucket, table: table, now: now, ours: meta, claims: map[string]int64{}, apart: map[string]bool{}, conflict: func(string) {}, notice: func(string) {}}
	for {
		if err := l.load(ctx); err != nil {
			return nil, l.wrap(err)
		}
		first, err := l.missing()
		if err != nil {
			return nil, l.wrap(err)
		}
		if len(first) == 0 {
			l.poor, err = l.poorlyStated()
			return l, l.wrap(err)
		}
		body, err := encodeActions(first)
		if err != nil {
			return nil, l.wrap(err)
		}
		// Whether it was us or another process, it is there afterwards.
		if err := bucket.Create(ctx, l.key(commitKey(l.state.version+1)), body); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, l.wrap(err)
		}
	}
}

// missing returns the commit that the table needs before we can write to it,
// nothing when it needs none.
func (l *deltaLog) missing() ([]deltaAction, error) {
	if l.state.version < 0 {
		return []deltaAction{
			{CommitInfo: l.info("CREATE TABLE", nil)},
			{Protocol: &deltaProtocol{MinReaderVersion: 1, MinWriterVersion: 2}},
			{MetaData: &l.ours},
		}, nil
	}
	if err := l.state.check(); err != nil {
		return nil, err
	}
	wider, err := evolved(l.state.metaData, l.ours)
	if wider == nil || err != nil {
		return nil, err
	}
	return []deltaAction{{CommitInfo: l.info("ADD COLUMNS", nil)}, {MetaData: wider}}, nil
}

var logName = regexp.MustCompile(`/(\d{20})\.(json|checkpoint\.parquet|checkpoint\.\d{10}\.(\d{10})\.parquet)$`)

// load reads the state from the newest checkpoint and the commits after it.
func (l *deltaLog) load(ctx context.Context) error {
	hint, after := struct{ Version int64 }{}, ""
	body, err := l.bucket.Read(ctx, l.key(logFolder+"_last_checkpoint"))
	switch {
	case err == nil && json.Unmarshal(body, &hint) == nil:
		after = fmt.Sprintf("%020d", hint.Version)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	commits, checkpoints, err := l.list(ctx, after)
	if err == nil && after != "" && len(checkpoints) == 0 {
		commits, checkpoints, err = l.list(ctx, "") // the hint was wrong
	}
	if err != nil {
		return err
	}
	state := newSnapshot()
	l.checkpointed = -1
	for version, parts := range checkpoints {
		if version > l.checkpointed && len(parts) > 0 {
			l.checkpointed = version
		}
	}
	for _, part := range checkpoints[l.checkpointed] {
		body, err := l.bucket.Read(ctx, part)
		if err != nil {
			return err
		}
		actions, err := decodeCheckpoint(body)
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		state.apply(l.checkpointed, actions)
	}
	l.state = state
	for _, version := range commits {
		if version <= state.version {
			continue
		}
		if version != state.version+1 {
			return fmt.Errorf("commit %d is missing from its log, which has %d; restore it or name another place", state.version+1, version)
		}
		actions, err := l.read(ctx, version)
		if err != nil {
			return err
		}
		state.apply(version, actions)
	}
	return nil
}

// list returns the versions of the commits in order and the keys of complete
// checkpoints, from the given version's name on.
func (l *deltaLog) list(ctx context.Context, after string) (commits []int64, checkpoints map[int64][]string, err error) {
	checkpoints = map[int64][]string{}
	if after != "" {
		after = l.key(logFolder + after)
	}
	for o, err := range l.bucket.List(ctx, l.key(logFolder), after) {
		if err != nil {
			return nil, nil, err
		}
		m := logName.FindStringSubmatch(o.Key)
		if m == nil || o.Size == 0 && m[2] != "json" {
			continue
		}
		version, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", o.Key, err)
		}
		if m[2] == "json" {
			commits = append(commits, version)
			continue
		}
		checkpoints[version] = append(checkpoints[version], o.Key)
		if of, _ := strconv.Atoi(m[3]); m[3] != "" && len(checkpoints[version]) > of {
			return nil, nil, fmt.Errorf("%s: more parts than it says", o.Key)
		}
	}
	for version, parts := range checkpoints {
		m := logName.FindStringSubmatch(parts[0])
		if of, _ := strconv.Atoi(m[3]); m[3] != "" && len(parts) < of {
			delete(checkpoints, version) // still being written, or its writer died
		}
	}
	return commits, checkpoints, nil
}

func (l *deltaLog) read(ctx context.Context, version int64) ([]deltaAction, error) {
	body, err := l.bucket.Read(ctx, l.key(commitKey(version)))
	if err != nil {
		return nil, err
	}
	actions, err := decodeActions(body)
	if err != nil {
		return nil, fmt.Errorf("commit %d: %w; the log is damaged", version, err)
	}
	return actions, nil
}

// catchUp applies the commits that others have made since; mine says that one of them
// carries the given id, so that it was ours after all. Others may change the metadata as
// long as our columns stay: a later version adds fields so.
func (l *deltaLog) catchUp(ctx context.Context, id string) (mine bool, err error) {
	for {
		version := l.state.version + 1
		actions, err := l.read(ctx, version)
		if errors.Is(err, fs.ErrNotExist) {
			return mine, nil
		}
		if err != nil {
			return mine, err
		}
		changed, again := false, 0
		for _, a := range actions {
			if a.MetaData != nil && !l.has(*a.MetaData) {
				return mine, fmt.Errorf("commit %d: %w; start again to go on with it", version, errSchema)
			}
			if a.Remove != nil && l.state.files[filePath(a.Remove.Path)] == nil {
				again++
			}
			changed = changed || a.MetaData != nil || a.Protocol != nil
			mine = mine || a.CommitInfo != nil && id != "" && a.CommitInfo.TxnID == id
		}
		if again > 0 {
			l.notice(fmt.Sprintf("commit %d of another program removes %d files that are not part of the table any more: rows are there twice; stop its compaction while another runs, and run archflow maintain --rewrite", version, again))
		}
		l.state.apply(version, actions)
		if changed {
			if err := l.state.check(); err != nil {
				return mine, fmt.Errorf("commit %d: %w", version, err)
			}
		}
	}
}

// has says that a table of that metadata has all that we write.
func (l *deltaLog) has(m metaData) bool {
	lacks, err := evolved(m, l.ours)
	return lacks == nil && err == nil
}

// commit appends the actions that build returns for the state it is given. When another
// writer was faster it applies that commit and calls build again, so that build alone
// decides about conflicts. Nothing is committed when build returns nothing.
func (l *deltaLog) commit(ctx context.Context, operation string, build func(*deltaSnapshot) ([]deltaAction, error)) error {
	for {
		actions, err := build(l.state)
		if err != nil || len(actions) == 0 {
			return err
		}
		info := l.info(operation, actions)
		actions = append([]deltaAction{{CommitInfo: info}}, actions...)
		body, err := encodeActions(actions)
		if err != nil {
			return err
		}
		if err := l.present(ctx); err != nil {
			return err
		}
		version := l.state.version + 1
		err = l.bucket.Create(ctx, l.key(commitKey(version)), body)
		mine := err == nil
		switch {
		case mine:
			l.state.apply(l.state.version+1, actions)
		case !errors.Is(err, fs.ErrExist):
			return err
		default:
			if mine, err = l.catchUp(ctx, info.TxnID); err != nil {
				return err
			}
		}
		if mine {
			l.committed(version, actions)
			return nil
		}
		l.conflict("commit")
	}
}

// committed updates the state after a commit of ours.
func (l *deltaLog) committed(version int64, actions []deltaAction) {
	l.due = l.due || version%l.state.metaData.checkpointEach() == 0
	for _, a := range actions {
		if a.Txn != nil && (a.Txn.AppID == claimCompaction || a.Txn.AppID == claimVacuum) {
			l.claims[a.Txn.AppID] = a.Txn.Version
		}
	}
}

// present fails when the version we are at has gone: the table was removed, or its log
// was cleaned up to a checkpoint while this process slept. The next number would then be
// free and yet long taken.
func (l *deltaLog) present(ctx context.Context) error {
	version := l.state.version
	_, err := l.bucket.Stat(ctx, l.key(commitKey(version)))
	if errors.Is(err, fs.ErrNotExist) && l.checkpointed == version {
		// Others tidy more than we do and leave the checkpoint alone.
		_, checkpoints, e := l.list(ctx, fmt.Sprintf("%020d", version))
		if e != nil || len(checkpoints[version]) > 0 {
			return e
		}
	}
	if err != nil {
		return fmt.Errorf("version %d, the last one known, cannot be seen any more; start again to go on with what is there: %w", version, err)
	}
	return nil
}
