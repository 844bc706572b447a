package sinks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/segmentio/kafka-go/compress"
	"golang.org/x/sync/errgroup"

	"archflow/internal/kafka"
	"archflow/schemas"
)

// DeliveryConfig says where predictions and dead letters go and how. Zero
// values are the defaults.
type DeliveryConfig struct {
	Predictions string // topic
	DeadLetters string // topic
	Member      kafka.Member

	// LowLatency writes every batch at once and at least once, with the header
	// "source" that lets a reader drop a repeat, instead of in transactions.
	LowLatency bool

	// TransactionalID begins the ids of the transactions; default the group. The rest is
	// the source's topic and partition: the process that is assigned a partition starts
	// its producer, which fences off the one before and ends its open transaction, on any
	// machine. On a broker that forgets producers when it starts, a text that is new for
	// each of its starts belongs in here.
	TransactionalID string
	// TransactionTimeout is the time after which the broker aborts a transaction of a
	// process that died and whose partition nobody took; default 30 s.
	TransactionTimeout time.Duration

	// LastProduced, which may be nil, returns the offset after the last message of a
	// source partition that a topic's partition holds, 0 without one. It is for a broker
	// that does not commit a transaction in one step: rows that a torn commit left behind
	// are dropped.
	LastProduced func(ctx context.Context, in, from schemas.TopicPartition) (int64, error)

	Compression string // none, snappy, lz4 (default), zstd, gzip
	MaxBatch    int    // bytes of a record batch before compression; default 900000, less if a topic allows less
	Surrogate   bool   // put the flow surrogate into each prediction
}

// Predictions is the sink of the predictions and dead-letters topics. A
// transaction for each source partition carries its messages and the group's
// offset; the offset's metadata carry which models answered. Predictions of
// source partition p go to partition p of the topic, modulo its number, so that
// the order of a key is the order of its candidates.
type Predictions struct {
	client      *kafka.Client
	config      DeliveryConfig
	member      kafka.Member
	compression compress.Compression
	predictions kafka.Output
	deadLetters kafka.Output
	producers   map[schemas.TopicPartition]*partitionProducer
	rows, bytes int
	failed      error
	writer      messageWriter

	floorsLock sync.Mutex
	floors     map[schemas.TopicPartition]int64
}

// partitionProducer writes the messages of one partition of the source.
type partitionProducer struct {
	from        schemas.TopicPartition
	producer    *kafka.Producer
	committed   *int64 // position that is committed, nil without
	known       bool   // committed or pending, so that gaps are noticed
	next        int64  // position including the pending rows
	pending     bool
	began       int64 // where the sink began, when no position was stored
	schedule    Schedule
	metadata    string // of the position that is stored
	predictions kafka.RecordBatch
	deadLetters kafka.RecordBatch

	lastProduced struct{ predictions, deadLetters int64 } // offsets that the topics hold after a torn commit

	positioned time.Time // when the position was committed by itself, withoutPositions
}

// destination is the partition of a topic for messages from a source partition.
func destination(to *kafka.Output, from schemas.TopicPartition) schemas.TopicPartition {
	return schemas.TopicPartition{Topic: to.Topic, Number: from.Number % to.Partitions}
}

var _ Sink = (*Predictions)(nil)

// TransactionTimeout is the default of DeliveryConfig.
const TransactionTimeout = 30 * time.Second

// minDeadLetter bounds the bytes of a dead letter that is cut as far as possible: the class
// and the place, whose topic has a name of up to 249 bytes, and a quarter for key and
// reason.
const minDeadLetter = 1024

