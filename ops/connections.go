package ops

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds on connections and streams of clients, each of which costs a file descriptor
// and a goroutine.
const (
	maxConnections = 256
	maxStreams     = 64 // pages that are fed with states
)

// connections bounds the open connections of a server. Beyond the bound the one
// that has been without a request for longest is closed, so that whoever opens
// many and sends nothing keeps nobody out; when all are at work the new one is.
type connections struct {
	mu   sync.Mutex
	open map[net.Conn]time.Time // since when it is without a request; zero while it has one
}

// follow is an http.Server's ConnState.
func (c *connections) follow(conn net.Conn, state http.ConnState) {
	if spare := c.note(conn, state, time.Now()); spare != nil {
		_ = spare.Close() // its end reports itself here
	}
}

// note keeps account and returns a connection to close, if any.
func (c *connections) note(conn net.Conn, state http.ConnState, now time.Time) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[net.Conn]time.Time{}
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return nil
	case http.StateActive:
		c.open[conn] = time.Time{}
		return nil
	}
	c.open[conn] = now
	if len(c.open) <= maxConnections {
		return nil
	}
	spare, since := conn, now
	for other, idle := range c.open {
		if other != conn && !idle.IsZero() && (idle.Before(since) || spare == conn) {
			spare, since = other, idle
		}
	}
	delete(c.open, spare)
	return spare
}
