package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
	"archflow/sinks"
)

// faulty is a run against a cluster of three brokers in the process, whose
// leaders and coordinators move and whose network fails as a test wants.
type faulty struct {
	t       *testing.T
	cluster *kfake.Cluster
	config  *Config
	fed     int
	client  *kgo.Client
	wiring  *wiring

	stop  context.CancelFunc
	ended chan error
	ready func() string // the text of /readyz
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	f := &faulty{t: t, wiring: &wiring{}}
	var err error
	f.cluster, err = kfake.NewCluster(kfake.NumBrokers(3), kfake.GroupMinSessionTimeout(time.Second), kfake.ListenFn(f.wiring.listen))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.cluster.Close)
	f.config = settings(t)
	f.config.Brokers, f.config.HTTP, f.config.Role, f.config.Session = f.cluster.ListenAddrs(), "off", RoleWorker, 3*time.Second
	f.client, err = kgo.NewClient(kgo.SeedBrokers(f.config.Brokers...), kgo.DisableIdempotentWrite(), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.MetadataMaxAge(time.Second), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.client.Close)
	return f
}

// run starts the pipeline; it ends with the test.
func (f *faulty) run() {
	f.t.Helper()
	p, err := Open(f.t.Context(), f.config, telemetry(f.t), "test")
	if err != nil {
		f.t.Fatal(err)
	}
	f.ready = func() string { return p.health.Readiness().Text() }
	var ctx context.Context
	ctx, f.stop = context.WithCancel(context.Background())
	f.ended = make(chan error, 1)
	go func() {
		err := p.Run(ctx)
		f.ended <- errors.Join(err, p.Close())
	}()
	f.t.Cleanup(f.end)
}

// end stops the pipeline, which must go well.
func (f *faulty) end() {
	if f.stop == nil {
		return
	}
	f.stop()
	f.stop = nil
	if err := <-f.ended; err != nil {
		f.t.Error("the run ended with: ", err)
	}
}

func (f *faulty) topic(short string) string { return f.config.TopicPrefix + short }

// feed publishes candidates.
func (f *faulty) feed(n int) {
	f.t.Helper()
	var records []*kgo.Record
	for range n {
		records = append(records, &kgo.Record{Topic: f.topic("architectures"), Value: []byte(chain(f.fed % 128))})
		f.fed++
	}
	if err := f.client.ProduceSync(f.t.Context(), records...).FirstErr(); err != nil {
		f.t.Fatal(err)
	}
}

// complete waits until the table has come to the end of every partition, and
// then finds each candidate answered once.
func (f *faulty) complete(lost int) {
	f.t.Helper()
	bucket, err := sinks.OpenBucket(f.t.Context(), f.config.TablePlace())
	if err != nil {
		f.t.Fatal(err)
	}
	defer bucket.Close()
	architectures := f.topic("architectures")
	var of []schemas.TopicPartition
	for n := range kafkatest.Ends(f.t, f.config.Brokers[0], architectures) {
		of = append(of, schemas.TopicPartition{Topic: architectures, Number: n})
	}
	await(f.t, func() string {
		select {
		case err := <-f.ended:
			f.stop = nil
			f.t.Fatal("the run ended by itself: ", err)
		default:
		}
		table, err := sinks.NewPredictionsTable(f.t.Context(), bucket, sinks.PredictionsTableConfig{TableConfig: sinks.TableConfig{Group: f.config.Group}})
		if err != nil {
			return err.Error()
		}
		defer table.Close()
		at, err := table.Positions(f.t.Context(), of)
		if err != nil {
			return err.Error()
		}
		sum := int64(0)
		for _, next := range at {
			sum += next
		}
		if sum < int64(f.fed) {
			return fmt.Sprintf("the table stands at %d of %d", sum, f.fed)
		}
		return ""
	})
	seen := map[schemas.Source]bool{}
	for _, r := range kafkatest.Read(f.t, f.config.Brokers[0], f.topic("predictions")) {
		var p schemas.Prediction
		if err := json.Unmarshal(r.Value, &p); err != nil {
			f.t.Fatal(err)
		}
		if seen[p.Source] {
			f.t.Errorf("%v is answered twice", p.Source)
		}
		seen[p.Source] = true
	}
	if len(seen) != f.fed-lost {
		f.t.Errorf("%d candidates answered of %d", len(seen), f.fed-lost)
	}
}

// wiring are the connections that a cluster has accepted.
type wiring struct {
	mu    sync.Mutex
	conns []*wire
}

// wire is a connection that can become half-open: incoming bytes vanish, and neither
// side learns that it is over.
type wire struct {
	net.Conn
	dead chan struct{}
	once sync.Once
}

func (w *wiring) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return listener{l, w}, err
}

// die makes the connections of now half-open; new ones are good.
func (w *wiring) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.once.Do(func() { close(c.dead) })
	}
}

