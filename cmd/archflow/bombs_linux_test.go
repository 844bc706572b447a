package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka/kafkatest"
)

var bombsFlag = flag.Bool("bombs", false, "run TestBombs")

// TestBombs lets one process answer and train in a control group of 1 GiB while it meets
// floods of names, nests and graphs at the limits, thousands of days, a storm of labels and
// hundreds of connections. Honest candidates between them are all answered, and in the end
// topics and tables are the same. `make bombs` runs it with TestEndToEndBombs.
func TestBombs(t *testing.T) {
	if !*bombsFlag {
		t.Skip("make bombs runs it")
	}
	patience = 10 * time.Minute
	const limit = 1 << 30
	group := newCgroup(t, limit)
	in := install(t, kafkatest.Fake(t))
	page := freeAddress(t)
	in.set("HTTP", page)
	in.set("TABLE_INTERVAL", "3s")
	in.program = group.program(t, archflow(t))
	b := &bombs{in: in, good: rows(t)}
	b.run = in.start("run")
	b.run.says("msg=ready")
	defer b.hold(page, 500)()
	for _, bomb := range []struct {
		name    string
		happens func()
	}{
		{"names", b.names}, {"spaces", b.spaces}, {"depth", b.depth}, {"dense graphs", b.dense}, {"days", b.days}, {"labels", b.storm},
	} {
		began := time.Now()
		bomb.happens()
		b.honest(200)
		b.answered()
		killed, peak := group.seen(t)
		t.Logf("%s: %s; the group has taken %d MiB at most", bomb.name, time.Since(began).Round(time.Second), peak>>20)
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
	t.Logf("limit %d MiB: at most %d MiB of the process's own", limit>>20, resident(b.run)>>20)
	if resident(b.run) > limit {
		t.Errorf("the process took %d MiB", resident(b.run)>>20)
	}
	in.program = ""
	b.compare()
}

// bombs is what was published.
type bombs struct {
	in     *installation
	good   [][]byte
	run    *process
	acked  [][4]any
	number int
	honor  int // honest candidates among them
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
		for _, r := range some {
			b.acked = append(b.acked, [4]any{r.Topic, r.Partition, r.Offset, json.RawMessage(r.Headers[0].Value)})
		}
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
		select {
		case <-b.run.done:
			b.in.t.Fatalf("the run ended with status %d: %s", b.run.status, lastLines(b.run.err.String(), 5))
		default:
		}
		return b.in.position(b.in.address) >= total
	})
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
	b.run = b.in.start("run")
	b.run.says("msg=ready")
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

// dense publishes graphs as large as a message can hold.
func (b *bombs) dense() {
	const nodes = 420 // whose 87,990 edges take a megabyte
	var edges strings.Builder
	for i := range nodes {
		for j := range i {
			fmt.Fprintf(&edges, "[%d,%d],", j, i)
		}
	}
	all := strings.TrimSuffix(edges.String(), ",")
	var values [][]byte
	for i := range 60 {
		ops := strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`"c%d",`, i%9), nodes-1), ",")
		values = append(values, fmt.Appendf(nil, `{"space":"dense","ops":["input",%s],"edges":[%s]}`, ops, all))
	}
	b.candidates(values...)
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

// storm publishes 5,000 labels a second for half a minute, of twelve tasks.
func (b *bombs) storm() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for i := range 300 {
		<-tick.C
		var values [][]byte
		for j := range 500 {
			n := 500*i + j
			values = append(values, fmt.Appendf(nil, `{"space":"micro","id":%d,"task":"t%d","value":%d}`, n/12%len(b.good), n%12, n%97))
		}
		b.publish("labels", values, nil)
		if i%50 == 0 {
			b.honest(50)
		}
	}
	b.in.t.Logf("150,000 labels in %s", time.Since(began).Round(time.Second))
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
	topic := b.in.topic("labels")
	end := kafkatest.Ends(b.in.t, b.in.address, topic)[0]
	until(b.in.t, "all labels are taken", func() bool {
		ctx, cancel := context.WithTimeout(b.in.t.Context(), time.Second)
		defer cancel()
		at, err := client(b.in.address).OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: b.in.prefix + "group-trainer", Topics: map[string][]int{topic: {0}}})
		return err == nil && len(at.Topics[topic]) == 1 && at.Topics[topic][0].CommittedOffset >= end
	})
}

// compare has one more worker do what is left, and the oracle look at topics and tables.
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
