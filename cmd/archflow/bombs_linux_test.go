package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka/kafkatest"
	"archflow/pipeline/decisions"
)

var (
	bombsFlag = flag.Bool("bombs", false, "run TestBombs")
	bombFlag  = flag.String("bomb", "", "only bombs whose name contains this")
)

// TestBombs lets one process answer and train in a control group of 1 GiB while it meets
// batches that unpack to a hundred megabytes, floods of names, nests and graphs at the
// limits, thousands of days, a storm of labels and hundreds of connections. Honest
// candidates between them are all answered, and in the end the oracle compares topics and
// tables. `make bombs` runs it with TestEndToEndBombs.
func TestBombs(t *testing.T) {
	if !*bombsFlag {
		t.Skip("make bombs runs it")
	}
	patience = 10 * time.Minute
	const limit = 1 << 30
	group := newCgroup(t, limit)
	in := install(t, kafkatest.Fake(t))
	page := kafkatest.FreeAddress(t)
	in.set("HTTP", page)
	in.set("TABLE_INTERVAL", "3s")
	for _, usual := range []string{"WIDTH=0", "LAYERS=0", "BUFFER=20000"} {
		in.env = append(in.env, "ARCHFLOW_"+usual)
	}
	in.program = group.program(t, archflow(t))
	b := &bombs{in: in, good: rows(t)}
	b.start()
	defer b.hold(page, 500)()
	whole := time.Now()
	for _, bomb := range []struct {
		name    string
		happens func()
	}{
		{"compressed batches", b.compressed}, {"names", b.names}, {"spaces", b.spaces}, {"depth", b.depth},
		{"dense graphs", b.dense}, {"long graphs", b.long}, {"long ids", b.ids}, {"days", b.days}, {"labels", b.storm},
	} {
		if !strings.Contains(bomb.name, *bombFlag) {
			continue
		}
		began := time.Now()
		bomb.happens()
		b.honest(200)
		b.answered()
		b.learnt()
		killed, peak := group.seen(t)
		t.Logf("%s: %s; resident %d MiB at most, the group with cached files %d", bomb.name, time.Since(began).Round(time.Second), b.peak()>>20, peak>>20)
		if killed > 0 {
			t.Fatalf("%d processes were killed for want of memory", killed)
		}
	}
	b.labelled()
	if answer, err := http.Get("http://" + page + "/livez"); err != nil || answer.Body.Close() != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("the page beside 500 connections: %v", err)
	}
	b.run.signal(os.Interrupt)
	if status := b.run.wait(patience); status != 0 {
		t.Errorf("status %d: %s", status, lastLines(b.run.err.String(), 5))
	}
	t.Logf("limit %d MiB: resident %d MiB at most; %s in all", limit>>20, b.peak()>>20, time.Since(whole).Round(time.Second))
	in.program = ""
	b.compare()
}

// bombs are the published messages.
type bombs struct {
	in     *installation
	good   [][]byte
	run    *process
	acked  [][4]any
	number int
	honor  int          // honest candidates among them
	labels []string     // spaces with labels enough for a model
	peak   func() int64 // most memory that a process of the run has had resident
}

// start begins a process of the run.
func (b *bombs) start() {
	b.run = b.in.start("run")
	own, before := resident(b.run), b.peak
	b.peak = func() int64 {
		if before == nil {
			return own()
		}
		return max(own(), before())
	}
	b.run.says("msg=ready")
}

// publish gives a topic values in its partitions in turn.
func (b *bombs) publish(short string, values [][]byte, change func(i int, r *kgo.Record)) {
	var records []*kgo.Record
	for i, v := range values {
		b.number++
		r := &kgo.Record{Topic: b.in.topic(short), Value: v, Headers: []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, b.number)}}}
		if short == "architectures" {
			r.Partition = int32(i % 4)
		}
		if change != nil {
			change(i, r)
		}
		records = append(records, r)
	}
	for len(records) > 0 {
		some := records[:min(len(records), 5000)]
		produce(b.in.t, b.in.address, some)
		b.acknowledged(some...)
		records = records[len(some):]
	}
}