// OpenPredictions returns the sink; both topics must exist.
func OpenPredictions(ctx context.Context, client *kafka.Client, config DeliveryConfig) (*Predictions, error) {
	config.TransactionalID = cmp.Or(config.TransactionalID, config.Member.Group)
	config.TransactionTimeout = cmp.Or(config.TransactionTimeout, TransactionTimeout)
	config.MaxBatch = cmp.Or(config.MaxBatch, 900_000)
	p := &Predictions{client: client, config: config, member: config.Member, producers: map[schemas.TopicPartition]*partitionProducer{}, floors: map[schemas.TopicPartition]int64{}}
	var err error
	if p.compression, err = kafka.ParseCompression(config.Compression); err != nil {
		return nil, err
	}
	if p.predictions, err = kafka.OpenOutput(ctx, client, config.Predictions); err != nil {
		return nil, err
	}
	if p.deadLetters, err = kafka.OpenOutput(ctx, client, config.DeadLetters); err != nil {
		return nil, err
	}
	if p.deadLetters.Limit < minDeadLetter {
		return nil, fmt.Errorf("topic %s takes messages of %d bytes at most, and a dead letter has up to %d however much is cut from it, so that a candidate that is refused would stop all: kafka-configs.sh --alter --topic %s --add-config max.message.bytes=1048588",
			config.DeadLetters, p.deadLetters.Limit, minDeadLetter, config.DeadLetters)
	}
	p.config.MaxBatch = min(p.config.MaxBatch, p.predictions.Limit, p.deadLetters.Limit)
	return p, nil
}

// Name is for logs and metrics.
func (p *Predictions) Name() string { return "predictions topic" }

// SetMember begins a generation of the group: pending rows are given up and positions are
// read anew.
func (p *Predictions) SetMember(m kafka.Member) {
	p.abandon()
	p.member = m
}

// Positions implements Sink. It takes the partitions over from their former writer.
func (p *Predictions) Positions(ctx context.Context, of []schemas.TopicPartition) (map[schemas.TopicPartition]int64, error) {
	if err := p.open(ctx, of); err != nil {
		return nil, err
	}
	at := map[schemas.TopicPartition]int64{}
	for _, from := range of {
		if stored := p.producers[from].committed; stored != nil {
			at[from] = *stored
		}
	}
	return at, nil
}

// Committed returns the positions that the group has committed for the partitions, each
// of which it takes over. One without a position is absent.
func (p *Predictions) Committed(ctx context.Context, of []schemas.TopicPartition) (map[schemas.TopicPartition]kafka.Position, error) {
	if err := p.open(ctx, of); err != nil {
		return nil, err
	}
	at := map[schemas.TopicPartition]kafka.Position{}
	for _, from := range of {
		if l := p.producers[from]; l.committed != nil {
			at[from] = kafka.Position{TopicPartition: from, Next: *l.committed, Metadata: l.metadata}
		}
	}
	return at, nil
}

// Resume gives partitions for which the group has no position the one from which
// on the topic lacks answers, and commits it. Others keep theirs.
func (p *Predictions) Resume(ctx context.Context, at map[schemas.TopicPartition]int64) error {
	if err := p.open(ctx, slices.Collect(maps.Keys(at))); err != nil {
		return err
	}
	var positions []kafka.Position
	for from, next := range at {
		if l := p.producers[from]; l.committed == nil && !l.known {
			l.committed, l.known, l.next = &next, true, next
			positions = append(positions, kafka.Position{TopicPartition: from, Next: next})
		}
	}
	if len(positions) == 0 {
		return nil
	}
	slices.SortFunc(positions, func(a, b kafka.Position) int { return cmp.Compare(a.Topic, b.Topic) })
	return kafka.CommitOffsets(ctx, p.client, p.member, positions...)
}

// Past returns, for each partition, the offsets that the topic has and the models that
// answered them, as far back as the floor was at the last commit.
func (p *Predictions) Past(ctx context.Context, of []schemas.TopicPartition) (map[schemas.TopicPartition]Past, error) {
	if err := p.open(ctx, of); err != nil {
		return nil, err
	}
	past := map[schemas.TopicPartition]Past{}
	for _, from := range of {
		l := p.producers[from]
		past[from] = Past{Schedule: slices.Clone(l.schedule), Next: max(l.next, l.lastProduced.predictions)}
	}
	return past, nil
}