type listener struct {
	net.Listener
	wiring *wiring
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	one := &wire{Conn: c, dead: make(chan struct{})}
	l.wiring.mu.Lock()
	l.wiring.conns = append(l.wiring.conns, one)
	l.wiring.mu.Unlock()
	return one, nil
}

// Read returns the bytes that came before the wire died.
func (c *wire) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.dead:
		for err == nil { // discard the other side's bytes
			_, err = c.Conn.Read(b)
		}
		return 0, err
	default:
		return n, err
	}
}

// Write pretends.
func (c *wire) Write(b []byte) (int, error) {
	select {
	case <-c.dead:
		return len(b), nil
	default:
		return c.Conn.Write(b)
	}
}

// TestBrokerFaults: after each fault everything is answered once, in the topic
// and in the table, without a restart.
func TestBrokerFaults(t *testing.T) {
	for _, fault := range []struct {
		name string
		do   func(f *faulty)
	}{
		{"leader moved", func(f *faulty) {
			for n := range int32(4) {
				for _, topic := range []string{"architectures", "predictions", "dead-letters"} {
					leader := f.cluster.LeaderFor(f.topic(topic), n)
					if err := f.cluster.MoveTopicPartition(f.topic(topic), n, (leader+1)%3); err != nil {
						f.t.Fatal(err)
					}
				}
			}
		}},
		{"coordinator moved", func(f *faulty) { f.cluster.RehashCoordinators() }},
		{"slow", func(f *faulty) {
			until := time.Now().Add(3 * time.Second)
			f.cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
				if time.Now().Before(until) {
					f.cluster.KeepControl()
				}
				f.cluster.SleepControl(func() { time.Sleep(150 * time.Millisecond) })
				return nil, nil, false
			})
		}},
		{"half-open", func(f *faulty) { f.wiring.die(); f.client.Close(); f.reconnect() }},
		{"topic grown", func(f *faulty) {
			request := kmsg.NewPtrCreatePartitionsRequest()
			request.TimeoutMillis = 5000
			of := kmsg.NewCreatePartitionsRequestTopic()
			of.Topic, of.Count = f.topic("architectures"), 7
			request.Topics = append(request.Topics, of)
			if r, err := request.RequestWith(f.t.Context(), f.client); err != nil || r.Topics[0].ErrorCode != 0 {
				f.t.Fatal(err, r)
			}
			time.Sleep(1100 * time.Millisecond) // the publisher's metadata
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			f.run()
			f.feed(200)
			f.complete(0)
			f.feed(100)
			fault.do(f)
			f.feed(300)
			f.complete(0)
			f.end()
		})
	}
}

