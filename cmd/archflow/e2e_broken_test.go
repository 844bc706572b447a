package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"archflow/internal/kafka/kafkatest"
	"archflow/schemas"
)

// breakage is a way in which candidates are broken in the field.
type breakage struct {
	name  string
	class string // of the dead letter
	value func(row []byte, r *rand.Rand) []byte
}

var breakages = []breakage{
	{"cut", schemas.ClassJSON, func(row []byte, r *rand.Rand) []byte { return row[:1+r.IntN(len(row)-2)] }},
	{"None", schemas.ClassJSON, func(row []byte, _ *rand.Rand) []byte {
		return bytes.Replace(row, []byte(`"proxies":{`), []byte(`"proxies":{"broken":None,`), 1)
	}},
	{"trailing bytes", schemas.ClassJSON, func(row []byte, _ *rand.Rand) []byte { return append(bytes.Clone(row), "}}"...) }},
	{"binary", schemas.ClassJSON, func(_ []byte, r *rand.Rand) []byte { return append([]byte{0, 0xff}, noise(r, 200)...) }},
	{"cycle", schemas.ClassCycle, graph("dag", `["input","a","b","output"]`, `[[0,1],[1,2],[2,1],[2,3]]`)},
	{"self-loop", schemas.ClassSelfLoop, graph("dag", `["input","a","output"]`, `[[0,1],[1,1],[1,2]]`)},
	{"unknown operation", schemas.ClassUnknownOperation, graph("micro", `["input","transmogrify","output"]`, `[[0,1],[1,2]]`)},
	{"unknown space", schemas.ClassUnknownSpace, graph("nb 201", `["input","a","output"]`, `[[0,1],[1,2]]`)},
	{"5,000 nodes", schemas.ClassTooLarge, func([]byte, *rand.Rand) []byte { return chain(5000) }},
	{"nested deeply", schemas.ClassTooDeep, func([]byte, *rand.Rand) []byte {
		return fmt.Appendf(nil, `{"space":"dag","ops":["a"],"edges":[],"meta":%s%s}`, strings.Repeat("[", 10000), strings.Repeat("]", 10000))
	}},
	{"wrong type", schemas.ClassWrongType, graph("dag", `7`, `[[0,1]]`)},
	{"cut UTF-8", schemas.ClassUTF8, func(row []byte, _ *rand.Rand) []byte {
		return bytes.Replace(row, []byte(`"id":`), []byte("\"note\":\"caf\xc3\",\"id\":"), 1)
	}},
	{"edge out of range", schemas.ClassEdgeRange, graph("dag", `["input","a","output"]`, `[[0,1],[1,9]]`)},
	{"no space", schemas.ClassMissingField, func(row []byte, _ *rand.Rand) []byte {
		return bytes.Replace(row, []byte(`"space":"micro",`), nil, 1)
	}},
	{"tombstone", schemas.ClassEmpty, func([]byte, *rand.Rand) []byte { return nil }},
	{"empty", schemas.ClassEmpty, func([]byte, *rand.Rand) []byte { return []byte{} }},
	{"near a megabyte", schemas.ClassTooLarge, func(_ []byte, r *rand.Rand) []byte {
		const overhead = len(`{"space":"dag","id":"","ops":["a"],"edges":[]}`)
		id := base64.StdEncoding.EncodeToString(noise(r, 800_000))
		return fmt.Appendf(nil, `{"space":"dag","id":%q,"ops":["a"],"edges":[]}`, id[:1_048_400-overhead])
	}},
	{"ops without edges", schemas.ClassMissingField, func([]byte, *rand.Rand) []byte { return []byte(`{"space":"micro","ops":["input","relu","output"]}`) }},
	{"bad notation", schemas.ClassNotation, func([]byte, *rand.Rand) []byte {
		return []byte(`{"space":"nb201","arch":"|nor_conv_3x3~0|+|none~0|skip_connect~7|"}`)
	}},
	{"a label", schemas.ClassMissingField, func([]byte, *rand.Rand) []byte {
		return []byte(`{"space":"micro","architecture":"00112233445566778899aabbccddeeff","task":"accuracy","value":71.5}`)
	}},
}