func (b *bombs) candidates(values ...[]byte) { b.publish("architectures", values, nil) }

// honest publishes rows of the benchmark.
func (b *bombs) honest(n int) {
	var values [][]byte
	for i := range n {
		values = append(values, b.good[(b.honor+i)%len(b.good)])
	}
	b.honor += n
	b.publish("architectures", values, func(_ int, r *kgo.Record) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "honest"})
	})
}

// answered waits until the group has been through all candidates.
func (b *bombs) answered() {
	total := int64(0)
	for _, end := range kafkatest.Stable(b.in.t, b.in.address, b.in.topic("architectures")) {
		total += end
	}
	until(b.in.t, "all candidates are answered", func() bool {
		b.alive()
		return b.in.position(b.in.address) >= total
	})
}

// compressed publishes batches of 4 kB that unpack to 120 MB, two in each partition,
// between honest candidates.
func (b *bombs) compressed() {
	client := kafkatest.Foreign(b.in.t, b.in.address, kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(200<<20), kgo.BrokerMaxWriteBytes(400<<20), kgo.MaxBufferedBytes(1<<30))
	bomb := bytes.Repeat([]byte("a"), 120<<20)
	for i := range 8 {
		b.honest(30)
		b.number++
		r := &kgo.Record{Topic: b.in.topic("architectures"), Partition: int32(i % 4), Value: bomb, Headers: []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, b.number)}}}
		if err := client.ProduceSync(b.in.t.Context(), r).FirstErr(); err != nil {
			b.in.t.Fatal(err)
		}
		b.acknowledged(r)
	}
}

// acknowledged notes the messages that the broker has.
func (b *bombs) acknowledged(records ...*kgo.Record) {
	for _, r := range records {
		b.acked = append(b.acked, [4]any{r.Topic, r.Partition, r.Offset, json.RawMessage(r.Headers[0].Value)})
	}
}

// learnt waits until every space with labels enough has been fitted, which looks at all
// that is kept of it.
func (b *bombs) learnt() {
	until(b.in.t, "labels are learnt from", func() bool {
		b.alive()
		return !slices.ContainsFunc(b.labels, func(space string) bool { return !b.fitted(space) })
	})
}

// fitted reports whether the trainer has decided of a model of a space.
func (b *bombs) fitted(space string) bool {
	for _, r := range kafkatest.Read(b.in.t, b.in.address, b.in.topic("models")) {
		var d decisions.Decision
		if json.Unmarshal(r.Value, &d) == nil && d.Space == space && (d.Decision == decisions.Promoted || d.Decision == decisions.Kept) {
			return true
		}
	}
	return false
}

// alive fails the test when the run has ended.
func (b *bombs) alive() {
	select {
	case <-b.run.done:
		b.in.t.Fatalf("the run ended with status %d: %s", b.run.status, lastLines(b.run.err.String(), 5))
	default:
	}
}

// names publishes 66,000 names of operations, and kills the process when they are
// answered and not yet in the table.
func (b *bombs) names() {
	b.in.set("TABLE_INTERVAL", "10m")
	b.again()
	var values [][]byte
	for i := range 3000 {
		var ops []string
		for j := range 22 {
			ops = append(ops, fmt.Sprintf("op-%d", 22*i+j))
		}
		values = append(values, chainOf("flooded", ops))
	}
	b.candidates(values...)
	b.honest(100)
	b.answered()
	b.in.set("TABLE_INTERVAL", "3s")
	b.again()
}

// again kills the run and starts it.
func (b *bombs) again() {
	b.run.kill()
	b.start()
}

