package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"archflow/encoders"
	"archflow/internal/kafka"
	"archflow/sinks"
)

// refusals are errors that a cluster returns now and then, by request; io.EOF is a
// connection that is closed before the answer. Most are met by asking again;
// UnknownProducerID, InvalidProducerIDMapping and IllegalGeneration end the session.
var refusals = map[kmsg.Key][]error{
	kmsg.Fetch:              {kerr.OffsetOutOfRange, kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.OffsetNotAvailable, kerr.UnknownServerError, io.EOF},
	kmsg.Produce:            {kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.UnknownProducerID, kerr.UnknownServerError, io.EOF},
	kmsg.InitProducerID:     {kerr.CoordinatorNotAvailable, kerr.ConcurrentTransactions, kerr.UnknownServerError, io.EOF},
	kmsg.AddPartitionsToTxn: {kerr.ConcurrentTransactions, kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnknownServerError, io.EOF},
	kmsg.AddOffsetsToTxn:    {kerr.ConcurrentTransactions, kerr.CoordinatorNotAvailable, kerr.InvalidProducerIDMapping, kerr.UnknownServerError, io.EOF},
	kmsg.TxnOffsetCommit:    {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.IllegalGeneration, kerr.UnknownServerError, io.EOF},
	kmsg.EndTxn:             {kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.ConcurrentTransactions, kerr.UnknownServerError, io.EOF},
}

// refuser answers every third request of each kind with the next of its
// refusals.
type refuser struct {
	mu    sync.Mutex
	of    map[kmsg.Key][]error // in the order of the seed
	seen  map[kmsg.Key]int
	given map[string]int
	over  bool
}

func refuse(seed uint64) *refuser {
	r := &refuser{of: map[kmsg.Key][]error{}, seen: map[kmsg.Key]int{}, given: map[string]int{}}
	random := rand.New(rand.NewPCG(seed, 12))
	for _, key := range slices.Sorted(maps.Keys(refusals)) {
		r.of[key] = slices.Clone(refusals[key])
		random.Shuffle(len(r.of[key]), func(i, j int) { r.of[key][i], r.of[key][j] = r.of[key][j], r.of[key][i] })
	}
	return r
}

// next says how to refuse a request, nil for not at all.
func (r *refuser) next(key kmsg.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.seen[key]
	if r.over || len(r.of[key]) == 0 {
		return nil
	}
	if r.seen[key]++; n%3 != 1 {
		return nil
	}
	why := r.of[key][n/3%len(r.of[key])]
	r.given[fmt.Sprintf("%s: %v", key.Name(), why)]++
	return why
}

// end lets everything pass from now on.
func (r *refuser) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

// install has the broker of a world ask the refuser first. A message that is
// published is no transaction's and always taken.
func (r *refuser) install(w *world) {
	for key := range refusals {
		w.cluster.ControlKey(int16(key), func(request kmsg.Request) (kmsg.Response, error, bool) {
			w.cluster.KeepControl()
			if p, is := request.(*kmsg.ProduceRequest); is && p.TransactionID == nil {
				return nil, nil, false
			}
			why := r.next(key)
			var code *kerr.Error
			switch {
			case why == nil:
				return nil, nil, false
			case !errors.As(why, &code):
				return nil, why, true
			}
			return refusalOf(request, code.Code), nil, true
		})
	}
}

