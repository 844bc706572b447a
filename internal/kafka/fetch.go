package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"

	"archflow/schemas"
)

// Limits bound the messages that one fetch returns and the memory that it takes. Zero
// values are the defaults.
type Limits struct {
	Messages int           // in one answer; default 2048
	Bytes    int           // asked of the broker at once; default 4 MiB
	Expanded int           // of one compressed batch when unpacked; default 128 MiB
	Value    int           // of a message's value; the rest is cut off, which schemas.HeaderCut reports; default none
	Wait     time.Duration // for the first message; default 250 ms

	Budget *Budget // of memory for unpacked messages; may be nil

	// Answer bounds how much an answer may exceed Bytes: a broker always sends the
	// first batch whole. Default 128 MiB.
	Answer int
}

func (l Limits) filled() Limits {
	if l.Messages <= 0 {
		l.Messages = 2048
	}
	if l.Bytes <= 0 {
		l.Bytes = 4 << 20
	}
	if l.Expanded <= 0 {
		l.Expanded = 128 << 20
	}
	if l.Answer <= 0 {
		l.Answer = 128 << 20
	}
	if l.Wait <= 0 {
		l.Wait = 250 * time.Millisecond
	}
	return l
}

// LostError reports that the broker no longer has, or never had, the next offset.
// Messages are skipped only when the user has allowed it.
type LostError struct {
	schemas.TopicPartition
	Want       int64 // our position
	Start, End int64 // of the broker's partition
}

// Error names the lost offsets and the user's choices.
func (e *LostError) Error() string {
	if e.Want < e.Start {
		return fmt.Sprintf("%s/%d: our position is %d, but retention has deleted everything before %d: %d messages are lost; lengthen retention.ms, and to go on without them start once with --skip-lost",
			e.Topic, e.Number, e.Want, e.Start, e.Start-e.Want)
	}
	return fmt.Sprintf("%s/%d: our position is %d, but the topic ends at %d: it was deleted and made again, or this is another cluster; use another --group, and another --table unless the old rows are to stay",
		e.Topic, e.Number, e.Want, e.End)
}

// PoisonError says that a record batch cannot be read. SkipTo(Next) goes on
// behind it.
type PoisonError struct {
	schemas.TopicPartition
	First, Next int64 // offsets of the batch
	Reason      string
}

// Error names the place.
func (e *PoisonError) Error() string {
	return fmt.Sprintf("%s/%d: the record batch of offsets %d to %d cannot be read: %s", e.Topic, e.Number, e.First, e.Next-1, e.Reason)
}

// PartitionReader reads one partition as a read_committed consumer: records of
// aborted transactions and the markers are left out. One goroutine uses it.
type PartitionReader struct {
	schemas.TopicPartition
	client *kafka.Client
	limits Limits
	next   int64 // offset after the last message returned or left out
	start  int64 // first offset the broker has, as of the last answer
	end    int64 // offset after the last one that can be read, as of the last answer
	high   int64 // offset after the last one that all replicas have, as of the last answer
	buffer []byte
	stream recordStream

	throttled time.Duration
}

// OpenPartition reads a partition beginning at an offset. It connects when
// Fetch is called.
func OpenPartition(client *kafka.Client, p schemas.TopicPartition, from int64, limits Limits) *PartitionReader {
	return &PartitionReader{TopicPartition: p, client: client, limits: limits.filled(), next: from, end: from, stream: recordStream{budget: limits.Budget}}
}

// SkipTo goes on at another offset.
func (r *PartitionReader) SkipTo(to int64) {
	r.next = to
	r.stream.reset(nil, nil)
}

// Fetch returns the next messages, copied into fresh columns, the offset after them and
// the partition's end. It waits up to Limits.Wait and may return no message while next
// moves on, over aborted records. Errors are of the network or the broker and may be
// tried again, except *LostError and *PoisonError.
//
// With a budget it waits until there is memory for the next record batch. The caller
// releases the bytes that the messages take of it, Held.
func (r *PartitionReader) Fetch(ctx context.Context) (m schemas.Messages, next, end int64, err error) {
	if r.stream.empty() {
		if err := r.ask(ctx); err != nil {
			return schemas.Messages{}, r.next, r.end, err
		}
	}
	m.HeaderStart = []int32{0}
	r.next, err = r.stream.read(ctx, &m, r.next, r.limits)
	if err != nil {
		var poison *PoisonError
		if errors.As(err, &poison) {
			poison.TopicPartition = r.TopicPartition
		}
		r.stream.reset(nil, nil)
		if m.Len() > 0 { // the messages before the fault; the error comes again
			err = nil
		}
	}
	if m.Len() == 0 {
		r.stream.budget.Release(r.stream.handed)
		r.stream.handed = 0
	}
	return m, r.next, r.end, err
}