func chainOf(space string, ops []string) []byte {
	ops = append(append([]string{"input"}, ops...), "output")
	var edges [][2]int
	for i := range len(ops) - 1 {
		edges = append(edges, [2]int{i, i + 1})
	}
	value, err := json.Marshal(map[string]any{"space": space, "ops": ops, "edges": edges})
	if err != nil {
		panic(err)
	}
	return value
}

func (b *bombs) spaces() {
	var values [][]byte
	for i := range 10_000 {
		values = append(values, chainOf(fmt.Sprintf("space-%d", i), []string{"a", fmt.Sprintf("b%d", i)}))
	}
	b.candidates(values...)
}

func (b *bombs) depth() {
	var values [][]byte
	for i := range 200 {
		n := 1000 * (1 + i%200)
		deep := bytes.Repeat([]byte("["), n)
		values = append(values, fmt.Appendf(nil, `{"space":"dag","ops":["a"],"edges":[],"meta":%s%s}`, deep, bytes.Repeat([]byte("]"), n)))
		values = append(values, fmt.Appendf(nil, `{"space":"dag","ops":%s`, deep))
	}
	b.candidates(values...)
	b.publish("labels", values[:100], nil)
}

// dense publishes graphs with as many edges as a candidate may have, and with more.
func (b *bombs) dense() {
	var values [][]byte
	for i := range 400 {
		nodes := 280 // with 39,060 edges
		if i%10 == 0 {
			nodes = 420 // 87,990 edges take a megabyte
		}
		values = append(values, denseOf(nodes, i))
	}
	b.candidates(values...)
	b.label("dense", 40)
}

// label publishes labels of the newest candidates of a space, enough for a model.
func (b *bombs) label(space string, n int) {
	b.labels = append(b.labels, space)
	var values [][]byte
	for i := range n {
		values = append(values, fmt.Appendf(nil, `{"space":%q,"id":%d,"task":"acc","value":%d}`, space, 399-i, 50+i*i%31))
	}
	b.publish("labels", values, nil)
}

func denseOf(nodes, number int) []byte {
	random := rand.New(rand.NewPCG(uint64(number), 0))
	var ops, edges strings.Builder
	for i := range nodes {
		fmt.Fprintf(&ops, `,"c%d"`, random.IntN(9))
		for j := range i {
			fmt.Fprintf(&edges, ",[%d,%d]", j, i)
		}
	}
	return fmt.Appendf(nil, `{"space":"dense","id":%d,"ops":["input"%s],"edges":[%s]}`, number, ops.String()[len(`,"c0"`):], edges.String()[1:])
}

// long publishes chains of as many nodes as a candidate may have, more of them than the
// trainer takes at a time.
func (b *bombs) long() {
	var values [][]byte
	random := rand.New(rand.NewPCG(1, 0))
	for i := range 400 {
		var ops []string
		for range 1998 {
			ops = append(ops, fmt.Sprintf("l%d", random.IntN(11)))
		}
		value := chainOf("long", ops)
		values = append(values, fmt.Appendf(nil, `{"id":%d,%s`, i, value[1:]))
	}
	b.candidates(values...)
	b.label("long", 40)
}

// ids publishes candidates whose ids are as long as they may be, more than the trainer
// remembers.
func (b *bombs) ids() {
	for first := 0; first < 80_000; first += 4000 {
		var values [][]byte
		for i := range 4000 {
			values = append(values, fmt.Appendf(nil, `{"space":"ids","id":"%s%08d","ops":["input","a%d","output"],"edges":[[0,1],[1,2]]}`, strings.Repeat("x", 4000), first+i, i%50))
		}
		b.candidates(values...)
	}
}

func (b *bombs) days() {
	var values [][]byte
	for i := range 3000 {
		values = append(values, b.good[i%len(b.good)])
	}
	b.publish("architectures", values, func(i int, r *kgo.Record) {
		r.Timestamp = time.Date(2016, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, i)
	})
}

