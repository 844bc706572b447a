package ops

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestConnectionsAreBounded: connections that say nothing keep nobody out and are
// closed beyond the bound.
func TestConnectionsAreBounded(t *testing.T) {
	s, url := serve(t, nil)
	address := strings.TrimPrefix(url, "http://")
	for range 2 * maxConnections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for range 3 { // over connections of their own
		status, body := ask(t, "GET", url+"/livez", "", "Connection", "close")
		if status != http.StatusOK {
			t.Errorf("beside many connections /livez says %d %s", status, body)
		}
	}
	s.open.mu.Lock()
	defer s.open.mu.Unlock()
	if n := len(s.open.open); n > maxConnections {
		t.Errorf("%d connections are open", n)
	}
}

// TestStreamsAreBounded: pages that are fed leave room for other questions.
func TestStreamsAreBounded(t *testing.T) {
	_, url := serve(t, nil)
	for i := range maxStreams + 1 {
		response, err := http.Get(url + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if want := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[i < maxStreams]; response.StatusCode != want {
			t.Errorf("stream %d: status %d, want %d", i, response.StatusCode, want)
		}
	}
	if status, _ := ask(t, "GET", url+"/livez", ""); status != http.StatusOK {
		t.Errorf("/livez: %d", status)
	}
}

// TestClientsWithoutToken: without the token the health checks give no reasons, a wrong token
// is logged, and a foreign name is refused off the loopback as well.
func TestClientsWithoutToken(t *testing.T) {
	var log bytes.Buffer
	s, url := serve(t, func(o *ServerOptions) {
		o.Address, o.Token, o.Hosts = "0.0.0.0:0", "secret", []string{"archflow.example"}
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	s.health.Ready("sinks", func() error { return net.UnknownNetworkError("/srv/tables") })
	s.health.Note("registry", func() string { return "/srv/store/registry/3.json is damaged" })
	for _, format := range []string{"", "?format=json"} {
		if _, body := ask(t, "GET", url+"/readyz"+format, ""); strings.Contains(body, "/srv") || !strings.Contains(body, "sinks") {
			t.Errorf("without the token: %s", body)
		}
		if _, body := ask(t, "GET", url+"/readyz"+format, "", "Authorization", "Bearer secret"); !strings.Contains(body, "/srv/tables") {
			t.Errorf("with the token: %s", body)
		}
	}
	if status, _ := ask(t, "GET", url+"/metrics", "", "Authorization", "Bearer guess"); status != http.StatusUnauthorized || !strings.Contains(log.String(), "wrong token") || strings.Contains(log.String(), "guess") {
		t.Errorf("a wrong token: %d, logged %q", status, log.String())
	}
	for host, want := range map[string]int{
		"evil.example:80": 403, "archflow.example": 200, "10.1.2.3:8099": 200, "worker:8099": 200, "archflow.ns.svc": 200, "localhost": 200,
	} {
		if status, _ := ask(t, "GET", url+"/livez", "", "Host", host); status != want {
			t.Errorf("%s: status %d, want %d", host, status, want)
		}
	}
}