func graph(space, ops, edges string) func([]byte, *rand.Rand) []byte {
	return func([]byte, *rand.Rand) []byte {
		return fmt.Appendf(nil, `{"space":%q,"ops":%s,"edges":%s}`, space, ops, edges)
	}
}

func chain(nodes int) []byte {
	ops, edges := make([]string, nodes), make([][2]int, nodes-1)
	for i := range ops {
		ops[i] = "conv"
		if i > 0 {
			edges[i-1] = [2]int{i - 1, i}
		}
	}
	value, err := json.Marshal(map[string]any{"space": "dag", "ops": ops, "edges": edges})
	if err != nil {
		panic(err)
	}
	return value
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// rows returns the lines of the benchmark.
func rows(t *testing.T) [][]byte {
	t.Helper()
	file, err := os.Open(benchmark)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	lines := bufio.NewScanner(unzipped)
	for lines.Scan() {
		all = append(all, bytes.Clone(lines.Bytes()))
	}
	if err := lines.Err(); err != nil || len(all) != benchmarkRows {
		t.Fatal(len(all), err)
	}
	return all
}

// mixture returns 9,500 candidates of the benchmark with 500 broken ones in
// between, 25 of each kind, and which breakage is where.
func mixture(t *testing.T, topic string) (records []*kgo.Record, broken map[int]breakage) {
	const candidates, each = 10_000, 25
	random := rand.New(rand.NewPCG(7, 7))
	good := rows(t)
	broken = map[int]breakage{}
	for _, kind := range breakages {
		for n := 0; n < each; {
			if i := random.IntN(candidates); broken[i].value == nil {
				broken[i] = kind
				n++
			}
		}
	}
	for i := range candidates {
		value := good[i%len(good)]
		if kind, is := broken[i]; is {
			value = kind.value(value, random)
		}
		r := &kgo.Record{Topic: topic, Partition: int32(i % 4), Value: value, Headers: []kgo.RecordHeader{
			{Key: "number", Value: fmt.Append(nil, i)}, {Key: "bytes", Value: []byte{0, 0xff}}, {Key: "bytes", Value: nil}, {Key: "bytes", Value: []byte{}},
		}}
		if i%3 > 0 {
			r.Key = fmt.Appendf(nil, "key %d", i)
		}
		records = append(records, r)
	}
	return records, broken
}

// produce publishes records as they are, with another library than ours, and
// fills in their offsets.
func produce(t *testing.T, address string, records []*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(1_048_588))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestEndToEndBroken: 10,000 candidates of which 500 are broken in twenty ways.
// Those are dead letters that say why, whole; all others are answered.
func TestEndToEndBroken(t *testing.T) {
	if len(breakages) != 20 {
		t.Fatal(len(breakages), "kinds")
	}
	onEach(t, func(t *testing.T, in *installation) {
		address, pipeline := in.address, (*process)(nil)
		if address == "" {
			pipeline = in.start("run")
			address = in.embedded()
		} else {
			kafkatest.Topics(t, kafkatest.Client(t, address), 4, in.topic("architectures"))
		}
		records, broken := mixture(t, in.topic("architectures"))
		produce(t, address, records)
		if pipeline == nil {
			in.ok("run", "--exit-at-end")
			checkBroken(t, in, address, records, broken)
			return
		}
		in.answersOf(address, int64(len(records)))
		checkBroken(t, in, address, records, broken)
		pipeline.signal(syscall.SIGTERM)
		if status := pipeline.wait(patience); status != 0 {
			t.Errorf("status %d after SIGTERM", status)
		}
		checkLetterTable(t, in)
	})
}

func checkBroken(t *testing.T, in *installation, address string, records []*kgo.Record, broken map[int]breakage) {
	t.Helper()
	predictions := in.readAnswers()
	if len(predictions) != len(records)-len(broken) {
		t.Errorf("%d predictions, want %d", len(predictions), len(records)-len(broken))
	}
	letters := map[string]*kgo.Record{}
	for _, letter := range kafkatest.Read(t, address, in.topic("dead-letters")) {
		at := header(letter, "archflow-topic") + "/" + header(letter, "archflow-partition") + "/" + header(letter, "archflow-offset")
		if letters[at] != nil {
			t.Errorf("%s is a dead letter twice", at)
		}
		letters[at] = letter
	}
	if len(letters) != len(broken) {
		t.Errorf("%d dead letters, want %d", len(letters), len(broken))
	}
	complaints := map[string]int{}
	for i, record := range records {
		at := place{record.Topic, record.Partition, record.Offset}
		_, answered := predictions[at]
		letter := letters[fmt.Sprintf("%s/%d/%d", record.Topic, record.Partition, record.Offset)]
		kind, is := broken[i]
		complaint := ""
		switch {
		case answered == is:
			complaint = fmt.Sprint("answered: ", answered)
		case is && letter == nil:
			complaint = "no dead letter"
		case is:
			complaint = kind.compare(record, letter)
		}
		if complaint == "" {
			continue
		}
		if complaints[kind.name]++; complaints[kind.name] == 1 {
			t.Errorf("%s: %v: %s", kind.name, at, complaint)
		}
	}
	if len(complaints) > 0 {
		t.Error("complaints of each kind: ", complaints)
	}
	if in.address != "" {
		checkLetterTable(t, in)
	}
}

// compare lists the differences between a dead letter and the expected one.
func (b breakage) compare(record, letter *kgo.Record) string {
	reason := header(letter, "archflow-error")
	cut := header(letter, "archflow-cut")
	switch {
	case header(letter, "archflow-error-class") != b.class:
		return fmt.Sprintf("class %s, want %s (%s)", header(letter, "archflow-error-class"), b.class, reason)
	case len(reason) < 15 || !strings.Contains(reason, " "):
		return fmt.Sprintf("reason %q", reason)
	case cut == "" && !bytes.Equal(record.Value, letter.Value):
		return fmt.Sprintf("value of %d bytes came as %d", len(record.Value), len(letter.Value))
	case cut != "" && (len(record.Value) < 1_000_000 || fmt.Sprint(len(record.Value)-len(letter.Value)) != cut || !bytes.HasPrefix(record.Value, letter.Value)):
		return fmt.Sprintf("value of %d bytes came as %d, cut by %s", len(record.Value), len(letter.Value), cut)
	case (record.Value == nil) != (letter.Value == nil):
		return fmt.Sprintf("a value of null: %v, as it came: %v", letter.Value == nil, record.Value == nil)
	case (record.Key == nil) != (letter.Key == nil) || !bytes.Equal(record.Key, letter.Key):
		return fmt.Sprintf("key %q came as %q", record.Key, letter.Key)
	case len(letter.Headers) < len(record.Headers):
		return fmt.Sprint("headers: ", letter.Headers)
	}
	for i, h := range record.Headers {
		if got := letter.Headers[i]; got.Key != h.Key || !bytes.Equal(got.Value, h.Value) || (got.Value == nil) != (h.Value == nil) {
			return fmt.Sprintf("header %d is %#v, want %#v", i, got, h)
		}
	}
	return ""
}

func header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// checkLetterTable compares the counts of the dead_letters table.
func checkLetterTable(t *testing.T, in *installation) {
	t.Helper()
	var classes map[string]int
	if !in.python(&classes, "letters.py", in.table("dead_letters")) {
		return
	}
	want := map[string]int{}
	for _, kind := range breakages {
		want[kind.class] += 25
	}
	if fmt.Sprint(classes) != fmt.Sprint(want) {
		t.Errorf("the table has %v, want %v", classes, want)
	}
}
