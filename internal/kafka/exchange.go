package kafka

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxAnswer bounds the bytes of an answer that is not a fetch.
const maxAnswer = 64 << 20

// exchange sends a request of a version that the caller has chosen and reads its
// answer. Nothing else may be under way on the connection.
func exchange(rw io.ReadWriter, request kmsg.Request, answer kmsg.Response) error {
	b := kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, request, 1)
	if _, err := rw.Write(b); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return err
	}
	if size[0] == 21 && size[1] == 3 {
		return fmt.Errorf("an alert of TLS: %w", io.EOF)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxAnswer {
		return fmt.Errorf("an answer of %d bytes to %s: is it Kafka?", n, kmsg.NameForKey(request.Key()))
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(rw, body); err != nil {
		return err
	}
	return parseAnswer(body, request, answer)
}

// parseAnswer reads the header and the body of an answer.
func parseAnswer(body []byte, request kmsg.Request, answer kmsg.Response) error {
	r := wireReader{b: body}
	r.take(4) // correlation
	answer.SetVersion(request.GetVersion())
	if answer.IsFlexible() {
		r.tags()
	}
	if r.short {
		return fmt.Errorf("a truncated answer to %s", kmsg.NameForKey(request.Key()))
	}
	if err := answer.ReadFrom(r.b); err != nil {
		return fmt.Errorf("the answer to %s: %w", kmsg.NameForKey(request.Key()), err)
	}
	return nil
}

// rawRequest carries a request that the library does not have, or not in the
// version that is wanted, over one of its connections to the cluster, to any
// broker.
type rawRequest struct {
	request kmsg.Request
	answer  kmsg.Response
}

var _ protocol.RawExchanger = (*rawRequest)(nil)

// ApiKey says which request this is.
func (r *rawRequest) ApiKey() protocol.ApiKey { return protocol.ApiKey(r.request.Key()) } //nolint:revive // the library names it so

// Required says that the library's own encoding will not do.
func (r *rawRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange sends the request and reads the answer.
func (r *rawRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	return r, exchange(rw, r.request, r.answer)
}
