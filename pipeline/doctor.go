package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	kafkago "github.com/segmentio/kafka-go"
	"golang.org/x/sys/unix"

	"archflow/internal/kafka"
	"archflow/internal/kafka/embedded"
	"archflow/schemas"
	"archflow/sinks"
)

// Finding is what one check of Examine found.
type Finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn or fail
	Found  string `json:"found"`
	Cure   string `json:"cure,omitempty"`
}

// What a finding may say.
const (
	FindingOK   = "ok"
	FindingWarn = "warn" // works, but not as it could
	FindingFail = "fail" // does not work
)

const (
	lowDisk   = 2 << 30   // bytes that are free: warn below
	noDisk    = 200 << 20 // fail below
	clockSkew = 2 * time.Second
	shortLife = 24 * time.Hour // a retention below this is worth a word
)

// examination collects findings.
type examination struct {
	config *Config
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

// Examine looks at everything that a run with this configuration needs and
// tells found what it finds. It changes nothing: no topic, folder or broker is
// made, and the object that proves conditional creation is removed again.
func Examine(ctx context.Context, c *Config, found func(Finding)) {
	e := &examination{config: c, found: found}
	e.disk("data", c.Data)
	e.tables(ctx)
	e.models(ctx)
	if client := e.broker(ctx); client != nil {
		topics := kafka.TopicsOf(c.TopicPrefix)
		if have := e.topics(ctx, client, topics); have != nil {
			e.clock(ctx, client, topics, have)
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
	b, err := sinks.OpenBucket(ctx, location)
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
func (e *examination) tables(ctx context.Context) {
	const check = "table"
	b := e.bucket(ctx, check, e.config.Table)
	if b == nil {
		return
	}
	defer b.Close()
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
		err = withFile(data, func(file *parquet.File) error {
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

// models loads what the registry serves and the newest checkpoint.
func (e *examination) models(ctx context.Context) {
	const check = "models"
	b := e.bucket(ctx, "store", e.config.Store)
	if b == nil {
		return
	}
	defer b.Close()
	r, err := OpenRegistry(ctx, b)
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
		for _, space := range sortedKeys(m.Spaces) {
			s := m.Spaces[space]
			model := r.files[s.File]
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
	past, err := (&journal{store: b}).open(ctx, slog.New(slog.DiscardHandler))
	switch {
	case err != nil:
		e.fail("checkpoint", "move checkpoints and journal away to train anew", "%v", err)
	case past.broken:
		e.warn("checkpoint", "nothing to do: the trainer learns again what the journal has lost", "the journal of the store is damaged after checkpoint %d and %d entries", past.version, len(past.entries))
	case past.state == nil:
		e.warn("checkpoint", "nothing to do before the first run of a trainer", "there is none yet")
	default:
		e.ok("checkpoint", "%d loads, %d spaces, %d entries of the journal after it", past.version, len(past.state.Spaces), len(past.entries))
	}
}

// needed are the requests that exactly-once delivery uses, by their number.
var needed = map[int]string{0: "Produce", 1: "Fetch", 11: "JoinGroup", 22: "InitProducerId", 24: "AddPartitionsToTxn", 25: "AddOffsetsToTxn", 26: "EndTxn", 28: "TxnOffsetCommit"}

// broker reaches every broker that is named; nil when none answers.
func (e *examination) broker(ctx context.Context) *kafka.Client {
	const check = "broker"
	c, inside := connection(e.config), ""
	if len(c.Brokers) == 0 {
		address, err := embedded.Address(e.config.Data)
		if err == nil {
			c.Brokers = []string{address}
			err = c.Probe(ctx, address)
		}
		if err != nil {
			e.warn(check, "start archflow run, or name brokers with --brokers", "no broker is named, and no process runs the embedded one of %s", e.config.Data)
			return nil
		}
		inside = ", the broker inside the archflow of " + e.config.Data + ", which any Kafka client can use,"
	}
	client, err := c.Client()
	if err != nil {
		e.fail(check, "correct the settings of TLS and SASL", "%v", err)
		return nil
	}
	reached := 0
	for _, address := range c.Brokers {
		began := time.Now()
		var refused *kafka.ConnectError
		if err := c.Probe(ctx, address); errors.As(err, &refused) {
			e.fail(check, "correct --brokers, or start the broker; a run needs one that answers", "%v", err)
			continue
		}
		reached++
		e.ok(check, "%s%s answers in %v", address, inside, time.Since(began).Round(100*time.Microsecond))
	}
	if reached == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	can, err := client.ApiVersions(ctx, &kafkago.ApiVersionsRequest{Addr: client.Addr})
	if err == nil {
		err = can.Error
	}
	if err != nil {
		e.fail("versions", "is it Kafka 2.5 or newer?", "the broker does not say what it can do: %v", err)
		return client
	}
	newest := map[int]int{}
	for _, k := range can.ApiKeys {
		newest[k.ApiKey] = k.MaxVersion
	}
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(needed)) {
		if _, ok := newest[key]; !ok {
			missing = append(missing, needed[key])
		}
	}
	if len(missing) > 0 {
		e.fail("versions", "use Apache Kafka 2.5 or newer, or --delivery low-latency where only transactions are missing", "the broker cannot %s", strings.Join(missing, ", "))
	} else {
		e.ok("versions", "Produce to v%d, Fetch to v%d, transactions", newest[0], newest[1])
	}
	return client
}

// topics looks at the settings of each topic and returns their partitions; nil
// when the broker does not say.
func (e *examination) topics(ctx context.Context, client *kafka.Client, topics kafka.Topics) map[string]int {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	have, err := kafka.PartitionCounts(ctx, client, topics.All())
	if err != nil {
		e.fail("topics", "grant DESCRIBE on the topics to this user", "%v", err)
		return nil
	}
	for _, topic := range topics.All() {
		check := "topic " + topic
		if have[topic] == 0 {
			e.warn(check, "the first run makes it, where the broker allows that", "it is not there")
			continue
		}
		if topic == topics.Models && have[topic] != 1 {
			e.fail(check, "make it anew with one partition: the order of models counts", "it has %d partitions", have[topic])
			continue
		}
		settings, err := topicSettings(ctx, client, topic)
		if err != nil {
			e.warn(check, "grant DESCRIBE_CONFIGS to this user to have them checked", "%d partitions; its settings are not known: %v", have[topic], err)
			continue
		}
		e.settings(check, topic, topics, have[topic], settings)
	}
	return have
}

func topicSettings(ctx context.Context, client *kafka.Client, topic string) (map[string]string, error) {
	answer, err := client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Addr: client.Addr, Resources: []kafkago.DescribeConfigRequestResource{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic,
		ConfigNames: []string{"cleanup.policy", "retention.ms", "max.message.bytes"},
	}}})
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, r := range answer.Resources {
		if r.Error != nil {
			return nil, r.Error
		}
		for _, entry := range r.ConfigEntries {
			settings[entry.ConfigName] = entry.ConfigValue
		}
	}
	return settings, nil
}

// settings judges those of one topic.
func (e *examination) settings(check, topic string, topics kafka.Topics, partitions int, settings map[string]string) {
	policy := settings["cleanup.policy"]
	compacted := strings.Contains(policy, "compact")
	keeps := "for ever"
	ms, err := strconv.ParseInt(settings["retention.ms"], 10, 64)
	retention := time.Duration(ms) * time.Millisecond
	if err == nil && ms >= 0 {
		keeps = "for " + retention.String()
		if retention < shortLife && topic != topics.Models {
			e.warn(check, fmt.Sprintf("raise it: kafka-configs.sh --alter --topic %s --add-config retention.ms=604800000", topic), "it keeps messages %s only: a process that is away for longer misses them", keeps)
			return
		}
	}
	switch {
	case topic == topics.Models && !compacted:
		e.warn(check, "kafka-configs.sh --alter --topic "+topic+" --add-config cleanup.policy=compact", "it is not compacted: it grows with every model")
	case topic != topics.Models && compacted:
		e.fail(check, "kafka-configs.sh --alter --topic "+topic+" --add-config cleanup.policy=delete", "it is compacted: messages of one key replace each other")
	case topic == topics.Models:
		e.ok(check, "partitions: %d; compacted", partitions)
	default:
		e.ok(check, "partitions: %d; keeps messages %s, of %s bytes at the most", partitions, keeps, settings["max.message.bytes"])
	}
}

// clock compares ours with the timestamps of the newest messages.
func (e *examination) clock(ctx context.Context, client *kafka.Client, topics kafka.Topics, have map[string]int) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var newest int64
	for _, topic := range []string{topics.Architectures, topics.Labels} {
		for number := range have[topic] {
			p := schemas.Partition{Topic: topic, Number: int32(number)}
			start, end, err := kafka.Ends(ctx, client, p)
			if err != nil || end == start {
				continue
			}
			m, _, _, err := kafka.OpenPartition(client, p, end-1, kafka.Limits{Wait: time.Second}).Fetch(ctx)
			if err == nil && m.Len() > 0 {
				newest = max(newest, m.Time[m.Len()-1])
			}
		}
	}
	if newest == 0 {
		e.ok("clock", "no message yet to compare with")
		return
	}
	switch ahead := time.Until(time.UnixMilli(newest)); {
	case ahead > clockSkew:
		e.fail("clock", "set the clocks of this machine, the broker and the publishers by NTP", "the newest message is %v in the future: lag and latency would be wrong", ahead.Round(time.Millisecond))
	default:
		e.ok("clock", "the newest message is %v old, none lies in the future", (-ahead).Round(time.Millisecond))
	}
}
