package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// anyBroker is the address that the library gets in place of a broker's. dial replaces
// it with one that answers.
const anyBroker = "any-broker:9092"

const (
	// hedge is how long one broker is waited for alone before the next is tried
	// beside it.
	hedge = time.Second
	// grudge is for how long a broker that did not answer comes last.
	grudge = time.Minute
)

// health records which brokers of a cluster are known and which have failed.
type health struct {
	mu     sync.Mutex
	known  []string             // from the cluster's metadata
	failed map[string]time.Time // when a broker last failed to answer
}

// Dialer returns the dialer of the consumer group.
func (c *Connection) Dialer() *kafka.Dialer {
	return &kafka.Dialer{ClientID: clientID, Timeout: dialTimeout, DialFunc: c.dial}
}

// Connect returns a client whose cluster has answered. It tries until ctx ends, with a
// back-off, and calls waiting, which may be nil, with the error before each pause;
// permanent refusals end it at once.
func (c *Connection) Connect(ctx context.Context, waiting func(error)) (*kafka.Client, error) {
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	for backoff := NewBackoff(); ; {
		err := c.Check(ctx)
		if err == nil {
			return client, nil
		}
		if final(err) || ctx.Err() != nil {
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

// Check asks any broker of the cluster for its metadata, over a new connection.
func (c *Connection) Check(ctx context.Context) error { return c.check(ctx, anyBroker) }

// Probe asks one broker for the cluster's metadata, over a new connection.
func (c *Connection) Probe(ctx context.Context, broker string) error { return c.check(ctx, broker) }

// Advertised returns the addresses of the cluster's brokers as the one that answered
// last gives them to its clients.
func (c *Connection) Advertised() []string {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	return slices.Clone(c.health.known)
}

func (c *Connection) check(ctx context.Context, broker string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := c.dial(ctx, "tcp", broker)
	if err != nil {
		return err
	}
	return conn.Close()
}

// dial connects to a broker, or to any that answers. Who gets the connection
// finds it encrypted and authenticated: the library adds nothing.
func (c *Connection) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if address != anyBroker {
		return c.reach(ctx, address)
	}
	type outcome struct {
		conn net.Conn
		err  error
	}
	candidates := c.candidates()
	outcomes := make(chan outcome, len(candidates))
	trying, cancel := context.WithCancel(ctx)
	defer cancel()
	next := time.NewTimer(0)
	defer next.Stop()
	var failures []error
	for started := 0; ; {
		select {
		case <-next.C:
			if started == len(candidates) {
				continue
			}
			go func(address string) {
				conn, err := c.reach(trying, address)
				outcomes <- outcome{conn, err}
			}(candidates[started])
			started++
			next.Reset(hedge)
		case o := <-outcomes:
			if o.err == nil {
				cancel()
				go func(left int) { // those that answer too late
					for range left {
						if late := <-outcomes; late.conn != nil {
							_ = late.conn.Close()
						}
					}
				}(started - len(failures) - 1)
				return o.conn, nil
			}
			failures = append(failures, o.err)
			if len(failures) == len(candidates) {
				return nil, worst(failures)
			}
			if len(failures) == started {
				next.Reset(0)
			}
		}
	}
}

// candidates lists the brokers in the order in which they are tried: those that
// are named, in any order, those known from metadata, and last, those that did not
// answer a moment ago.
func (c *Connection) candidates() []string {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	named := slices.Clone(c.Brokers)
	rand.Shuffle(len(named), func(i, j int) { named[i], named[j] = named[j], named[i] })
	list := append(named, slices.DeleteFunc(slices.Clone(c.health.known), func(b string) bool { return slices.Contains(named, b) })...)
	slices.SortStableFunc(list, func(a, b string) int {
		return c.health.failed[a].Compare(c.health.failed[b])
	})
	return list
}

// reach connects to one broker and returns once it has answered a first request:
// that a port takes connections says nothing about the broker behind it.
func (c *Connection) reach(ctx context.Context, broker string) (net.Conn, error) {
	began := time.Now()
	conn, err := c.open(ctx, broker)
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	for address, at := range c.health.failed {
		if time.Since(at) > grudge || address == broker && err == nil {
			delete(c.health.failed, address)
		}
	}
	if err == nil {
		return conn, nil
	}
	// One that was given up because another was faster has not failed.
	if !errors.Is(ctx.Err(), context.Canceled) || time.Since(began) > hedge {
		if c.health.failed == nil {
			c.health.failed = map[string]time.Time{}
		}
		c.health.failed[broker] = time.Now()
	}
	return nil, c.explain(broker, err)
}

func (c *Connection) open(ctx context.Context, broker string) (_ net.Conn, err error) {
	secure, mechanism, err := c.security()
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext(ctx, "tcp", broker)
	if err != nil {
		return nil, err
	}
	raw := conn
	unhook := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Now()) })
	defer func() {
		if !unhook() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = conn.Close()
		}
	}()
	_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	if secure != nil {
		secure.ServerName, _, _ = net.SplitHostPort(broker)
		encrypted := tls.Client(conn, secure)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = encrypted
	}
	if mechanism != nil {
		if conn, err = c.authenticated(ctx, conn, mechanism, broker); err != nil {
			return nil, err
		}
	}
	if err = c.greet(conn); err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

// greet asks a broker for the others.
func (c *Connection) greet(conn net.Conn) error {
	request := kmsg.NewPtrMetadataRequest()
	request.Version = 4
	request.Topics = []kmsg.MetadataRequestTopic{} // none
	response := kmsg.NewPtrMetadataResponse()
	if err := exchange(conn, request, response); err != nil {
		return err
	}
	var known []string
	for _, b := range response.Brokers {
		known = append(known, net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))))
	}
	c.health.mu.Lock()
	c.health.known = known
	c.health.mu.Unlock()
	return nil
}

// worst returns one error for those of all brokers: a refusal that will not change
// before all others, or a sentence about each.
func worst(failures []error) error {
	if len(failures) == 1 {
		return failures[0]
	}
	var all []string
	for _, err := range failures {
		if final(err) {
			return err
		}
		all = append(all, err.Error())
	}
	slices.Sort(all)
	return &unreachable{strings.Join(slices.Compact(all), "; "), failures}
}

// unreachable says that none of several brokers answers.
type unreachable struct {
	text string
	each []error
}

// Error names each broker with its reason.
func (u *unreachable) Error() string { return u.text }

// Unwrap returns the errors of the brokers.
func (u *unreachable) Unwrap() []error { return u.each }
