package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"archflow/internal/kafka/kafkatest"
)

// The end-to-end tests use the binary as a user does: as processes, through
// its commands, topics and tables. Every wait is bounded by patience.
var patience = 60 * time.Second

// benchmark ships with the repository: 4,500 architectures with the task
// "accuracy".
const (
	benchmark     = "micro/micro.jsonl.gz"
	benchmarkRows = 4500
)

func TestMain(m *testing.M) { kafkatest.Main(m) }

var binary struct {
	once sync.Once
	path string
	err  error
}

// archflow builds the binary once and returns its path.
func archflow(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "archflow-e2e-")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "archflow")
		if out, err := exec.Command("go", "build", "-o", binary.path, ".").CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("%w: %s", err, out)
		}
		kafkatest.AtEnd(func() { _ = os.RemoveAll(dir) })
	})
	if binary.err != nil {
		t.Fatal("build: ", binary.err)
	}
	return binary.path
}

// installation is one set of topics, tables and store, and how to reach it.
type installation struct {
	t       *testing.T
	data    string
	prefix  string
	address string // of Apache Kafka; "" for the embedded broker
	env     []string
	quiet   bool   // the caller keeps the output of the processes
	program string // "" for the binary as it ships
}

// install returns an installation that trains little. address is that of a
// broker, "" for the embedded one.
func install(t *testing.T, address string) *installation {
	t.Helper()
	in := &installation{t: t, data: t.TempDir(), address: address}
	in.prefix = strings.NewReplacer("/", ".", " ", "_").Replace(t.Name()) + "."
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "ARCHFLOW_") && !strings.HasPrefix(setting, "OTEL_") {
			in.env = append(in.env, setting)
		}
	}
	in.set("DATA", in.data)
	in.set("TOPIC_PREFIX", in.prefix)
	in.set("GROUP", in.prefix+"group")
	in.set("HTTP", "off")
	in.set("WIDTH", "16")
	in.set("LAYERS", "2")
	in.set("EPOCHS", "1")
	in.set("BUFFER", "256")
	in.set("TABLE_INTERVAL", "500ms")
	if address != "" {
		in.set("BROKERS", address)
	}
	return in
}

// set puts a key of the configuration into the environment.
func (in *installation) set(key, value string) { in.env = append(in.env, "ARCHFLOW_"+key+"="+value) }

func (in *installation) topic(short string) string { return in.prefix + short }

func (in *installation) table(name string) string { return filepath.Join(in.data, "tables", name) }

// onEach runs a test on the embedded broker and on Apache Kafka.
func onEach(t *testing.T, test func(t *testing.T, in *installation)) {
	t.Run("embedded", func(t *testing.T) { test(t, install(t, "")) })
	t.Run("kafka", func(t *testing.T) { test(t, install(t, kafkatest.Real(t))) })
}

// process is a running archflow.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err text
	done     chan struct{}
	status   int
}

// text collects the output of a process while the test reads it.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *text) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *text) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// start starts archflow with arguments; it is killed when the test ends.
func (in *installation) start(args ...string) *process {
	in.t.Helper()
	program := in.program
	if program == "" {
		program = archflow(in.t)
	}
	p := &process{t: in.t, cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = in.env, &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			p.status = exit.ExitCode()
		} else if err != nil {
			p.status = -2
		}
	}()
	in.t.Cleanup(func() {
		p.kill()
		if in.t.Failed() && !in.quiet {
			in.t.Logf("archflow %s, status %d:\n%s", strings.Join(args, " "), p.status, lastLines(p.err.String(), 25))
		}
	})
	return p
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal("signal: ", err)
	}
}

// wait returns the exit status; the test fails when there is none in time.
func (p *process) wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.status
	case <-time.After(within):
		p.t.Fatalf("archflow %s has not ended after %s", strings.Join(p.cmd.Args[1:], " "), within)
		return -1
	}
}

// ok runs archflow to its end, which must be one with status 0, and returns
// what it printed.
func (in *installation) ok(args ...string) string {
	in.t.Helper()
	p := in.start(args...)
	if status := p.wait(patience); status != 0 {
		in.t.Fatalf("archflow %s: status %d\n%s", strings.Join(args, " "), status, p.err.String())
	}
	return p.out.String()
}

