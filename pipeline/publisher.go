package pipeline

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"archflow/internal/kafka"
	"archflow/internal/kafka/embedded"
	"archflow/pipeline/api"
	"archflow/schemas"
	"archflow/sinks"
)

// publisher writes the messages of HTTP requests to topics, each once.
//
// A request is a transaction, and its messages carry a header with the request's id and
// their index in it. After an attempt with an unknown result, the next one opens a new
// producer with the same transactional id, which makes the broker end the previous
// transaction. It then reads the topic from its end before the first attempt and writes
// only the missing messages.
//
// A request with a key leaves a record in the store before its first attempt: the ends
// of the topic's partitions. Any process that repeats the request finds its messages the
// same way. The transactional id belongs to a slot chosen by the key, so that two
// processes with one request fence each other off instead of both writing.
type publisher struct {
	client *kafka.Client
	topics kafka.Topics
	store  sinks.Bucket
	log    *slog.Logger
	prefix string                   // of the transactional ids of the group
	owner  string                   // this process's part of the transactional id of requests without a key
	broker *embedded.Broker         // nil when brokers are named
	slots  [publisherSlots + 1]slot // the last one is for requests without a key

	mu      sync.Mutex
	cleaned string // day for which old records were removed
}

func newPublisher(p *Process) *publisher {
	pub := &publisher{client: p.Client, topics: p.Topics, store: p.store, log: p.report.Log, prefix: p.config.TopicPrefix + p.config.Group + "/api/", broker: p.Broker}
	if p.server != nil {
		host, _ := os.Hostname() // without it the address has to do
		pub.owner = host + "/" + p.server.Address()
	}
	return pub
}

// publisherSlots is how many requests with keys may be written at one time, and
// for how many keys two processes get into each other's way.
const publisherSlots = 16

// slot is a producer, which one goroutine uses at a time.
type slot struct {
	mu       sync.Mutex
	id       string
	producer *kafka.Producer
}

// headerRequest names the request that published a message, and its place there.
const headerRequest = "archflow-request"

// TransactionLimit is when the broker gives up a transaction of a process that
// was killed. Readers of committed messages wait for that long at most.
const TransactionLimit = 10 * time.Second

// attempts bounds how often a request is tried.
const attempts = 5

// request is one to be published.
type request struct {
	id       string // hexadecimal
	topic    string
	messages []kafka.Message
	from     map[int32]int64 // where the partitions ended before the first attempt
}

