package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sys/unix"

	"archflow/internal/kafka"
	"archflow/pipeline"
	"archflow/sinks"
)

// Finding is the result of one check of Examine.
type Finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn or fail
	Found  string `json:"found"`
	Cure   string `json:"cure,omitempty"`
}

// The statuses of a finding.
const (
	FindingOK   = "ok"
	FindingWarn = "warn" // works, but not as it could
	FindingFail = "fail" // does not work
)

const (
	lowDisk = 2 << 30   // bytes that are free: warn below
	noDisk  = 200 << 20 // fail below
)

// examination collects findings.
type examination struct {
	config *pipeline.Config
	found  func(Finding)
}

func (e *examination) ok(check, format string, a ...any) {
	e.found(Finding{check, FindingOK, fmt.Sprintf(format, a...), ""})
}

func (e *examination) warn(check, cure, format string, a ...any) {
	e.found(Finding{check, FindingWarn, fmt.Sprintf(format, a...), cure})
}

func (e *examination) fail(check, cure, format string, a ...any) {
	e.found(Finding{check, FindingFail, fmt.Sprintf(format, a...), cure})
}

// Examine checks everything that a run with this configuration needs and calls found
// with each finding. It changes nothing: no topic, folder or broker is made, and the
// object that proves conditional creation is removed again. Named brokers get a
// transactional id of its own, without a transaction.
func Examine(ctx context.Context, c *pipeline.Config, found func(Finding)) {
	e := &examination{config: c, found: found}
	e.disk("data", c.Data)
	written := e.bucket(ctx, "table", c.TablePlace())
	if written != nil {
		defer written.Close()
		e.tables(ctx, written)
	}
	e.models(ctx)
	if client := e.broker(ctx); client != nil {
		topics := kafka.TopicsOf(c.TopicPrefix)
		if have := e.topics(ctx, client, topics); have != nil {
			e.clock(ctx, client, topics, have)
			if written != nil {
				e.rows(ctx, client, topics, have, written)
			}
		}
		if len(c.Brokers) > 0 {
			e.groups(ctx, client)
			e.transactions(ctx, client)
		}
	}
}