// Open is the number of messages and markers after the readable ones, which wait for an
// open transaction of their own or of earlier messages to end; as of the last answer.
func (r *PartitionReader) Open() int64 { return max(r.high-r.end, 0) }

// Throttled is the pause that the broker asked for instead of an answer to the last Fetch,
// because a quota is used up; 0 without.
func (r *PartitionReader) Throttled() time.Duration { return r.throttled }

// maxThrottle bounds the pause that a broker may ask for.
const maxThrottle = 30 * time.Second

// sleep rests for as long as a broker asks for.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(min(d, maxThrottle))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Held is the number of bytes of the budget that the messages of the last Fetch take.
func (r *PartitionReader) Held() int { return r.stream.handed }

// fetchLimit is how long an answer may take beyond the wait that was asked for.
const fetchLimit = 5 * time.Second

func (r *PartitionReader) ask(outer context.Context) error {
	r.throttled = 0
	ctx, cancel := context.WithTimeout(outer, r.limits.Wait+fetchLimit)
	defer cancel()
	request := &rawFetch{of: r.TopicPartition, from: r.next, limits: r.limits, buffer: r.buffer}
	r.buffer = nil // a request that is given up goes on writing to it
	m, err := r.client.Transport.RoundTrip(ctx, r.client.Addr, request)
	var throttled *throttledError
	if errors.As(err, &throttled) {
		r.throttled = throttled.wait
		return sleep(outer, throttled.wait)
	}
	var poison *PoisonError
	if errors.As(err, &poison) {
		return poison
	}
	if err != nil {
		DropIdle(r.client, err)
		return fmt.Errorf("%s/%d: fetch at %d: %w", r.Topic, r.Number, r.next, explainAbsent(err, restore))
	}
	answer, ok := m.(*rawFetch)
	if !ok {
		return fmt.Errorf("%s/%d: fetch at %d: the broker answered %T", r.Topic, r.Number, r.next, m)
	}
	if r.buffer = answer.buffer; cap(r.buffer) > 2*r.limits.Bytes+keptBuffer {
		r.buffer = nil
	}
	if errors.Is(answer.err, kafka.OffsetOutOfRange) {
		return r.outOfRange(ctx)
	}
	if answer.err != nil {
		return fmt.Errorf("%s/%d: fetch at %d: %w", r.Topic, r.Number, r.next, explainAbsent(answer.err, restore))
	}
	if have, want := len(answer.records), firstBatch(answer.records); have < want {
		return fmt.Errorf("%s/%d: fetch at %d: the broker, or something on the way to it, sends %d of the %d bytes of the record batch there: %w", r.Topic, r.Number, r.next, have, want, io.ErrUnexpectedEOF)
	}
	r.start, r.end, r.high = answer.start, answer.stable, answer.high
	r.stream.reset(answer.records, answer.aborted)
	return nil
}

// firstBatch returns how many bytes the first of some record batches has, which a broker sends
// whole whatever limits are: without it no fetch gets any further.
func firstBatch(batches []byte) int {
	switch {
	case len(batches) == 0:
		return 0
	case len(batches) < batchHeader:
		return batchHeader
	}
	return int(int32(binary.BigEndian.Uint32(batches[8:]))) + 12
}

func (r *PartitionReader) outOfRange(ctx context.Context) error {
	start, end, err := Ends(ctx, r.client, r.TopicPartition)
	if err != nil {
		return err
	}
	if r.next >= start && r.next <= end { // a new leader that lags, for a moment
		return fmt.Errorf("%s/%d: fetch at %d: %w", r.Topic, r.Number, r.next, kafka.OffsetNotAvailable)
	}
	return &LostError{r.TopicPartition, r.next, start, end}
}

// Ends returns the first offset of a partition and the offset after the last
// that a read_committed consumer may read.
func Ends(ctx context.Context, client *kafka.Client, p schemas.TopicPartition) (start, end int64, err error) {
	for backoff := BackoffBetween(20*time.Millisecond, 4*time.Second); ; {
		start, end, err = ends(ctx, client, p)
		if err == nil || ctx.Err() != nil || backoff.Next() > 2*time.Second || !Recoverable(err) {
			return start, end, err
		}
		if backoff.Wait(ctx) != nil {
			return 0, 0, err
		}
	}
}