// until polls a condition.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after %s: %s", patience, what)
		}
	}
}

// says waits until the process has written a text to standard error.
func (p *process) says(what string) {
	p.t.Helper()
	until(p.t, "the process says "+what, func() bool {
		select {
		case <-p.done:
			if !strings.Contains(p.err.String(), what) {
				p.t.Fatalf("ended with status %d and did not say %q:\n%s", p.status, what, p.err.String())
			}
		default:
		}
		return strings.Contains(p.err.String(), what)
	})
}

// place is a message's identity.
type place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// answer is the prediction of one candidate in the topic or the table.
type answer struct {
	Architecture string
	Model        string
	Values       map[string][6]float64 // task -> score, value, low, high, percentile, top
}

// readAnswers reads the predictions topic with archflow read; the test fails
// when a candidate was answered twice.
func (in *installation) readAnswers() map[place]answer {
	in.t.Helper()
	all := map[place]answer{}
	for _, line := range strings.Split(strings.TrimSpace(in.ok("read", "predictions", "--json", "--from", "start", "--exit-at-end")), "\n") {
		if line == "" {
			continue
		}
		var m struct {
			Architecture string
			Model        *string
			Source       place
			Tasks        map[string]*struct{ Score, Value, Low, High, Percentile, Top *float64 }
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			in.t.Fatalf("%v: %s", err, line)
		}
		if _, twice := all[m.Source]; twice {
			in.t.Errorf("%v is answered twice in the topic", m.Source)
		}
		a := answer{Architecture: m.Architecture, Values: map[string][6]float64{}}
		if m.Model != nil {
			a.Model = *m.Model
		}
		for task, v := range m.Tasks {
			if v != nil && v.Score != nil {
				a.Values[task] = [6]float64{*v.Score, *v.Value, *v.Low, *v.High, *v.Percentile, *v.Top}
			}
		}
		all[m.Source] = a
	}
	return all
}

// tableAnswers reads the predictions table with the named readers, which are
// other people's; the test fails when they differ or a row is there twice. ok
// is false where they are not installed and CI is not set.
func (in *installation) tableAnswers(readers ...string) (all map[place]answer, ok bool) {
	in.t.Helper()
	var seen map[string][]struct {
		place
		answer
	}
	if !in.python(&seen, append([]string{"answers.py", in.table("predictions")}, readers...)...) {
		return nil, false
	}
	for _, reader := range readers {
		read := map[place]answer{}
		for _, row := range seen[reader] {
			if _, twice := read[row.place]; twice {
				in.t.Errorf("%v is in the table twice, says %s", row.place, reader)
			}
			read[row.place] = row.answer
		}
		if all == nil {
			all = read
		}
		sameAnswers(in.t, reader, read, readers[0], all)
	}
	return all, true
}

// python runs a script of testdata with the readers that .ci/python.sh gets,
// and decodes the JSON that it prints. Without them it reports false, or fails
// where CI=true.
func (in *installation) python(to any, args ...string) bool {
	in.t.Helper()
	interpreter, err := filepath.Abs("../../.tools/venv/bin/python")
	if err != nil {
		in.t.Fatal(err)
	}
	if _, err := os.Stat(interpreter); err != nil {
		if os.Getenv("CI") == "true" {
			in.t.Fatal("the table readers are missing; sh .ci/python.sh gets them")
		}
		in.t.Log("left out: the table is not read; sh .ci/python.sh gets the readers, given Python 3")
		return false
	}
	args[0] = filepath.Join("testdata", args[0])
	out, err := exec.Command(interpreter, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = exit.Stderr
		}
		in.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	if err := json.Unmarshal(out, to); err != nil {
		in.t.Fatalf("%v: %v: %.300s", args, err, out)
	}
	return true
}