// refusalOf is the answer that has a code wherever it has one for a partition,
// and else as a whole.
func refusalOf(request kmsg.Request, code int16) kmsg.Response {
	answer := request.ResponseKind()
	switch a := answer.(type) {
	case *kmsg.FetchResponse:
		for _, t := range request.(*kmsg.FetchRequest).Topics {
			of := kmsg.NewFetchResponseTopic()
			of.Topic = t.Topic
			for _, p := range t.Partitions {
				at := kmsg.NewFetchResponseTopicPartition()
				at.Partition, at.ErrorCode, at.HighWatermark = p.Partition, code, -1
				of.Partitions = append(of.Partitions, at)
			}
			a.Topics = append(a.Topics, of)
		}
	case *kmsg.ProduceResponse:
		for _, t := range request.(*kmsg.ProduceRequest).Topics {
			of := kmsg.NewProduceResponseTopic()
			of.Topic = t.Topic
			for _, p := range t.Partitions {
				at := kmsg.NewProduceResponseTopicPartition()
				at.Partition, at.ErrorCode, at.BaseOffset = p.Partition, code, -1
				of.Partitions = append(of.Partitions, at)
			}
			a.Topics = append(a.Topics, of)
		}
	case *kmsg.AddPartitionsToTxnResponse:
		for _, t := range request.(*kmsg.AddPartitionsToTxnRequest).Topics {
			of := kmsg.NewAddPartitionsToTxnResponseTopic()
			of.Topic = t.Topic
			for _, p := range t.Partitions {
				at := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				at.Partition, at.ErrorCode = p, code
				of.Partitions = append(of.Partitions, at)
			}
			a.Topics = append(a.Topics, of)
		}
	case *kmsg.TxnOffsetCommitResponse:
		for _, t := range request.(*kmsg.TxnOffsetCommitRequest).Topics {
			of := kmsg.NewTxnOffsetCommitResponseTopic()
			of.Topic = t.Topic
			for _, p := range t.Partitions {
				at := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				at.Partition, at.ErrorCode = p.Partition, code
				of.Partitions = append(of.Partitions, at)
			}
			a.Topics = append(a.Topics, of)
		}
	case *kmsg.InitProducerIDResponse:
		a.ErrorCode, a.ProducerID, a.ProducerEpoch = code, -1, -1
	case *kmsg.AddOffsetsToTxnResponse:
		a.ErrorCode = code
	case *kmsg.EndTxnResponse:
		a.ErrorCode = code
	}
	return answer
}

// TestBrokerRefusesNowAndThen: a third of a worker's requests is refused, for one
// partition or as a whole, or ends with its connection. Topic and tables are those of a
// run without a refusal. SEED= repeats the order of the refusals.
func TestBrokerRefusesNowAndThen(t *testing.T) {
	config := learning(t)
	model := models(t, config)[0]
	seed := seeded(t)
	inBubble(t, func(t *testing.T) {
		t.Logf("SEED=%d repeats it", seed)
		clean, none := refusedRun(t, config, model, nil)
		r := refuse(seed)
		got, sessions := refusedRun(t, config, model, r)
		for key, all := range refusals {
			for _, why := range all {
				if r.given[fmt.Sprintf("%s: %v", key.Name(), why)] == 0 {
					t.Errorf("%s was never refused with %v", key.Name(), why)
				}
			}
		}
		t.Logf("%d messages, %d sessions with refusals and %d without; refused: %v", len(clean), sessions, none, r.given)
		if !maps.Equal(got, clean) {
			t.Errorf("the run with refusals ends with %d messages, that without with %d, or others", len(got), len(clean))
		}
	})
}

// refusedRun has workers answer a stream, each until its assignment or a fault ends its
// session, and returns the messages of the topics and the number of sessions.
func refusedRun(t *testing.T, config *Config, model *encoders.Model, r *refuser) (all map[string]string, sessions int) {
	t.Helper()
	w := newWorld(t, config)
	defer w.close()
	w.serve(model)
	if r != nil {
		r.install(w)
	}
	published, publishedAll := context.WithCancel(t.Context())
	go func() {
		defer publishedAll()
		w.ask(5, 150)
	}()
	for final := false; ; {
		sessions++
		_, err := w.live(t.Context(), crash{point: "none"}, func(p *Process, stop context.Context) error {
			if final {
				p.ends = w.ends()
			} else {
				over, cancel := context.WithCancel(stop)
				defer cancel()
				stop = over
				defer time.AfterFunc(2*time.Second, cancel).Stop() // as an assignment ends
			}
			return p.answer(stop, kafka.Assignment{Member: kafka.Member{Group: "g", Generation: -1}, Partitions: p.candidatePartitions()})
		})
		switch {
		case err != nil && !sinks.Recoverable(err) && !errors.Is(err, sinks.ErrFenced):
			t.Fatal("a fault that ends the run: ", err)
		case err == nil && final:
			w.sameInTopicAndTable(t)
			return w.messages(), sessions
		}
		if sessions > 200 {
			t.Fatal("no end: ", err)
		}
		if published.Err() != nil && err == nil {
			final = true
			if r != nil {
				r.end()
			}
		}
	}
}

// messages returns predictions and dead letters by the place of the candidate.
func (w *world) messages() map[string]string {
	all := map[string]string{}
	for partition := range int32(2) {
		for _, topic := range []string{w.topics.Predictions, w.topics.DeadLetters} {
			m := w.committed(topic, partition)
			for i := range m.Len() {
				all[fmt.Sprintf("%s/%d message %d", topic, partition, i)] = fmt.Sprintf("%s %s", m.Key.At(i), m.Value.At(i))
			}
		}
	}
	return all
}