// End returns the offset after the last message that may be read, of the broker's first
// answer.
func End(ctx context.Context, client *kafka.Client, p schemas.TopicPartition) (int64, error) {
	return offsetOf(ctx, client, p, kafka.LastOffset)
}

func ends(ctx context.Context, client *kafka.Client, p schemas.TopicPartition) (start, end int64, err error) {
	at := map[int64]int64{}
	for _, which := range []int64{kafka.FirstOffset, kafka.LastOffset} {
		offset, err := offsetOf(ctx, client, p, which)
		if err != nil {
			return 0, 0, err
		}
		at[which] = offset
	}
	return at[kafka.FirstOffset], at[kafka.LastOffset], nil
}

// OffsetAt returns the offset of the first message at or after a time, the end
// of the partition when there is none.
func OffsetAt(ctx context.Context, client *kafka.Client, p schemas.TopicPartition, at time.Time) (int64, error) {
	offset, err := offsetOf(ctx, client, p, at.UnixMilli())
	if err == nil && offset < 0 {
		return offsetOf(ctx, client, p, kafka.LastOffset)
	}
	return offset, err
}

// rawFetch is the Fetch request in version 11 and its answer with the record
// batches left as bytes, so that they are unpacked once, into our columns, and
// only as far as the limits allow; the library would unpack all of it first.
type rawFetch struct {
	of     schemas.TopicPartition
	from   int64
	limits Limits
	buffer []byte

	err           error
	throttle      time.Duration // a pause that the broker asks for
	stable, start int64
	high          int64
	aborted       []abortedTransaction
	records       []byte // a view of buffer
}

// abortedTransaction says from which offset on a producer's records are to be
// left out, until its next marker.
type abortedTransaction struct {
	producer, first int64
}

var (
	_ protocol.BrokerMessage = (*rawFetch)(nil)
	_ protocol.RawExchanger  = (*rawFetch)(nil)
)

// ApiKey says which request this is.
func (f *rawFetch) ApiKey() protocol.ApiKey { return protocol.Fetch } //nolint:revive // the library names it so

// Required says that the library's own encoding will not do.
func (f *rawFetch) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker routes the request to the partition's leader.
func (f *rawFetch) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	topic, ok := cluster.Topics[f.of.Topic]
	if !ok {
		return protocol.Broker{}, protocol.NewErrNoTopic(f.of.Topic)
	}
	partition, ok := topic.Partitions[f.of.Number]
	if !ok {
		return protocol.Broker{}, protocol.NewErrNoPartition(f.of.Topic, f.of.Number)
	}
	broker, ok := cluster.Brokers[partition.Leader]
	if !ok {
		return protocol.Broker{}, protocol.NewErrNoLeader(f.of.Topic, f.of.Number)
	}
	return broker, nil
}

// RawExchange writes the request and reads the answer.
func (f *rawFetch) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(f.request()); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if n > f.limits.Bytes+f.limits.Answer {
		return nil, f.tooLong(rw, n)
	}
	body := f.buffer[:0]
	if cap(body) < n {
		body = make([]byte, n)
	}
	body = body[:n]
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, err
	}
	answer := &rawFetch{buffer: body}
	if err := answer.parse(body); err != nil {
		return nil, err
	}
	if answer.throttle > 0 && len(answer.records) == 0 && answer.err == nil {
		return nil, &throttledError{answer.throttle}
	}
	return answer, nil
}

// tooLong reads of an answer that is too long to be taken in as much as says which batch to
// go past. The connection is closed, with the rest in it.
func (f *rawFetch) tooLong(r io.Reader, n int) error {
	head := make([]byte, min(n, longHead))
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	answer := &rawFetch{}
	if err := answer.parse(head); err != nil || answer.err != nil || len(answer.records) < batchHeader {
		return fmt.Errorf("an answer of %d bytes to a request for %d", n, f.limits.Bytes)
	}
	first := int64(binary.BigEndian.Uint64(answer.records))
	after := first + int64(int32(binary.BigEndian.Uint32(answer.records[23:]))) + 1
	return &PoisonError{TopicPartition: f.of, First: max(first, f.from), Next: max(after, f.from+1),
		Reason: fmt.Sprintf("the broker sends %d bytes, and %d are taken in at most; lower max.message.bytes of the topic", n, f.limits.Bytes+f.limits.Answer)}
}

