package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	"archflow/schemas"
)

// Publisher puts messages on topics.
type Publisher interface {
	// Publish puts all messages on a topic, each once, or fails. key, unless it is
	// empty, names the request: where it was published before, by whatever
	// process, nothing is published and the answer is that of then. It fails with
	// ErrOtherRequest when the messages of then were others.
	Publish(ctx context.Context, topic Topic, key string, messages []Message) (Published, error)
}

// Message is a message to be published.
type Message struct {
	Key, Value []byte
	Headers    []schemas.Header
}

// Published counts the messages that a topic has taken.
type Published struct {
	Messages int              `json:"published"`
	Through  map[string]int64 `json:"through"` // TOPIC/PARTITION -> offset after the last of them
}

// ErrOtherRequest says that an Idempotency-Key came with other messages before.
var ErrOtherRequest = errors.New("the Idempotency-Key belongs to another request")

// publishLimit is how long a request may take to be published.
const publishLimit = 30 * time.Second

// rejectedElement says which element of a batch was not published, and why.
type rejectedElement struct {
	Index int `json:"index"` // in the request, from 0
	*Error
}

// publishAnswer is the answer to a batch.
type publishAnswer struct {
	Published
	Errors []rejectedElement `json:"errors,omitempty"`
}

// servePublish publishes to a topic the messages that its stream would accept.
func (s *Server) servePublish(topic Topic) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.publisher == nil {
			return refuse(http.StatusNotImplemented, ClassRole, "publish through Kafka", "this process publishes nothing")
		}
		key, err := idempotencyKey(r.Header)
		if err != nil {
			return err
		}
		e, err := readElements(w, r)
		if err != nil {
			return err
		}
		messages, answer := s.accept(topic, e.list)
		if e.form == single && len(answer.Errors) > 0 {
			return answer.Errors[0].Error
		}
		for _, e := range answer.Errors {
			s.meter.Rejected(e.Class, 1)
		}
		answer.Through = map[string]int64{}
		if len(messages) > 0 {
			ctx, cancel := context.WithTimeout(r.Context(), publishLimit)
			defer cancel()
			headers := traceHeaders(ctx)
			for i := range messages {
				messages[i].Headers = headers
			}
			switch answer.Published, err = s.publisher.Publish(ctx, topic, key, messages); {
			case errors.Is(err, ErrOtherRequest):
				return refuse(http.StatusUnprocessableEntity, ClassConflict, "use a fresh key for every request, and the same one only to repeat it", "the Idempotency-Key %.60q came with other messages before", key)
			case errors.Is(err, context.DeadlineExceeded):
				return refuse(http.StatusGatewayTimeout, ClassBroker, "repeat the request with the same Idempotency-Key; without one some of it may be published", "Kafka did not take the messages in time: %v", err)
			case err != nil:
				return refuse(http.StatusServiceUnavailable, ClassBroker, "repeat the request with the same Idempotency-Key; without one some of it may be published", "Kafka did not take the messages: %v", err)
			}
		}
		if s.catalogue != nil {
			s.catalogue.published.note(topic, answer.Published)
		}
		writeJSON(w, http.StatusOK, answer)
		return nil
	}
}

// accept makes messages of the elements that the stream would accept.
func (s *Server) accept(topic Topic, elements [][]byte) (messages []Message, answer publishAnswer) {
	d := s.decoders.Get().(*schemas.Decoder)
	defer s.decoders.Put(d)
	var rows schemas.Candidates
	for i, value := range elements {
		var refused *schemas.Rejection
		var id []byte
		if topic == Labels {
			var l schemas.Label
			l, refused = d.Label(value)
			if id = l.ID; refused == nil && l.Missing {
				// Rows of a benchmark table may lack a result; who sends one label means something by it.
				refused = &schemas.Rejection{Class: schemas.ClassNotFinite, Reason: `field "value": it is NaN or infinite, which tells nothing; tell of a training that failed with "failed": true, and withdraw a value with null`}
			}
		} else if refused = d.Candidate(&rows, value); refused == nil {
			id = rows.ID.At(rows.ID.Len() - 1)
		}
		if refused != nil {
			answer.Errors = append(answer.Errors, rejectedElement{i, rejected(refused.Class, refused.Reason)})
			continue
		}
		messages = append(messages, Message{Key: schemas.AppendIDText(nil, id), Value: value})
	}
	return messages, answer
}

// idempotencyKey returns the name of a request, "" without one.
func idempotencyKey(h http.Header) (string, error) {
	key := h.Get("Idempotency-Key")
	if len(key) > 255 {
		return "", refuse(http.StatusBadRequest, ClassParameter, "use up to 255 characters, such as a UUID", "the Idempotency-Key has %d characters", len(key))
	}
	return key, nil
}

// traceHeaders continues the trace of a request in its messages.
func traceHeaders(ctx context.Context) (headers []schemas.Header) {
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, carrier)
	for _, name := range []string{"traceparent", "tracestate"} {
		if value := carrier[name]; value != "" {
			headers = append(headers, schemas.Header{Name: name, Value: []byte(value)})
		}
	}
	return headers
}
