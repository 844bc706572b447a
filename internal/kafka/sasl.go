package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// authConn is a connection whose broker wants SASL again every so often (KIP-368).
// It authenticates anew, with the password as it is then, before a request that
// would come late in the session: when no answer is outstanding, so that nothing
// gets between a request and its answer.
type authConn struct {
	net.Conn
	connection *Connection
	broker     string

	mu      sync.Mutex
	renew   time.Time // zero: never
	out, in frames
	waiting int // requests without an answer
}

// A session is renewed before this part of it has passed, and renewMargin before its end:
// the broker cuts a connection whose request it takes up after that, and a busy machine
// may be slow to. A short session is renewed after a half.
const (
	renewShare  = 0.85
	renewMargin = 5 * time.Second
	// Apache Kafka refuses to authenticate again within a second of the time before.
	renewPause = time.Second
)

// renewal returns when to renew a session whose authentication began and ended then.
func renewal(began, ended time.Time, lifetime time.Duration) time.Time {
	renew := began.Add(min(time.Duration(renewShare*float64(lifetime)), max(lifetime-renewMargin, lifetime/2)))
	if soonest := ended.Add(renewPause); renew.Before(soonest) {
		return soonest
	}
	return renew
}

// authenticated authenticates a new connection.
func (c *Connection) authenticated(ctx context.Context, conn net.Conn, mechanism sasl.Mechanism, broker string) (net.Conn, error) {
	a := &authConn{Conn: conn, connection: c, broker: broker}
	return a, a.authenticate(ctx, mechanism)
}

func (a *authConn) authenticate(ctx context.Context, mechanism sasl.Mechanism) error {
	began := time.Now()
	lifetime, err := authenticate(ctx, a.Conn, mechanism, a.broker)
	a.renew = time.Time{}
	if lifetime > 0 {
		a.renew = renewal(began, time.Now(), lifetime)
	}
	return err
}

// Write sends a request or a part of one, after authenticating anew if it is time.
func (a *authConn) Write(b []byte) (int, error) {
	a.mu.Lock()
	if a.waiting == 0 && a.out.between() && !a.renew.IsZero() && time.Now().After(a.renew) {
		_, mechanism, err := a.connection.security()
		if err == nil {
			err = a.authenticate(context.Background(), mechanism) // the deadline is the request's
		}
		if err != nil {
			a.mu.Unlock()
			return 0, a.connection.explain(a.broker, fmt.Errorf("authenticate again: %w", err))
		}
	}
	begun, _ := a.out.pass(b)
	a.waiting += begun
	a.mu.Unlock()
	return a.Conn.Write(b)
}

// Read receives answers.
func (a *authConn) Read(b []byte) (int, error) {
	n, err := a.Conn.Read(b)
	a.mu.Lock()
	_, ended := a.in.pass(b[:n])
	a.waiting -= ended
	a.mu.Unlock()
	return n, err
}

// frames follows a stream of messages, each after its length in four bytes.
type frames struct {
	head int // bytes of the length that have passed
	left int // bytes to come: of the message once head is 4, else of its length
}

// between says that no message has begun and not ended.
func (f *frames) between() bool { return f.head == 0 }

// pass takes more of the stream and counts the messages that begin and end in it.
func (f *frames) pass(b []byte) (begun, ended int) {
	for len(b) > 0 {
		if f.head < 4 {
			if f.head == 0 {
				f.left = 0
				begun++
			}
			f.left = f.left<<8 | int(b[0])
			f.head++
			b = b[1:]
		} else {
			n := min(f.left, len(b))
			f.left -= n
			b = b[n:]
		}
		if f.head == 4 && f.left == 0 {
			f.head = 0
			ended++
		}
	}
	return begun, ended
}

// authenticate goes through a mechanism's exchange and returns for how long the
// broker takes it, 0 for the life of the connection.
func authenticate(ctx context.Context, conn net.Conn, mechanism sasl.Mechanism, broker string) (time.Duration, error) {
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Version, hello.Mechanism = 1, mechanism.Name()
	offered := kmsg.NewPtrSASLHandshakeResponse()
	if err := exchange(conn, hello, offered); err != nil {
		return 0, err
	}
	if err := codeOf(offered.ErrorCode); err != nil {
		return 0, err
	}
	host, port, err := net.SplitHostPort(broker)
	if err != nil {
		return 0, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return 0, err
	}
	ctx = sasl.WithMetadata(ctx, &sasl.Metadata{Host: host, Port: number})
	session, message, err := mechanism.Start(ctx)
	if err != nil {
		return 0, err
	}
	for done := false; ; {
		request := kmsg.NewPtrSASLAuthenticateRequest()
		request.Version, request.SASLAuthBytes = 1, message
		answer := kmsg.NewPtrSASLAuthenticateResponse()
		if err := exchange(conn, request, answer); err != nil {
			if errors.Is(err, io.EOF) {
				return 0, kafka.SASLAuthenticationFailed // as old brokers say it
			}
			return 0, err
		}
		if err := codeOf(answer.ErrorCode); err != nil {
			return 0, err
		}
		if done, message, err = session.Next(ctx, answer.SASLAuthBytes); err != nil {
			return 0, err
		}
		if done {
			return time.Duration(answer.SessionLifetimeMillis) * time.Millisecond, nil
		}
	}
}