func (f *faulty) reconnect() {
	f.t.Helper()
	var err error
	f.client, err = kgo.NewClient(kgo.SeedBrokers(f.config.Brokers...), kgo.DisableIdempotentWrite(), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(f.client.Close)
}

// refusal waits for the pipeline to end by itself and returns its error.
func (f *faulty) refusal() string {
	f.t.Helper()
	select {
	case err := <-f.ended:
		f.stop = nil
		if err == nil {
			f.t.Fatal("the run ended as if all were well")
		}
		return err.Error()
	case <-time.After(60 * time.Second):
		f.t.Fatal("the run goes on")
		return ""
	}
}

// TestRetentionDeletedUnread: messages that retention deleted before they were read are never
// skipped in silence. The run is refused with the choice; the choice works, and leaves
// one dead letter for each gap.
func TestRetentionDeletedUnread(t *testing.T) {
	f := newFaulty(t)
	f.run()
	f.feed(40)
	f.complete(0)
	f.end()
	f.feed(400) // 100 in each partition, from 10 on
	for n := range int32(4) {
		if err := f.cluster.DeleteRecords(f.topic("architectures"), n, 50); err != nil {
			t.Fatal(err)
		}
	}
	f.run()
	said := f.refusal()
	if !strings.Contains(said, "our position is 10") || !strings.Contains(said, "40 messages are lost") || !strings.Contains(said, "--skip-lost") {
		t.Errorf("it says: %s", said)
	}
	f.config.SkipLost = true
	f.run()
	f.complete(160)
	f.end()
	deadLetters := kafkatest.Read(t, f.config.Brokers[0], f.topic("dead-letters"))
	for _, l := range deadLetters {
		for _, h := range l.Headers {
			if h.Key == "archflow-error-class" && string(h.Value) != schemas.ClassLost || h.Key == "archflow-offset" && string(h.Value) != "10" {
				t.Errorf("a dead letter with %s %s", h.Key, h.Value)
			}
		}
	}
	if len(deadLetters) != 4 {
		t.Errorf("%d dead letters, want one for each gap", len(deadLetters))
	}
}

// TestTopicDeleted: a topic that is deleted and made again is not the one that
// the positions are of; the run says so and does not begin anew by itself.
func TestTopicDeleted(t *testing.T) {
	f := newFaulty(t)
	f.run()
	f.feed(400)
	f.complete(0)
	if err := f.cluster.DeleteTopic(f.topic("architectures")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	if err := f.cluster.CreateTopic(f.topic("architectures"), 4, nil); err != nil {
		t.Fatal(err)
	}
	// It sees either that the topic ends before its position, or the other id.
	if said := f.refusal(); !strings.Contains(said, "deleted and made again") {
		t.Errorf("it says: %s", said)
	}
}

// TestTopicReplacedAndGrown: a topic that was deleted, made again and has grown
// past our position looks like the one before, but for its id. Neither a process
// that runs nor one that starts goes on with it.
func TestTopicReplacedAndGrown(t *testing.T) {
	replace := func(f *faulty) {
		t.Helper()
		f.feed(400)
		f.complete(0)
		if err := f.cluster.DeleteTopic(f.topic("architectures")); err != nil {
			t.Fatal(err)
		}
		if err := f.cluster.CreateTopic(f.topic("architectures"), 4, nil); err != nil {
			t.Fatal(err)
		}
		f.reconnect()
		f.feed(600)
	}
	check := func(said string) {
		t.Helper()
		if !strings.Contains(said, "it was deleted and made again, or this is another cluster") || !strings.Contains(said, "use another --group") {
			t.Errorf("it says: %s", said)
		}
	}
	t.Run("running", func(t *testing.T) {
		f := newFaulty(t)
		f.run()
		replace(f)
		check(f.refusal())
	})
	t.Run("starting", func(t *testing.T) {
		f := newFaulty(t)
		f.run()
		f.feed(400)
		f.complete(0)
		f.end()
		if err := f.cluster.DeleteTopic(f.topic("architectures")); err != nil {
			t.Fatal(err)
		}
		if err := f.cluster.CreateTopic(f.topic("architectures"), 4, nil); err != nil {
			t.Fatal(err)
		}
		f.reconnect()
		f.feed(600)
		f.run()
		check(f.refusal())
	})
}

// TestClusterThatGathers: a cluster whose brokers are still starting has too few for the
// replicas of a topic; it is waited for.
func TestClusterThatGathers(t *testing.T) {
	f := newFaulty(t)
	refusals := 0
	f.cluster.ControlKey(int16(kmsg.CreateTopics), func(q kmsg.Request) (kmsg.Response, error, bool) {
		if refusals++; refusals > 2 {
			return nil, nil, false
		}
		f.cluster.KeepControl()
		answer := q.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, topic := range q.(*kmsg.CreateTopicsRequest).Topics {
			one := kmsg.NewCreateTopicsResponseTopic()
			one.Topic, one.ErrorCode = topic.Topic, 38
			answer.Topics = append(answer.Topics, one)
		}
		return answer, nil, true
	})
	d, err := Dial(t.Context(), f.config, telemetry(t).Log)
	if err != nil || refusals < 2 {
		t.Fatalf("after %d refusals: %v", refusals, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestWrittenTopicDeleted: a topic that is written to and was deleted is waited for; log and
// /readyz name it and the cure, and once it is there again all goes on.
func TestWrittenTopicDeleted(t *testing.T) {
	for _, short := range []string{"predictions", "dead-letters", "models"} {
		t.Run(short, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			f.config.Role = RoleAll
			f.run()
			f.feed(200)
			f.complete(0)
			before := len(kafkatest.Read(t, f.config.Brokers[0], f.topic("predictions")))
			if err := f.cluster.DeleteTopic(f.topic(short)); err != nil {
				t.Fatal(err)
			}
			kafkatest.Eventually(t, "/readyz names "+short, func() bool {
				ready := f.ready()
				return strings.Contains(ready, f.topic(short)+" gone: make them anew")
			})
			f.refuse(10)
			f.feed(100)
			if err := f.cluster.CreateTopic(f.topic(short), 4, nil); err != nil {
				t.Fatal(err)
			}
			kafkatest.Eventually(t, "all goes on", func() bool {
				answers := len(kafkatest.Read(t, f.config.Brokers[0], f.topic("predictions")))
				letters := len(kafkatest.Read(t, f.config.Brokers[0], f.topic("dead-letters")))
				want := before + 100
				if short == "predictions" {
					want = 100
				}
				return answers == want && letters == 10 && !strings.Contains(f.ready(), "gone")
			})
			f.end()
		})
	}
}

// refuse publishes messages that are no candidates.
func (f *faulty) refuse(n int) {
	f.t.Helper()
	for range n {
		if err := f.client.ProduceSync(f.t.Context(), &kgo.Record{Topic: f.topic("architectures"), Value: []byte("{")}).FirstErr(); err != nil {
			f.t.Fatal(err)
		}
	}
}