// sameAnswers compares two places that must hold the same, to the bit.
func sameAnswers(t *testing.T, nameA string, a map[place]answer, nameB string, b map[place]answer) {
	t.Helper()
	missing, differ := 0, 0
	for at, x := range a {
		y, found := b[at]
		if !found {
			missing++
			continue
		}
		same := x.Architecture == y.Architecture && x.Model == y.Model && len(x.Values) == len(y.Values)
		for task, v := range x.Values {
			same = same && v == y.Values[task]
		}
		if !same {
			if differ++; differ == 1 {
				t.Errorf("%v: %s has %+v, %s has %+v", at, nameA, x, nameB, y)
			}
		}
	}
	extra := len(b) - (len(a) - missing)
	if missing > 0 || differ > 0 || extra > 0 {
		t.Errorf("%s against %s: %d of %d missing, %d more, %d differ", nameA, nameB, missing, len(a), extra, differ)
	}
}

// everyCandidate checks that the candidates' topic holds want messages, if want
// is positive, and that each was answered once in the topic and in the table,
// with the same values.
func (in *installation) everyCandidate(want int, readers ...string) map[place]answer {
	in.t.Helper()
	answers := in.readAnswers()
	published := in.published()
	if want > 0 && len(published) != want {
		in.t.Errorf("%d candidates in the topic, want %d", len(published), want)
	}
	lost := 0
	for at := range published {
		if _, ok := answers[at]; !ok {
			lost++
		}
	}
	if lost > 0 || len(answers) != len(published) {
		in.t.Errorf("%d candidates, %d answers, %d lost", len(published), len(answers), lost)
	}
	if table, ok := in.tableAnswers(readers...); ok {
		sameAnswers(in.t, "topic", answers, "table", table)
	}
	return answers
}

// published lists the messages of the candidates' topic, as archflow read numbers them.
func (in *installation) published() map[place]string {
	in.t.Helper()
	all := map[place]string{}
	for _, line := range strings.Split(strings.TrimSpace(in.ok("read", "architectures", "--from", "start", "--exit-at-end")), "\n") {
		at := place{Topic: in.topic("architectures")}
		if n, err := fmt.Sscanf(line, "%d/%d", &at.Partition, &at.Offset); n != 2 {
			in.t.Fatalf("%v: %q", err, line)
		}
		_, value, _ := strings.Cut(line, "{")
		all[at] = "{" + value
	}
	return all
}

// embedded waits for the embedded broker of the data folder and its topics and
// returns its address.
func (in *installation) embedded() (address string) {
	in.t.Helper()
	until(in.t, "the embedded broker has its topics", func() bool {
		text, err := os.ReadFile(filepath.Join(in.data, "broker", "address"))
		address, _, _ = strings.Cut(string(text), " ")
		return err == nil && in.reaches(address)
	})
	return address
}

// reaches says whether the broker answers and has the candidates' topic.
func (in *installation) reaches(address string) bool {
	ctx, cancel := context.WithTimeout(in.t.Context(), time.Second)
	defer cancel()
	known, err := client(address).Metadata(ctx, &kafka.MetadataRequest{Topics: []string{in.topic("architectures")}})
	return err == nil && len(known.Topics) == 1 && known.Topics[0].Error == nil
}

func client(address string) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(strings.Split(address, ",")...), Transport: &kafka.Transport{MetadataTTL: time.Second, IdleTimeout: time.Second}}
}

// position returns how many candidates the group has answered for good, 0 when
// the broker cannot be asked. The topic has four partitions.
func (in *installation) position(address string) (total int64) {
	ctx, cancel := context.WithTimeout(in.t.Context(), time.Second)
	defer cancel()
	topic := in.topic("architectures")
	offsets, err := client(address).OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: in.prefix + "group", Topics: map[string][]int{topic: {0, 1, 2, 3}}})
	if err != nil || offsets.Error != nil {
		return 0
	}
	for _, p := range offsets.Topics[topic] {
		total += max(p.CommittedOffset, 0)
	}
	return total
}

// answersOf waits until the group has committed that many answers.
func (in *installation) answersOf(address string, candidates int64) {
	in.t.Helper()
	until(in.t, fmt.Sprintf("%d candidates are answered", candidates), func() bool { return in.position(address) >= candidates })
}
