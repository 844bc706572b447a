package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Connection says how to reach Kafka. Brokers alone is enough for a cluster
// without security.
type Connection struct {
	Brokers []string // host:port

	TLS      bool   // encrypt; implied by CAFile and CertFile
	CAFile   string // PEM, instead of the system's authorities
	CertFile string // PEM, for mutual TLS, with KeyFile
	KeyFile  string

	Mechanism    string // of SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; empty for none
	User         string
	Password     string
	PasswordFile string // read instead of Password, its last line ending removed
}

// Client is the library's client. It connects when it is first used.
type Client = kafka.Client

const (
	dialTimeout = 5 * time.Second
	// metadataTTL bounds how long a moved leader goes unnoticed.
	metadataTTL = 2 * time.Second
)

// String names the brokers and never a secret.
func (c *Connection) String() string { return strings.Join(c.Brokers, ",") }

// Client returns a client that connects when it is first used.
func (c *Connection) Client() (*kafka.Client, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("no broker is named: give --brokers HOST:PORT")
	}
	secure, mechanism, err := c.security()
	if err != nil {
		return nil, err
	}
	return &kafka.Client{
		Addr:    kafka.TCP(c.Brokers...),
		Timeout: 10 * time.Second,
		Transport: &kafka.Transport{
			Dial:        (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
			DialTimeout: dialTimeout,
			MetadataTTL: metadataTTL,
			ClientID:    "archflow",
			TLS:         secure,
			SASL:        mechanism,
		},
	}, nil
}

// Dialer returns what the consumer group connects with.
func (c *Connection) Dialer() (*kafka.Dialer, error) {
	secure, mechanism, err := c.security()
	if err != nil {
		return nil, err
	}
	return &kafka.Dialer{ClientID: "archflow", Timeout: dialTimeout, KeepAlive: 15 * time.Second, TLS: secure, SASLMechanism: mechanism}, nil
}

// trackedConns dials connections that can be cut all at once.
type trackedConns struct {
	mu   sync.Mutex
	open map[*trackedConn]bool
}

type trackedConn struct {
	net.Conn
	of *trackedConns
}

func (l *trackedConns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[*trackedConn]bool{}
	}
	one := &trackedConn{conn, l}
	l.open[one] = true
	return one, nil
}

// Close closes one connection.
func (l *trackedConn) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}

// cut closes all connections that are open now.
func (l *trackedConns) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.open {
		_ = one.Conn.Close() // whoever uses it finds out
	}
}

func (c *Connection) security() (*tls.Config, sasl.Mechanism, error) {
	var secure *tls.Config
	if c.TLS || c.CAFile != "" || c.CertFile != "" {
		secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate authorities: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("certificate authorities: %s holds no certificate in PEM form", c.CAFile)
		}
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, nil, errors.New("mutual TLS needs a certificate and its key: give both files")
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("client certificate %s with key %s: %w", c.CertFile, c.KeyFile, err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	mechanism, err := c.mechanism()
	return secure, mechanism, err
}

// Secret returns the SASL password, from its file if one is named.
func (c *Connection) Secret() (string, error) {
	if c.PasswordFile == "" {
		return c.Password, nil
	}
	b, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("SASL password: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (c *Connection) mechanism() (sasl.Mechanism, error) {
	if c.Mechanism == "" {
		if c.User != "" {
			return nil, errors.New("a user is named but no SASL mechanism: choose PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return nil, nil
	}
	password, err := c.Secret()
	if err != nil {
		return nil, err
	}
	if c.User == "" || password == "" {
		return nil, fmt.Errorf("SASL %s needs a user and a password (or a file that holds it)", c.Mechanism)
	}
	switch strings.ToUpper(c.Mechanism) {
	case "PLAIN":
		return plain.Mechanism{Username: c.User, Password: password}, nil
	case "SCRAM-SHA-256":
		return scram.Mechanism(scram.SHA256, c.User, password)
	case "SCRAM-SHA-512":
		return scram.Mechanism(scram.SHA512, c.User, password)
	}
	return nil, fmt.Errorf("SASL mechanism %q is not known: choose PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.Mechanism)
}

// Connect returns a client whose cluster has answered. It tries until ctx ends,
// with a back-off, and calls waiting, which may be nil, before
// each pause with what is wrong; refusals that will not change end it at once.
func (c *Connection) Connect(ctx context.Context, waiting func(error)) (*kafka.Client, error) {
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	for backoff := NewBackoff(); ; {
		err := c.probeAny(ctx)
		if err == nil {
			return client, nil
		}
		if refused(err) || ctx.Err() != nil {
			return nil, err
		}
		if waiting != nil {
			waiting(err)
		}
		if backoff.Wait(ctx) != nil {
			return nil, err
		}
	}
}

// probeAny asks each broker in turn until one answers.
func (c *Connection) probeAny(ctx context.Context) (err error) {
	for _, broker := range c.Brokers {
		if err = c.Probe(ctx, broker); err == nil {
			return nil
		}
	}
	return err
}

// Probe asks one broker for the cluster's metadata, over a connection of its
// own, because a client hides why it cannot connect. Errors of the broker are
// *ConnectError.
func (c *Connection) Probe(ctx context.Context, broker string) error {
	dialer, err := c.Dialer()
	if err != nil {
		return err
	}
	conn, err := dialer.DialContext(ctx, "tcp", broker)
	if err == nil {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(dialTimeout))
		_, err = conn.Brokers()
	}
	return c.explain(broker, err)
}

// ConnectError says in one sentence why a broker does not answer.
type ConnectError struct {
	Broker string
	Reason string // what and the cure
	Final  bool   // trying again will not help
	Err    error
}

// Error returns the sentence.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("no broker at %s: %s", e.Broker, e.Reason)
}

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

func refused(err error) bool {
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