// disk looks at the room and the rights of a folder, or of where it would be
// made.
func (e *examination) disk(check, folder string) {
	there := folder
	for {
		_, err := os.Stat(there)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(there) == there {
			e.fail(check, "name another folder, or give this user the right to it", "%v", err)
			return
		}
		there = filepath.Dir(there)
	}
	if err := unix.Access(there, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		e.fail(check, "give this user the right to it, or name another folder", "%s cannot be written: %v", there, err)
		return
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(there, &disk); err != nil {
		e.warn(check, "look at the disk by hand", "room on the disk of %s is not known: %v", there, err)
		return
	}
	free := int64(disk.Bavail) * int64(disk.Bsize) //nolint:unconvert // the types differ between systems
	text := fmt.Sprintf("%s: %.1f GB free", folder, float64(free)/1e9)
	if there != folder {
		text += ", the folder is made by the first run"
	}
	switch {
	case free < noDisk:
		e.fail(check, "make room, or move the folder", "%s", text)
	case free < lowDisk:
		e.warn(check, "make room soon", "%s", text)
	default:
		e.ok(check, "%s, writable", text)
	}
}

// bucket opens a location if it is there; nil when it is not or cannot be.
func (e *examination) bucket(ctx context.Context, check, location string) sinks.Bucket {
	folder, local := strings.CutPrefix(location, "file://")
	if local || !strings.Contains(location, "://") {
		if location != filepath.Join(e.config.Data, filepath.Base(location)) {
			e.disk(check, folder)
		}
		// Opening makes the folder and one in it, so look first.
		if _, err := os.Stat(filepath.Join(folder, ".tmp")); errors.Is(err, fs.ErrNotExist) {
			e.warn(check, "nothing to do before the first run", "nothing was written to %s yet", folder)
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	b, err := sinks.OpenThere(ctx, location)
	if err == nil {
		for _, listErr := range b.List(ctx, "", "") {
			err = listErr
			break
		}
	}
	if err != nil {
		e.fail(check, "look at the URL, the credentials and the network", "%s cannot be read: %v", location, err)
		return nil
	}
	switch err := sinks.ProveCreate(ctx, b); {
	case errors.Is(err, sinks.ErrUnconditional):
		e.fail(check, "without it two processes overwrite each other's commits", "%v", err)
	case err != nil:
		e.fail(check, "give this user the right to create, read, list and delete objects there", "%s cannot be written: %v", location, err)
	}
	return b
}

// tables reads the log and the newest file of the predictions table.
func (e *examination) tables(ctx context.Context, b sinks.Bucket) {
	const check = "table"
	files, err := sinks.TableFiles(ctx, b, "predictions")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.warn(check, "nothing to do before the first run", "%s has no table predictions yet", b.URL())
		return
	case err != nil:
		e.fail(check, "move the table away and run again from the topics, or restore it from a back-up", "the log cannot be read: %v", err)
		return
	case len(files) == 0:
		e.ok(check, "%s is readable, without rows", b.URL())
		return
	}
	name := files[len(files)-1]
	data, err := b.Read(ctx, "predictions/"+name)
	var rows int64
	if err == nil {
		err = sinks.ReadParquet(data, func(file *parquet.File) error {
			rows = file.NumRows()
			return nil
		})
	}
	if err != nil {
		e.fail(check, "restore the file from a back-up, or move the table away and run again from the topics", "%s cannot be read: %v", name, err)
		return
	}
	e.ok(check, "%s: %d files of predictions, the last with %d rows is readable", b.URL(), len(files), rows)
}

// models loads the registry's models and the newest checkpoint.
func (e *examination) models(ctx context.Context) {
	const check = "models"
	b := e.bucket(ctx, "store", e.config.StorePlace())
	if b == nil {
		return
	}
	defer b.Close()
	r, err := pipeline.OpenRegistry(ctx, b)
	if err != nil {
		e.fail(check, "restore the store from a back-up, or move it away to train anew", "%v", err)
		return
	}
	m := r.Manifest()
	damage := r.Damage()
	if m.Version == 0 && damage == "" {
		e.warn(check, "publish labels: "+strconv.Itoa(e.config.FirstLabels)+" of a task make the first", "%s has no model yet", b.URL())
	} else {
		var names []string
		for _, space := range slices.Sorted(maps.Keys(m.Spaces)) {
			s := m.Spaces[space]
			model := r.Model(s.File)
			switch {
			case s.File == "":
				names = append(names, space+" (waits for labels)")
			case model.Space != space:
				e.fail(check, "restore the store from a back-up", "the model of %s is of space %s", space, model.Space)
				return
			default:
				names = append(names, fmt.Sprintf("%s (%s)", s.Model, strings.Join(s.Tasks, ", ")))
			}
		}
		answers := fmt.Sprintf("version %d loads: %s", m.Version, strings.Join(names, ", "))
		if m.Version == 0 {
			answers = "no version before it loads"
		}
		if damage != "" {
			e.fail(check, "move what is damaged away or restore it from a back-up; until then the trainer's next model takes its place", "%s; %s", damage, answers)
		} else {
			e.ok(check, "%s", answers)
		}
	}
	kept, err := pipeline.KeptIn(ctx, b)
	switch {
	case err != nil:
		e.fail("checkpoint", "move checkpoints and journal away to train anew", "%v", err)
	case kept.Damaged:
		e.warn("checkpoint", "nothing to do: the trainer learns again what the journal has lost", "the journal of the store is damaged after checkpoint %d and %d entries", kept.Checkpoint, kept.Entries)
	case kept.None:
		e.warn("checkpoint", "nothing to do before the first run of a trainer", "there is none yet")
	default:
		e.ok("checkpoint", "%d loads, %d spaces, %d entries of the journal after it", kept.Checkpoint, kept.Spaces, kept.Entries)
	}
}

// rows compares the newest answers of the topic with the rows of the table.
func (e *examination) rows(ctx context.Context, client *kafka.Client, topics kafka.Topics, partitions map[string]int, b sinks.Bucket) {
	const check = "rows"
	c, err := pipeline.Compare(ctx, &pipeline.Connected{Client: client, Topics: topics, Partitions: partitions}, b, e.config.Group)
	if err != nil {
		e.warn(check, "look at the table and at the rights on the topics", "the table cannot be compared with the predictions topic: %v", err)
		return
	}
	if c == nil {
		return
	}
	of := fmt.Sprintf("of the %d newest answers of the topic that the table covers", c.Compared)
	if c.All {
		of = fmt.Sprintf("of the %d answers of the topic that the table covers", c.Compared)
	}
	sound := true
	warn := func(cure, format string, a ...any) {
		sound = false
		e.warn(check, cure, format, a...)
	}
	if c.Missing > 0 {
		warn("archflow maintain --refill gives them back", "%s the table lacks %d", of, c.Missing)
	}
	if c.Differing > 0 {
		warn("another program, or another group, has written them: delete these rows and run archflow maintain --refill", "%s %d have other values in the table", of, c.Differing)
	}
	if c.Unknown > 0 && !c.Compact {
		warn("another program has written them, or the topic lost what it had acknowledged: look at min.insync.replicas", "the table has %d rows that the topic should have and does not", c.Unknown)
	}
	if c.Twice > 0 {
		warn("archflow maintain --rewrite drops them", "%s the table has %d more than once", of, c.Twice)
	}
	if sound {
		e.ok(check, "%s the table has every one, with its values", of)
	}
}
