package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/segmentio/kafka-go"
)

// ConnectError says in one sentence why a broker does not answer.
type ConnectError struct {
	Broker string
	Reason string // the cause and the cure
	Final  bool   // trying again will not help
	Err    error
}

// Error returns the sentence.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("no broker at %s: %s", e.Broker, e.Reason)
}

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// final says that trying again will not help.
func final(err error) bool {
	var e *ConnectError
	return !errors.As(err, &e) || e.Final
}

func (c *Connection) explain(broker string, err error) error {
	if err == nil {
		return nil
	}
	e := &ConnectError{Broker: broker, Err: err}
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var address *net.AddrError
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Reason = "connection refused: is Kafka running there? Without --brokers archflow starts a broker of its own"
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Reason = "the name is not known: check the spelling of --brokers"
	case errors.As(err, &address):
		e.Reason, e.Final = "not an address: write HOST:PORT", true
	case errors.As(err, &unknown):
		e.Reason, e.Final = "its certificate is signed by an authority that is not trusted here: name the CA file", true
	case errors.As(err, &host):
		e.Reason, e.Final = "its certificate is for another name: use the name in the certificate", true
	case errors.As(err, &record):
		e.Reason, e.Final = "it does not speak TLS: switch TLS off or use its TLS port", true
	case errors.Is(err, kafka.SASLAuthenticationFailed):
		e.Reason, e.Final = "user or password refused", true
	case errors.Is(err, kafka.UnsupportedSASLMechanism):
		e.Reason, e.Final = "it does not offer SASL "+c.Mechanism+": choose another mechanism", true
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET):
		e.Reason = "it closed the connection: does it want TLS or SASL, or is it something other than Kafka?"
	case errors.As(err, &network) && network.Timeout() || errors.Is(err, context.DeadlineExceeded):
		e.Reason = fmt.Sprintf("no answer within %s: a firewall, or a listener that waits for TLS?", dialTimeout)
	default:
		e.Reason = err.Error()
	}
	return e
}
