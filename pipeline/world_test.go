package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parquet-go/parquet-go"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/twmb/franz-go/pkg/kfake"

	"archflow/internal/kafka"
	"archflow/ops"
	"archflow/pipeline/decisions"
	"archflow/schemas"
	"archflow/sinks"
	"archflow/sinks/sinktest"
	"archflow/stages"
)

// inBubble runs a test in a bubble of testing/synctest, where waiting costs no time. It
// does so in a process of its own: libraries keep objects with the bubble's channels in
// them, for whoever comes next.
func inBubble(t *testing.T, test func(t *testing.T)) {
	const inside = "ARCHFLOW_TEST_BUBBLE"
	if os.Getenv(inside) == t.Name() {
		synctest.Test(t, test)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatal("the test inside the bubble: ", err)
	}
}

// world outlives a process: a broker and a disk that loses unsynced writes.
type world struct {
	t       *testing.T
	wires   *wires
	cluster *kfake.Cluster
	client  *kafka.Client
	disk    *sinktest.Disk
	config  *Config
	report  *ops.Telemetry
	topics  kafka.Topics
	labels  int    // partitions of the labels' topic
	keep    string // objects of the store under this prefix are never removed
	close   func()
}

func newWorld(t *testing.T, config *Config) *world { return newWorldOf(t, config, 1) }

// newWorldOf returns a world whose labels' topic has the given number of partitions.
func newWorldOf(t *testing.T, config *Config, labels int) *world {
	w := &world{t: t, labels: labels, wires: newWires(), config: config, disk: sinktest.NewDisk(t), topics: kafka.TopicsOf(config.TopicPrefix)}
	var err error
	w.cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(func(string, string) (net.Listener, error) { return w.wires, nil }),
		kfake.SeedTopics(2, w.topics.Architectures, w.topics.Predictions, w.topics.DeadLetters), kfake.SeedTopics(1, w.topics.Models), kfake.SeedTopics(int32(w.labels), w.topics.Labels))
	if err != nil {
		t.Fatal(err)
	}
	transport := w.transport()
	w.client = &kafka.Client{Addr: address, Transport: transport, Timeout: 10 * time.Second}
	if w.report, err = ops.Start(t.Context(), ops.Options{}); err != nil {
		t.Fatal(err)
	}
	w.close = func() {
		transport.CloseIdleConnections()
		w.cluster.Close()
		w.disk.Close()
		if err := w.report.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	return w
}

var address = kafkago.TCP("127.0.0.1:9092")

func (w *world) transport() *kafkago.Transport {
	return &kafkago.Transport{Dial: w.wires.dial, MetadataTTL: time.Second, ClientID: "test"}
}

// publish writes messages to a partition in one batch.
func (w *world) publish(topic string, partition int, values ...string) {
	w.t.Helper()
	var records []kafkago.Record
	for _, v := range values {
		records = append(records, kafkago.Record{Value: kafkago.NewBytes([]byte(v)), Time: time.Now()})
	}
	r, err := w.client.Produce(w.t.Context(), &kafkago.ProduceRequest{Topic: topic, Partition: partition, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(records...)})
	if err == nil {
		err = r.Error
	}
	if err != nil {
		w.t.Fatal("publish: ", err)
	}
}

// committed reads a partition as a read_committed consumer does.
func (w *world) committed(topic string, partition int32) (m schemas.Messages) {
	w.t.Helper()
	reader := kafka.OpenPartition(w.client, schemas.TopicPartition{Topic: topic, Number: partition}, 0, kafka.Limits{})
	m.HeaderStart = []int32{0}
	for {
		more, next, end, err := reader.Fetch(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		for i := range more.Len() {
			m.AppendFrom(&more.Envelope, i)
			m.Value.Append(more.Value.At(i))
		}
		if next >= end {
			return m
		}
	}
}

// rows reads a table of a bucket; none when there is no table.
func rows[R any](t *testing.T, bucket sinks.Bucket, table string) (all []R) {
	t.Helper()
	files, err := sinks.TableFiles(t.Context(), bucket, table)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := bucket.Read(t.Context(), table+"/"+file)
		if err != nil {
			t.Fatal(err)
		}
		read, err := parquet.Read[R](bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, read...)
	}
	return all
}

// bucket opens a folder of the disk.
func (w *world) bucket(name string) sinks.Bucket {
	w.t.Helper()
	b, err := sinks.OpenFolder(filepath.Join(w.disk.Path(), name), w.disk.Sync)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// errCrash is the error of every operation after a crash.
var errCrash = errors.New("the machine has crashed")

// crash is where a life ends: when it comes to a point for the n-th time, from 0,
// and at the latest after a while, if that is given.
type crash struct {
	point  string
	n      int
	within time.Duration
	others func() // ends the rest of the machine that crashes
}

// life is one life of a process. From its crash on nothing that it does reaches
// the world.
type life struct {
	crash
	mu      sync.Mutex
	dead    bool
	end     context.CancelFunc
	visited []string // points, in the order of their first visit
	count   map[string]int
}

// at is a point: the process comes by, and may end here.
func (l *life) at(point string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return errCrash
	}
	if l.count[point] == 0 {
		l.visited = append(l.visited, point)
	}
	l.count[point]++
	if point == l.point && l.count[point] == l.n+1 {
		l.dead = true
		l.end()
		return errCrash
	}
	return nil
}