// SetFloor promises that no sink will ask for offsets of the partition below floor again,
// so that the schedule can drop them. It is safe for concurrent use.
func (p *Predictions) SetFloor(of schemas.TopicPartition, floor int64) {
	p.floorsLock.Lock()
	p.floors[of] = floor
	p.floorsLock.Unlock()
}

func (p *Predictions) floor(of schemas.TopicPartition) int64 {
	p.floorsLock.Lock()
	defer p.floorsLock.Unlock()
	return p.floors[of]
}

// open makes the producers of partitions that have none.
func (p *Predictions) open(ctx context.Context, of []schemas.TopicPartition) error {
	if p.failed != nil {
		return p.failed
	}
	var fresh []*partitionProducer
	var at []schemas.TopicPartition
	for _, from := range of {
		if p.producers[from] == nil {
			fresh = append(fresh, &partitionProducer{from: from})
			at = append(at, from)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	all, starting := errgroup.WithContext(ctx)
	all.SetLimit(8)
	for _, l := range fresh {
		all.Go(func() (err error) {
			id := ""
			if !p.config.LowLatency {
				id = fmt.Sprintf("%s/%s/%d", p.config.TransactionalID, l.from.Topic, l.from.Number)
				if withoutFencing {
					id += "/" + uuid.NewString()
				}
			}
			if l.producer, err = kafka.OpenProducer(starting, p.client, id, p.config.TransactionTimeout, p.compression); err != nil || p.config.LastProduced == nil {
				return err
			}
			if l.lastProduced.predictions, err = p.config.LastProduced(starting, destination(&p.predictions, l.from), l.from); err != nil {
				return err
			}
			l.lastProduced.deadLetters, err = p.config.LastProduced(starting, destination(&p.deadLetters, l.from), l.from)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	// Only now: starting the producers has ended the transactions before.
	offsets, err := kafka.ReadOffsets(ctx, p.client, p.member.Group, at)
	if err != nil {
		return err
	}
	for _, l := range fresh {
		if o, ok := offsets[l.from]; ok {
			l.committed, l.known, l.next = &o.Next, true, o.Next
			// Metadata that is not ours says nothing about models.
			l.schedule, _ = ParseSchedule(o.Metadata)
			l.metadata = o.Metadata
		}
		p.producers[l.from] = l
	}
	return nil
}

// Write implements Sink. It encodes at once and keeps nothing of the batch.
func (p *Predictions) Write(ctx context.Context, b *schemas.Batch) error {
	if b.Rows != nil {
		defer b.Rows.Release()
	}
	if err := p.open(ctx, []schemas.TopicPartition{b.TopicPartition}); err != nil {
		return err
	}
	l := p.producers[b.TopicPartition]
	if l.known && b.First > l.next {
		return fmt.Errorf("%s/%d: a batch from %d after position %d: %w", b.Topic, b.Number, b.First, l.next, ErrGap)
	}
	if !l.known {
		l.next, l.began = b.First, b.First
	}
	if withoutDrop && b.First < l.next {
		l.next = b.First
	}
	if b.Next <= l.next && l.known {
		return nil
	}
	if err := p.write(ctx, l, b); err != nil {
		return p.fail(err)
	}
	l.known, l.next, l.pending = true, max(l.next, b.Next), true
	return nil
}

func (p *Predictions) write(ctx context.Context, l *partitionProducer, b *schemas.Batch) error {
	now := time.Now().UnixMilli()
	if b.Rows != nil && b.Rows.NumRows() > 0 {
		// The announced models answered the rows that a torn commit left behind.
		if b.Next > l.lastProduced.predictions {
			l.schedule = l.schedule.answered(max(l.next, l.lastProduced.predictions), b.Registry)
		}
		if err := p.announce(ctx, l); err != nil {
			return err
		}
		if err := p.writeRows(ctx, l, b, now); err != nil {
			return err
		}
	}
	for i := range b.Rejects {
		if b.Rejects[i].Offset >= max(l.next, l.lastProduced.deadLetters) {
			if err := p.writeDeadLetter(ctx, l, &b.Rejects[i], now); err != nil {
				return err
			}
		}
	}
	if !p.config.LowLatency {
		return nil
	}
	if err := p.send(ctx, l, &p.predictions, &l.predictions); err != nil {
		return err
	}
	return p.send(ctx, l, &p.deadLetters, &l.deadLetters)
}

// announce commits the models that answer from here on, with the current position, before
// they do: if a commit is torn, the predictions that it leaves behind are theirs.
func (p *Predictions) announce(ctx context.Context, l *partitionProducer) error {
	if p.config.LastProduced == nil {
		return nil
	}
	text, err := p.metadata(l)
	if err != nil || text == l.metadata {
		return err
	}
	at := l.began
	if l.committed != nil {
		at = *l.committed
	}
	l.metadata = text
	return kafka.CommitOffsets(ctx, p.client, p.member, kafka.Position{TopicPartition: l.from, Next: at, Metadata: text})
}

// metadata returns the schedule of a partition as the metadata of its position.
func (p *Predictions) metadata(l *partitionProducer) (string, error) {
	floor := p.floor(l.from)
	l.schedule = l.schedule.since(floor)
	text := l.schedule.String()
	if len(text) > maxMetadata {
		return "", fmt.Errorf("%s/%d: %d changes of the model since offset %d do not fit the offset's metadata of %d bytes: commit the table more often",
			l.from.Topic, l.from.Number, len(l.schedule), floor, maxMetadata)
	}
	return text, nil
}

func (p *Predictions) writeRows(ctx context.Context, l *partitionProducer, b *schemas.Batch, now int64) error {
	w := &p.writer
	w.view(b, p.config.Surrogate, p.config.LowLatency)
	for row, offset := range w.candidates.Offset {
		if offset < max(l.next, l.lastProduced.predictions) {
			continue
		}
		r := w.prediction(row)
		r.Time = now
		keyed(r, &p.predictions, b.TopicPartition, offset)
		if err := p.put(ctx, l, &p.predictions, &l.predictions, r); err != nil {
			var large *kafka.TooLargeError
			if !errors.As(err, &large) {
				return err
			}
			letter := w.oversized(row, large.Bytes, p.predictions)
			if err := p.writeDeadLetter(ctx, l, &letter, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyed gives a message without a key one of its own, the place of its source, in
// a compacted topic, which refuses messages without.
func keyed(r *kafka.Record, to *kafka.Output, from schemas.TopicPartition, offset int64) {
	if to.Compacted && len(r.Key) == 0 {
		r.Key = fmt.Appendf(nil, "%s/%d/%d", from.Topic, from.Number, offset)
	}
}

func (p *Predictions) writeDeadLetter(ctx context.Context, l *partitionProducer, d *schemas.DeadLetter, now int64) error {
	r := p.writer.deadLetter(d)
	r.Time = now
	keyed(r, &p.deadLetters, d.TopicPartition, d.Offset)
	err := p.put(ctx, l, &p.deadLetters, &l.deadLetters, r)
	var large *kafka.TooLargeError
	if errors.As(err, &large) {
		// Its value is cut so that it fits with all the rest.
		r = p.writer.cut(d, p.deadLetters.Limit)
		r.Time = now
		keyed(r, &p.deadLetters, d.TopicPartition, d.Offset)
		err = p.put(ctx, l, &p.deadLetters, &l.deadLetters, r)
	}
	return err
}

// put adds a message to a batch and sends the batch when it is full. A message
// that is too large for a batch with others is sent alone at once, so that a
// *kafka.TooLargeError is always about r. All other errors keep their meaning.
func (p *Predictions) put(ctx context.Context, l *partitionProducer, to *kafka.Output, b *kafka.RecordBatch, r *kafka.Record) error {
	size := r.Size()
	if b.Count() > 0 && b.Size()+size > p.config.MaxBatch {
		err := p.send(ctx, l, to, b)
		if large := (*kafka.TooLargeError)(nil); errors.As(err, &large) {
			return fmt.Errorf("a batch of several messages: %v", err) //nolint:errorlint // not about r
		}
		if err != nil {
			return err
		}
	}
	b.Append(r)
	if b.Size() > p.config.MaxBatch {
		if err := p.send(ctx, l, to, b); err != nil {
			return err
		}
	}
	p.rows++
	p.bytes += size
	return nil
}

// send writes a batch to Kafka, in exactly-once delivery into the producer's transaction.
func (p *Predictions) send(ctx context.Context, l *partitionProducer, to *kafka.Output, b *kafka.RecordBatch) error {
	if b.Count() == 0 {
		return nil
	}
	defer b.Reset()
	at := destination(to, l.from)
	if !p.config.LowLatency {
		if err := l.producer.Enter(ctx, at); err != nil {
			return err
		}
	}
	return l.producer.Produce(ctx, at, b, to.Limit)
}

// Commit implements Sink. The transactions of the partitions are committed side
// by side; each is atomic with its own partition's position.
func (p *Predictions) Commit(ctx context.Context) error {
	if p.failed != nil {
		return p.failed
	}
	var lanes []*partitionProducer
	var at []kafka.Position
	for _, l := range p.producers {
		if l.pending {
			lanes = append(lanes, l)
		}
	}
	slices.SortFunc(lanes, func(a, b *partitionProducer) int {
		return cmp.Or(cmp.Compare(a.from.Topic, b.from.Topic), cmp.Compare(a.from.Number, b.from.Number))
	})
	for _, l := range lanes {
		text, err := p.metadata(l)
		if err != nil {
			return p.fail(err)
		}
		at = append(at, kafka.Position{TopicPartition: l.from, Next: l.next, Metadata: text})
	}
	if len(lanes) == 0 {
		return nil
	}
	if p.config.LowLatency {
		if err := kafka.CommitOffsets(ctx, p.client, p.member, at...); err != nil {
			return p.fail(err)
		}
	} else {
		all, committing := errgroup.WithContext(ctx)
		all.SetLimit(16)
		for i, l := range lanes {
			all.Go(func() error { return p.commit(committing, l, at[i]) })
		}
		if err := all.Wait(); err != nil {
			return p.fail(err)
		}
	}
	for i, l := range lanes {
		l.pending = false
		l.committed, l.metadata = &at[i].Next, at[i].Metadata
	}
	p.rows, p.bytes = 0, 0
	return nil
}

func (p *Predictions) commit(ctx context.Context, l *partitionProducer, at kafka.Position) error {
	if err := p.send(ctx, l, &p.predictions, &l.predictions); err != nil {
		return err
	}
	if err := p.send(ctx, l, &p.deadLetters, &l.deadLetters); err != nil {
		return err
	}
	if withoutPositions {
		if err := l.producer.End(ctx, true); err != nil || time.Since(l.positioned) < time.Second {
			return err
		}
		l.positioned = time.Now()
		return kafka.CommitOffsets(ctx, p.client, p.member, at)
	}
	as := p.member
	if withoutFencing {
		as.Generation, as.ID = -1, ""
	}
	if err := l.producer.CommitOffsets(ctx, as, at); err != nil {
		return err
	}
	return l.producer.End(ctx, true)
}

// fail ends the sink with an error.
func (p *Predictions) fail(err error) error {
	p.failed = err
	return err
}

// Pending implements Sink; bytes are those of the messages before compression.
func (p *Predictions) Pending() (rows, bytes int) { return p.rows, p.bytes }

// Close gives up uncommitted rows, so that readers need not wait for the transactions to
// time out.
func (p *Predictions) Close() error {
	p.abandon()
	if p.failed == nil {
		p.failed = errors.New("the sink is closed")
	}
	return nil
}

// abandon aborts open transactions if the broker lets us: if not, the next
// holder of the partition does, or the timeout.
func (p *Predictions) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var all errgroup.Group
	all.SetLimit(16)
	for _, l := range p.producers {
		all.Go(func() error { return l.producer.End(ctx, false) })
	}
	_ = all.Wait()
	clear(p.producers)
	p.rows, p.bytes = 0, 0
}
