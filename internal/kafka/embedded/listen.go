package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// listener finds an address for the broker.
type listener struct {
	address string // of last time, "" without
	fixed   bool   // the address must be that one
	at      At

	local string // by which this machine reaches it, once it is open
}

// open listens where it was asked to, else where clients that wait look for the
// broker, else at a free port of the loopback.
func (l *listener) open(network string) (net.Listener, error) {
	if l.at.Listen != "" {
		return l.asked(network)
	}
	if l.address != "" {
		if opened, err := net.Listen(network, l.address); err == nil || l.fixed {
			l.local = l.address
			return opened, err
		}
	}
	opened, err := net.Listen(network, "127.0.0.1:0")
	if err == nil {
		l.local = opened.Addr().String()
	}
	return opened, err
}

func (l *listener) asked(network string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(l.at.Listen)
	if err != nil {
		return nil, fmt.Errorf("--broker-listen %q: want HOST:PORT: %w", l.at.Listen, err)
	}
	opened, err := net.Listen(network, l.at.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("--broker-listen %s is in use by another program: choose another port", l.at.Listen)
	case err != nil:
		return nil, fmt.Errorf("--broker-listen %s: %w", l.at.Listen, err)
	}
	_, port, err := net.SplitHostPort(opened.Addr().String())
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	local := host
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		local = "127.0.0.1"
		if host, err = os.Hostname(); err != nil {
			return nil, errors.Join(fmt.Errorf("--broker-listen %s: the machine has no name to give to clients: %w; name a host", l.at.Listen, err), opened.Close())
		}
	}
	l.local = net.JoinHostPort(local, port)
	return advertised{opened, address(net.JoinHostPort(host, port))}, nil
}

// advertised is a listener that clients are sent to by another address than the
// one that it has.
type advertised struct {
	net.Listener
	address address
}

// Addr returns the address for clients.
func (a advertised) Addr() net.Addr { return a.address }

type address string

// Network is part of net.Addr.
func (address) Network() string { return "tcp" }

// String returns HOST:PORT.
func (a address) String() string { return string(a) }
