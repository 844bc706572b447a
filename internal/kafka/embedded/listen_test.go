package embedded

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"archflow/internal/kafka"
)

// free returns an address of the loopback that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestListen starts brokers at addresses of their user's choice; clients are sent
// to the one that they can reach, with the user's secrets where there are any.
func TestListen(t *testing.T) {
	fixed := free(t)
	_, port, err := net.SplitHostPort(free(t))
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at                At
		local, advertised string
	}{
		{At{Listen: fixed}, fixed, fixed},
		{At{Listen: ":" + port}, "127.0.0.1:" + port, host + ":" + port},
		{At{Listen: "localhost:" + port, Mechanism: "scram-sha-256", User: "u", Password: "p"}, "localhost:" + port, "localhost:" + port},
	} {
		b, err := Open(t.Context(), t.TempDir(), c.at)
		if err != nil {
			t.Fatal(err)
		}
		if b.Address != c.local {
			t.Errorf("%+v: this machine reaches it at %s", c.at, b.Address)
		}
		connection := kafka.Connection{Brokers: []string{b.Address}, Mechanism: c.at.Mechanism, User: c.at.User, Password: c.at.Password}
		conn, err := connection.Dialer().DialContext(t.Context(), "tcp", b.Address)
		if err != nil {
			t.Fatalf("%+v: %v", c.at, err)
		}
		brokers, err := conn.Brokers()
		if err != nil || len(brokers) != 1 || net.JoinHostPort(brokers[0].Host, portText(brokers[0].Port)) != c.advertised {
			t.Errorf("%+v: clients are sent to %+v, %v", c.at, brokers, err)
		}
		conn.Close()
		if c.at.Mechanism != "" {
			connection.Password = "wrong"
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := connection.Probe(ctx, b.Address); err == nil {
				t.Error("a wrong password is let in")
			}
			cancel()
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	taken, err := net.Listen("tcp", fixed)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Open(t.Context(), t.TempDir(), At{Listen: fixed}); err == nil || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("a port that is taken: %v", err)
	}
}

func portText(n int) string { return (&net.TCPAddr{Port: n}).String()[1:] }
