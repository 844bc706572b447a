package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// load publishes candidates and labels, some of them broken, for as long as it
// runs, through brokers that come and go. It uses another library than ours.
type load struct {
	in        *installation
	rows      [][]byte
	rate      float64 // candidates a second
	labels    float64 // labels a second
	poison    float64 // share of the broken messages
	withdrawn float64 // share of the labels that take one back
	random    *rand.Rand
	stop      chan struct{}
	done      sync.WaitGroup
	number    int
	address   string
	client    *kgo.Client

	mu    sync.Mutex
	acked [][4]any // topic, partition, offset, number
}

// startLoad begins to publish; end stops it.
func startLoad(in *installation, rows [][]byte, random *rand.Rand, rate float64) *load {
	l := &load{in: in, rows: rows, rate: rate, labels: 3, poison: .02, random: random, stop: make(chan struct{})}
	l.done.Go(l.run)
	return l
}

// end stops publishing and writes the acknowledged messages for the oracle.
func (l *load) end(t *testing.T) (file string) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	if l.client != nil {
		l.client.Close()
	}
	text, err := json.Marshal(l.acked)
	file = filepath.Join(l.in.data, "acked.json")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// run publishes in bursts with random pauses.
func (l *load) run() {
	last := time.Now()
	owed, owedLabels := 0.0, 0.0
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(time.Duration(20+l.random.IntN(160)) * time.Millisecond):
		}
		passed := min(time.Since(last).Seconds(), 1)
		last = time.Now()
		owed += passed * l.rate
		owedLabels += passed * l.labels
		var burst []*kgo.Record
		for ; owed >= 1; owed-- {
			burst = append(burst, l.candidate())
		}
		for ; owedLabels >= 1; owedLabels-- {
			burst = append(burst, l.label())
		}
		l.publish(burst)
	}
}

func (l *load) candidate() *kgo.Record {
	value := l.rows[l.random.IntN(len(l.rows))]
	if l.random.Float64() < l.poison {
		kind := breakages[l.random.IntN(len(breakages))]
		for kind.name == "near a megabyte" || kind.name == "5,000 nodes" {
			kind = breakages[l.random.IntN(len(breakages))]
		}
		value = kind.value(value, l.random)
	}
	return l.record("architectures", value)
}

// label is the result of a random row, now and then corrected by a little, and
// sometimes no label at all.
func (l *load) label() *kgo.Record {
	var row struct {
		ID     json.RawMessage
		Labels struct{ Accuracy float64 }
	}
	if err := json.Unmarshal(l.rows[l.random.IntN(len(l.rows))], &row); err != nil {
		panic(err)
	}
	value := fmt.Appendf(nil, `{"space":"micro","id":%s,"task":"accuracy","value":%v}`, row.ID, row.Labels.Accuracy+float64(l.random.IntN(3))/4)
	if l.withdrawn > 0 && l.random.Float64() < l.withdrawn {
		value = fmt.Appendf(nil, `{"space":"micro","id":%s,"task":"accuracy","value":null}`, row.ID)
	}
	if l.random.Float64() < 2*l.poison {
		value = bytes.Replace(value, []byte(`"task":`), []byte(`"tusk":`), 1)
	}
	return l.record("labels", value)
}

func (l *load) record(topic string, value []byte) *kgo.Record {
	l.number++
	r := &kgo.Record{Topic: l.in.topic(topic), Value: value, Headers: []kgo.RecordHeader{
		{Key: "n", Value: fmt.Append(nil, l.number)}, {Key: "bytes", Value: []byte{0, 0xff}},
	}}
	if l.random.IntN(3) > 0 {
		r.Key = fmt.Appendf(nil, "key %d", l.number%97)
	}
	return r
}

// publish sends a burst and notes the acknowledged messages. Others may be in
// the topic all the same, or twice.
func (l *load) publish(burst []*kgo.Record) {
	if len(burst) == 0 {
		return
	}
	if at := l.where(); l.client == nil || at != l.address {
		if l.client != nil {
			l.client.Close()
		}
		client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(at, ",")...), kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.AllISRAcks()),
			kgo.ProducerLinger(0), kgo.RecordDeliveryTimeout(3*time.Second), kgo.RetryTimeout(3*time.Second), kgo.DialTimeout(time.Second),
			kgo.MetadataMinAge(100*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
		if err != nil {
			return
		}
		l.client, l.address = client, at
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, r := range l.client.ProduceSync(ctx, burst...) {
		if r.Err == nil {
			l.acknowledged(r.Record)
		}
	}
}

// acknowledged notes records that the broker has.
func (l *load) acknowledged(records ...*kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		l.acked = append(l.acked, [4]any{r.Topic, r.Partition, r.Offset, json.RawMessage(r.Headers[0].Value)})
	}
}

// sum counts the acknowledged messages of a topic.
func (l *load) sum(topic string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.acked {
		if a[0] == topic {
			n++
		}
	}
	return n
}

// where returns the broker's address, which moves when the embedded one finds
// its port taken.
func (l *load) where() string {
	if l.in.address != "" {
		return l.in.address
	}
	text, err := os.ReadFile(filepath.Join(l.in.data, "broker", "address"))
	if err != nil {
		return "127.0.0.1:1"
	}
	address, _, _ := strings.Cut(string(text), " ")
	return address
}