// Publish is part of api.Publisher.
func (p *publisher) Publish(ctx context.Context, topic api.Topic, key string, messages []api.Message) (api.Published, error) {
	r := &request{topic: p.topics.Architectures}
	if topic == api.Labels {
		r.topic = p.topics.Labels
	}
	s := &p.slots[publisherSlots]
	if key == "" {
		r.id = strings.ToLower(rand.Text())
	} else {
		sum := sha256.Sum256([]byte(r.topic + "\x00" + key))
		r.id = hex.EncodeToString(sum[:16])
		hash := fnv.New32a()
		_, _ = hash.Write(sum[:])
		s = &p.slots[hash.Sum32()%publisherSlots]
	}
	for i, m := range messages {
		headers := append(m.Headers[:len(m.Headers):len(m.Headers)], schemas.Header{Name: headerRequest, Value: fmt.Appendf(nil, "%s/%d", r.id, i)})
		r.messages = append(r.messages, kafka.Message{Key: m.Key, Value: m.Value, Headers: headers})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key == "" {
		return p.publish(ctx, s, r, false)
	}
	return p.publishOnce(ctx, s, r)
}

// publishOnce publishes a request with a key unless that has been done.
func (p *publisher) publishOnce(ctx context.Context, s *slot, r *request) (api.Published, error) {
	record, before, err := p.begin(ctx, r)
	switch {
	case err != nil:
		return api.Published{}, err
	case record.Published != nil:
		return *record.Published, nil
	}
	r.from = record.From
	done, err := p.publish(ctx, s, r, before)
	if err != nil {
		return done, err
	}
	record.Published = &done
	// Without this a repetition reads the topic, to the same end.
	if err := p.write(ctx, record); err != nil {
		p.log.WarnContext(ctx, "a request was published, but not noted in the store", "error", err)
	}
	return done, nil
}

// publish writes the messages of a request that its topic lacks. before says that an
// earlier attempt may have written some.
func (p *publisher) publish(ctx context.Context, s *slot, r *request, before bool) (api.Published, error) {
	to, err := kafka.OpenOutput(ctx, p.client, r.topic)
	if err != nil {
		return api.Published{}, err
	}
	if r.from == nil {
		if r.from, err = p.endsOf(ctx, to); err != nil {
			return api.Published{}, err
		}
	}
	pause := kafka.NewBackoff()
	for attempt := 1; ; attempt++ {
		next, err := p.attempt(ctx, s, r, to, before)
		if err == nil {
			return answer(r, next), nil
		}
		s.producer, before = nil, true
		if attempt == attempts || !kafka.Recoverable(err) && !errors.Is(err, kafka.ErrFenced) || pause.Wait(ctx) != nil {
			return api.Published{}, err
		}
	}
}

// attempt writes the messages of a request that are missing and returns the
// offset after the last of each partition.
func (p *publisher) attempt(ctx context.Context, s *slot, r *request, to kafka.Output, before bool) (map[schemas.TopicPartition]int64, error) {
	if s.producer == nil || before {
		var err error
		if s.producer, err = kafka.OpenProducer(ctx, p.client, p.transactionalID(s), TransactionLimit, compress.Lz4); err != nil {
			return nil, err
		}
	}
	next, missing := map[schemas.TopicPartition]int64{}, r.messages
	if before {
		found, err := p.find(ctx, r, to, next)
		if err != nil {
			return nil, err
		}
		missing = nil
		for i, m := range r.messages {
			if !found[i] {
				missing = append(missing, m)
			}
		}
	}
	if len(missing) == 0 {
		return next, nil
	}
	wrote, err := s.producer.WriteAll(ctx, to, missing)
	for at, end := range wrote {
		next[at] = max(next[at], end)
	}
	return next, err
}

// find reads which messages of a request its topic has, and after which offsets.
func (p *publisher) find(ctx context.Context, r *request, to kafka.Output, next map[schemas.TopicPartition]int64) (map[int]bool, error) {
	found := map[int]bool{}
	for number := range to.Partitions {
		at := schemas.TopicPartition{Topic: r.topic, Number: number}
		start, end, err := kafka.Ends(ctx, p.client, at)
		if err != nil {
			return nil, err
		}
		from := max(start, r.from[number])
		_, err = readUntil(ctx, kafka.OpenPartition(p.client, at, from, kafka.Limits{}), from, end, func(m *schemas.Messages) {
			for i := range m.Len() {
				id, place, _ := strings.Cut(string(m.Header(i, headerRequest)), "/")
				n, err := strconv.Atoi(place)
				if id == r.id && err == nil {
					found[n], next[at] = true, m.Offset[i]+1
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (p *publisher) endsOf(ctx context.Context, to kafka.Output) (map[int32]int64, error) {
	ends := map[int32]int64{}
	for number := range to.Partitions {
		_, end, err := kafka.Ends(ctx, p.client, schemas.TopicPartition{Topic: to.Topic, Number: number})
		if err != nil {
			return nil, err
		}
		ends[number] = end
	}
	return ends, nil
}

func answer(r *request, next map[schemas.TopicPartition]int64) api.Published {
	done := api.Published{Messages: len(r.messages), Through: map[string]int64{}}
	for at, end := range next {
		done.Through[fmt.Sprintf("%s/%d", at.Topic, at.Number)] = end
	}
	return done
}

// transactionalID is that of a slot. Slots of keys are shared by the processes of
// a group, the one without keys belongs to this process and its next start.
func (p *publisher) transactionalID(s *slot) string {
	if s.id == "" {
		s.id = p.prefix
		for i := range publisherSlots {
			if s == &p.slots[i] {
				s.id += strconv.Itoa(i)
			}
		}
		if s == &p.slots[publisherSlots] {
			s.id += p.owner
		}
	}
	if p.broker != nil {
		return s.id + "/" + p.broker.Start() // the embedded broker forgets producers when it starts
	}
	return s.id
}

// Records of requests are kept for a day at least, in folders by their day.
const requestsFolder = "requests/"

// requestRecord is the store's record of a request with a key.
type requestRecord struct {
	key       string          // of the object
	Messages  string          `json:"messages"`            // hash of topic, keys and values
	From      map[int32]int64 `json:"from"`                // where the topic ended before the first attempt
	Published *api.Published  `json:"published,omitempty"` // nil while that is in doubt
}

// begin returns the record of a request, and whether it was there before.
func (p *publisher) begin(ctx context.Context, r *request) (record requestRecord, before bool, err error) {
	now := time.Now().UTC()
	today := now.Format(time.DateOnly)
	p.clean(ctx, now)
	fresh := requestRecord{key: requestsFolder + today + "/" + r.id + ".json", Messages: fingerprint(r)}
	for _, key := range []string{requestsFolder + now.AddDate(0, 0, -1).Format(time.DateOnly) + "/" + r.id + ".json", fresh.key} {
		record, err = p.read(ctx, key)
		if !errors.Is(err, fs.ErrNotExist) {
			return p.same(record, fresh, err)
		}
	}
	to, err := kafka.OpenOutput(ctx, p.client, r.topic)
	if err != nil {
		return record, false, err
	}
	if fresh.From, err = p.endsOf(ctx, to); err != nil {
		return record, false, err
	}
	text, err := json.Marshal(fresh)
	if err != nil {
		return record, false, err
	}
	err = p.store.Create(ctx, fresh.key, text)
	if errors.Is(err, fs.ErrExist) {
		record, err = p.read(ctx, fresh.key)
		return p.same(record, fresh, err)
	}
	return fresh, false, err
}

// same refuses a record of other messages.
func (p *publisher) same(record, fresh requestRecord, err error) (requestRecord, bool, error) {
	if err == nil && record.Messages != fresh.Messages {
		err = api.ErrOtherRequest
	}
	return record, true, err
}

func (p *publisher) read(ctx context.Context, key string) (record requestRecord, err error) {
	text, err := p.store.Read(ctx, key)
	if err != nil {
		return record, err
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return record, fmt.Errorf("%s of the store is damaged: %w; remove it", key, err)
	}
	record.key = key
	return record, nil
}

func (p *publisher) write(ctx context.Context, record requestRecord) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return p.store.Write(ctx, record.key, text)
}

// clean removes the records of the days before yesterday, once a day.
func (p *publisher) clean(ctx context.Context, now time.Time) {
	today, yesterday := now.Format(time.DateOnly), now.AddDate(0, 0, -1).Format(time.DateOnly)
	p.mu.Lock()
	done := p.cleaned == today
	p.cleaned = today
	p.mu.Unlock()
	if done {
		return
	}
	for object, err := range p.store.List(ctx, requestsFolder, "") {
		if err == nil && object.Key >= requestsFolder+yesterday {
			return
		}
		if err == nil {
			err = p.store.Delete(ctx, object.Key)
		}
		if err != nil {
			p.log.WarnContext(ctx, "old requests could not be removed from the store", "error", err)
			return
		}
	}
}

func fingerprint(r *request) string {
	sum := sha256.New()
	for _, m := range r.messages {
		_, _ = fmt.Fprintf(sum, "%d %d ", len(m.Key), len(m.Value))
		_, _ = sum.Write(m.Key)
		_, _ = sum.Write(m.Value)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
