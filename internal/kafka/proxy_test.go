package kafka

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
)

// proxy hands out connections that break after a number of requests: the
// request is sent and the answer never read.
type proxy struct {
	address string
	left    atomic.Int64
	cuts    atomic.Int64
}

func newProxy(t *testing.T, address string) *proxy {
	t.Helper()
	p := &proxy{address: address}
	p.left.Store(1 << 40)
	return p
}

// cutAfter lets the n-th write from now on be the last of its connection.
func (p *proxy) cutAfter(n int) { p.left.Store(int64(n)) }

func (p *proxy) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, p.address)
	return &cutConn{Conn: c, proxy: p}, err
}

type cutConn struct {
	net.Conn
	proxy *proxy
	cut   bool
}

var errCut = &net.OpError{Op: "read", Err: errors.New("cut by the test")}

func (c *cutConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if c.proxy.left.Add(-1) == 0 {
		c.cut = true
		c.proxy.cuts.Add(1)
	}
	return n, err
}

func (c *cutConn) Read(b []byte) (int, error) {
	if c.cut {
		// The broker has the whole request and answers; nobody reads it.
		_, _ = c.Conn.Read(b)
		_ = c.Close()
		return 0, errCut
	}
	return c.Conn.Read(b)
}