// longHead is where the head of the first batch ends at the latest, behind the list of
// aborted transactions.
const longHead = 1 << 20

// throttledError says that a quota of the broker's is used up. The broker reads nothing
// from this connection for so long, so that it is closed: others would wait in it.
type throttledError struct{ wait time.Duration }

// Error names the pause.
func (e *throttledError) Error() string {
	return fmt.Sprintf("the broker asks for a pause of %v: a quota is used up", e.wait)
}

func (f *rawFetch) request() []byte {
	be := binary.BigEndian
	const client = "archflow"
	b := be.AppendUint32(make([]byte, 0, 128), 0)
	b = be.AppendUint16(b, uint16(protocol.Fetch))
	b = be.AppendUint16(b, 11)
	b = be.AppendUint32(b, 1) // correlation
	b = append(be.AppendUint16(b, uint16(len(client))), client...)
	b = be.AppendUint32(b, 1<<32-1) // a consumer, not a replica
	b = be.AppendUint32(b, uint32(f.limits.Wait/time.Millisecond))
	b = be.AppendUint32(b, 1) // answer when there is a byte
	// The limit is the partition's, below. An answer that the embedded broker
	// ends because of this one is without its list of aborted transactions.
	b = be.AppendUint32(b, 1<<31-1)
	b = append(b, 1)                // read_committed
	b = be.AppendUint32(b, 0)       // no fetch session
	b = be.AppendUint32(b, 1<<32-1) //
	b = be.AppendUint32(b, 1)
	b = append(be.AppendUint16(b, uint16(len(f.of.Topic))), f.of.Topic...)
	b = be.AppendUint32(b, 1)
	b = be.AppendUint32(b, uint32(f.of.Number))
	b = be.AppendUint32(b, 1<<32-1) // leader epoch: any
	b = be.AppendUint64(b, uint64(f.from))
	b = be.AppendUint64(b, 1<<64-1) // no log start: not a replica
	b = be.AppendUint32(b, uint32(f.limits.Bytes))
	b = be.AppendUint32(b, 0) // nothing to forget
	b = be.AppendUint16(b, 0) // no rack
	be.PutUint32(b, uint32(len(b)-4))
	return b
}

func (f *rawFetch) parse(body []byte) error {
	r := wireReader{b: body}
	r.take(4) // correlation
	f.throttle = time.Duration(r.int32()) * time.Millisecond
	if f.err = codeOf(r.int16()); f.err != nil {
		return nil //nolint:nilerr // the answer was read; its error is in f.err
	}
	r.take(4) // session
	for range r.count(8) {
		r.take(int(uint16(r.int16())))
		for range r.count(16) {
			r.take(4) // partition
			f.err = codeOf(r.int16())
			f.high = r.int64()
			f.stable, f.start = r.int64(), r.int64()
			for range r.count(16) {
				f.aborted = append(f.aborted, abortedTransaction{r.int64(), r.int64()})
			}
			r.take(4) // preferred replica
			if n := int(r.int32()); n > 0 {
				f.records = r.take(min(n, len(r.b)))
			}
		}
	}
	if r.short {
		return errors.New("a truncated answer to a fetch")
	}
	return nil
}

// offsetOf returns the offset that belongs to a time in milliseconds since
// 1970, or to one of kafka.FirstOffset and kafka.LastOffset, as a read_committed
// consumer sees it; -1 when no message is that late.
func offsetOf(ctx context.Context, client *kafka.Client, p schemas.TopicPartition, at int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	m, err := client.Transport.RoundTrip(ctx, client.Addr, &listoffsets.Request{
		ReplicaID: -1, IsolationLevel: 1,
		Topics: []listoffsets.RequestTopic{{Topic: p.Topic, Partitions: []listoffsets.RequestPartition{
			{Partition: p.Number, CurrentLeaderEpoch: -1, Timestamp: at},
		}}},
	})
	if err != nil {
		return 0, fmt.Errorf("%s/%d: list offsets: %w", p.Topic, p.Number, err)
	}
	r, ok := m.(*listoffsets.Response)
	if !ok || len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return 0, fmt.Errorf("%s/%d: list offsets: the broker's answer is without the partition", p.Topic, p.Number)
	}
	answer := r.Topics[0].Partitions[0]
	if err := codeOf(answer.ErrorCode); err != nil {
		return 0, fmt.Errorf("%s/%d: list offsets: %w", p.Topic, p.Number, err)
	}
	return answer.Offset, nil
}