func (l *life) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	l.end()
}

func (l *life) crashed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// around lets the process do something between two points.
func (l *life) around(what string, do func() error) error {
	if err := l.at("before " + what); err != nil {
		return err
	}
	err := do()
	if crash := l.at("after " + what); crash != nil {
		return crash
	}
	return err
}

// crashing is a bucket of a life.
type crashing struct {
	sinks.Bucket
	*life
	keep string
}

// kind is the kind of a key's object: the first folder, and whether it is a log.
func kind(key string) string {
	folder, _, _ := strings.Cut(key, "/")
	switch {
	case strings.Contains(key, "_delta_log"):
		return "log of " + folder
	case strings.HasSuffix(key, ".parquet"):
		return "file of " + folder
	}
	return folder
}

func (c crashing) Create(ctx context.Context, key string, data []byte) error {
	return c.around("create "+kind(key), func() error { return c.Bucket.Create(ctx, key, data) })
}

func (c crashing) Write(ctx context.Context, key string, data []byte) error {
	return c.around("write "+kind(key), func() error { return c.Bucket.Write(ctx, key, data) })
}

func (c crashing) Delete(ctx context.Context, key string) error {
	return c.around("delete "+kind(key), func() error {
		if c.keep != "" && strings.HasPrefix(key, c.keep) {
			return nil
		}
		return c.Bucket.Delete(ctx, key)
	})
}

func (c crashing) Read(ctx context.Context, key string) ([]byte, error) {
	if c.crashed() {
		return nil, errCrash
	}
	return c.Bucket.Read(ctx, key)
}

// tripper is a transport of a life.
type tripper struct {
	kafkago.RoundTripper
	*life
}

func (r tripper) RoundTrip(ctx context.Context, to net.Addr, request kafkago.Request) (response kafkago.Response, err error) {
	switch request.(type) {
	case *metadata.Request, *describeconfigs.Request:
		if r.crashed() {
			return nil, errCrash
		}
		return r.RoundTripper.RoundTrip(ctx, to, request)
	}
	name := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", request), "*"), ".Request")
	err = r.around(name, func() (err error) {
		response, err = r.RoundTripper.RoundTrip(ctx, to, request)
		return err
	})
	return response, err
}

// live runs a session of a process until it ends, stop ends, or its point comes, and
// returns its error. After a crash the disk has the synced writes.
func (w *world) live(stop context.Context, c crash, session func(p *Process, stop context.Context) error) (*life, error) {
	w.t.Helper()
	stop, cancel := context.WithCancel(stop)
	defer cancel()
	l := &life{crash: c, end: cancel, count: map[string]int{}}
	if c.within > 0 {
		defer time.AfterFunc(c.within, l.die).Stop()
	}
	transport := w.transport()
	defer transport.CloseIdleConnections()
	tables, store := w.bucket("tables"), w.bucket("store")
	p := w.process(&kafka.Client{Addr: address, Transport: tripper{transport, l}, Timeout: 10 * time.Second},
		crashing{Bucket: tables, life: l}, crashing{store, l, w.keep})
	var err error
	if p.registry, err = OpenRegistry(stop, p.store); err == nil {
		err = session(p, stop)
	}
	if e := errors.Join(tables.Close(), store.Close()); e != nil {
		w.t.Error(e)
	}
	if l.crashed() {
		if l.others != nil {
			l.others()
		}
		synctest.Wait() // the broker has what was sent, or it would fence the next process
		w.disk.Crash()
		return l, nil
	}
	return l, err
}

// process returns one that has everything but a registry.
func (w *world) process(client *kafka.Client, tables, store sinks.Bucket) *Process {
	p := &Process{
		config: w.config, report: w.report, dashboard: newDashboard(w.config, "test"), backlog: newBacklog(), lag: newLag(w.report.Metrics), flows: stages.NewFlows(w.config.Seed),
		Connected: &Connected{Client: client, Topics: w.topics, Partitions: map[string]int{w.topics.Architectures: 2, w.topics.Labels: 1}},
		tables:    tables, store: store, history: decisions.NewHistory(), suspects: map[string]*suspects{"g": newSuspects(), "g-trainer": newSuspects()},
	}
	p.counts.candidates.Store(2)
	p.counts.labels.Store(int64(w.labels))
	return p
}

// ends notes where the topics end, so that a session stops there.
func (w *world) ends() map[schemas.TopicPartition]int64 {
	w.t.Helper()
	p := w.process(w.client, nil, nil)
	if err := p.markEnds(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return p.ends
}

// wires is a network of pipes.
type wires struct {
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newWires() *wires { return &wires{queue: make(chan net.Conn), closed: make(chan struct{})} }

// Accept is part of net.Listener, as the next two are.
func (w *wires) Accept() (net.Conn, error) {
	select {
	case c := <-w.queue:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wires) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *wires) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9092} }

func (w *wires) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case w.queue <- theirs:
		return ours, nil
	case <-w.closed:
		return nil, os.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