// storm publishes 5,000 labels a second for half a minute, of twelve tasks, and says how
// far behind the trainer is.
func (b *bombs) storm() {
	const rate, seconds, steps = 5000, 30, 10
	t := b.in.t
	client := kafkatest.Foreign(t, b.in.address)
	var records []*kgo.Record
	for n := range rate * seconds {
		b.number++
		records = append(records, &kgo.Record{
			Topic:   b.in.topic("labels"),
			Value:   fmt.Appendf(nil, `{"space":"micro","id":%d,"task":"t%d","value":%d}`, n/12%len(b.good), n%12, n%97),
			Headers: []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, b.number)}},
		})
	}
	tick := time.NewTicker(time.Second / steps)
	defer tick.Stop()
	began := time.Now()
	for i := range seconds * steps {
		<-tick.C
		for _, r := range records[i*rate/steps : (i+1)*rate/steps] {
			client.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if i%50 == 0 {
			b.honest(50)
		}
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.acknowledged(records...)
	took := time.Since(began)
	behind := b.labelsBehind()
	t.Logf("%d labels in %s, %.0f/s; %d behind at the end", len(records), took.Round(time.Second), float64(len(records))/took.Seconds(), behind)
}

// hold opens connections that say nothing until the returned function is called.
func (b *bombs) hold(page string, n int) (release func()) {
	var open []net.Conn
	for range n {
		if c, err := net.DialTimeout("tcp", page, 5*time.Second); err == nil {
			open = append(open, c)
		}
	}
	b.in.t.Logf("%d connections", len(open))
	return func() {
		for _, c := range open {
			_ = c.Close()
		}
	}
}

// labelled waits until the trainer has taken all labels.
func (b *bombs) labelled() {
	began := time.Now()
	until(b.in.t, "all labels are taken", func() bool { return b.labelsBehind() == 0 })
	b.in.t.Logf("all labels are taken %s later", time.Since(began).Round(time.Second))
}

// labelsBehind returns how many labels the trainer has not committed, -1 when the
// broker does not say.
func (b *bombs) labelsBehind() int64 {
	topic := b.in.topic("labels")
	end := kafkatest.Ends(b.in.t, b.in.address, topic)[0]
	ctx, cancel := context.WithTimeout(b.in.t.Context(), time.Second)
	defer cancel()
	at, err := client(b.in.address).OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: b.in.prefix + "group-trainer", Topics: map[string][]int{topic: {0}}})
	if err != nil || len(at.Topics[topic]) != 1 {
		return -1
	}
	return end - max(at.Topics[topic][0].CommittedOffset, 0)
}

// compare has one more worker do the rest, and the oracle look at topics and tables.
func (b *bombs) compare() {
	t := b.in.t
	t.Helper()
	if status := b.in.start("run", "--role", "worker", "--exit-at-end").wait(patience); status != 0 {
		t.Errorf("the last run: status %d", status)
	}
	honest := 0
	for _, r := range kafkatest.Read(t, b.in.address, b.in.topic("predictions")) {
		for _, h := range r.Headers {
			if h.Key == "honest" {
				honest++
			}
		}
	}
	if honest != b.honor {
		t.Errorf("%d of %d honest candidates are answered", honest, b.honor)
	}
	text, err := json.Marshal(b.acked)
	if err != nil {
		t.Fatal(err)
	}
	acked := filepath.Join(b.in.data, "acked.json")
	if err := os.WriteFile(acked, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var found struct {
		Counts                                 map[string]int
		Missing, Twice, Different, Differences int
		First                                  []string
	}
	if b.in.python(&found, "oracle.py", b.in.address, b.in.prefix, filepath.Join(b.in.data, "tables"), acked) {
		t.Logf("%d honest candidates answered; %v; %d missing, %d twice, %d different", honest, found.Counts, found.Missing, found.Twice, found.Different)
		if found.Differences > 0 {
			t.Errorf("%.3000q", found.First)
		}
	}
}
